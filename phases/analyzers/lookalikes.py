"""Letters of other scripts that pass for Latin ones: normalisation (NFKC) leaves them as they are.

The pairs are those that one can't tell apart in common fonts, chosen by eye from the Cyrillic and Greek
blocks, and the small capitals of the phonetic ones. The Unicode consortium's list of confusables is far
longer and folds letters that nobody would mix up.
"""

from __future__ import annotations

import re
from typing import Final

_PAIRS: Final = (
    ("АВЕКМНОРСТУХЅІЈԚԜҮаеорсухіѕјԁһԛԝӏкмтв", "ABEKMHOPCTYXSIJQWYaeopcyxisjdhqwlkmtb"),
    ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαειοκνρτυχ", "ABEZHIKMNOPTYXaeiokvptux"),
    ("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢıɡɑ", "abcdefghijklmnoprstuvwyziga"),
)
_LATIN: Final = {ord(alike): latin for row in _PAIRS for alike, latin in zip(*row, strict=True)}

_ALIKE: Final = re.compile(f"[{''.join(map(chr, _LATIN))}]")
_WORD: Final = re.compile(rf"(?<!\w)[A-Za-z{''.join(map(chr, _LATIN))}]+(?!\w)")


def latin(text: str) -> str:
    """Return a mostly Latin text with its look-alike words in Latin letters; any other as it is.

    A word is folded where each of its letters passes for a Latin one, so words of another language stay.

    >>> latin("buy \N{CYRILLIC CAPITAL LETTER A}\N{CYRILLIC CAPITAL LETTER EM}C calls")
    'buy AMC calls'
    """
    if not _ALIKE.search(text) or not _is_mostly_latin(text):
        return text
    return _WORD.sub(lambda word: word[0].translate(_LATIN), text)


def _is_mostly_latin(text: str) -> bool:
    ascii_letters = sum(char.isascii() for char in text if char.isalpha())
    return ascii_letters * 2 > sum(map(str.isalpha, text))
