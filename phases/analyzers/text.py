"""Comment text, made harmless: one spelling a character, nothing invisible, no addresses, a bounded length.

Comments are written by strangers. Look-alike letters become plain ones (NFKC, then `lookalikes`), marks laid
over letters go, and zero-width, bidirectional, control and surrogate characters disappear, so that neither a
hidden symbol nor a split one gets past the rules that follow. All patterns here are linear in the text.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final

from phases.analyzers.lookalikes import latin

MAX_CHARS: Final = 10_000
"""The longest comment that Reddit takes; what comes later in a text is not read."""

# Normalising sorts each run of combining marks in quadratic time, so it is done in slices.
_SLICE_CHARS: Final = 200

_INVISIBLE: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
_ADDRESS: Final = re.compile(
    r"!\[[^\]\n]{0,40}\]\([^)\s]{0,80}\)"  # Reddit's inline pictures: ![img](emote|...)
    r"|(?:https?://|www\.)[^\s)\]]+"
    r"|(?<![\w/])/?[ru]/[\w-]+"  # r/somewhere and u/somebody
)
_MARKS: Final = re.compile("[\u0300-\u036f]+")
"""Combining marks that no letter took in: strokes through letters, and piles of accents."""
_QUOTED_LINE: Final = re.compile(r"^[ \t]{0,3}>.*$", re.MULTILINE)


def clean(text: str) -> str:
    r"""Return `text` normalised, without invisible characters, addresses, names of users and subreddits.

    Quoted lines (`> ...`) go too, being somebody else's words, unless nothing else is left.

    >>> clean("Ｔesla\u200b to &gt; $500 https://example.org/x u/somebody")
    'Tesla to > $500'
    """
    plain = html.unescape(html.unescape(text[:MAX_CHARS]))  # archives hold &amp;#x200B;
    if not plain.isascii():
        plain = _normalized(plain)
    plain = _ADDRESS.sub(" ", _INVISIBLE.sub("", plain)[:MAX_CHARS])
    return _QUOTED_LINE.sub("", plain).strip() or plain.strip()


def shortened(text: str, chars: int) -> str:
    """Return `text` as one line of at most `chars` characters, cut between words.

    >>> shortened("  guidance was raised,  because demand is there ", 25)
    'guidance was raised, …'
    """
    line = " ".join(text.split())
    if len(line) <= chars:
        return line
    head, space, _ = line[: chars - 1].rpartition(" ")
    return f"{head} …" if space else f"{line[: chars - 1]}…"


def _normalized(text: str) -> str:
    starts = range(0, len(text), _SLICE_CHARS)
    slices = (unicodedata.normalize("NFKC", text[start : start + _SLICE_CHARS]) for start in starts)
    return latin(_MARKS.sub("", "".join(slices))).replace("’", "'")
