"""Copied texts: what many accounts paste is one voice.

A text's sketch is five numbers, each the least hash of its triples of neighbouring words under another hash
function. Two texts share each number with the probability of their Jaccard similarity (Broder, "On the
resemblance and containment of documents", 1997). Only letters count: other figures, links, marks, emoji or
capitals make no new text. Short texts have no sketch: many people say "GME to the moon" by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from itertools import combinations
from typing import Final

from phases.analyzers.text import clean

LEAST_WORDS: Final = 12
MOST_WORDS: Final = 200
"""Only the beginning of a long text is compared."""

_NUMBERS: Final = 5
_SHARED: Final = 3
"""Texts that share so many numbers are copies."""
_NUMBER_BYTES: Final = 4
_WORD: Final = re.compile(r"[^\W\d_]+")


def sketch(text: str) -> str | None:
    """Return the sketch of a text, `None` where it is too short to have been copied.

    >>> first = sketch("I bought this at 12 since the shorts have to cover by Friday, no other way out")
    >>> first == sketch("i bought THIS at 14 since the shorts have to cover by friday - no other way out 🚀")
    True
    """
    words = _WORD.findall(clean(text).lower())[:MOST_WORDS]
    if len(words) < LEAST_WORDS:
        return None
    triples = zip(words, words[1:], words[2:], strict=False)
    hashes = [_hashes(" ".join(triple)) for triple in triples]
    return " ".join(min(column).hex() for column in zip(*hashes, strict=True))


def _hashes(phrase: str) -> list[bytes]:
    digest = blake2b(phrase.encode(), digest_size=_NUMBERS * _NUMBER_BYTES).digest()
    return [digest[start : start + _NUMBER_BYTES] for start in range(0, len(digest), _NUMBER_BYTES)]


def first_of_each(sketches: Sequence[str | None]) -> list[int]:
    """Return for each text the index of the first one that it is a copy of, its own where it is none.

    >>> first_of_each(["a b c d e", None, "a b c x y", None, "a z w x y", "p q r s t"])
    [0, 1, 0, 3, 4, 5]
    """
    seen: dict[tuple[tuple[int, str], ...], int] = {}
    firsts: list[int] = []
    for index, one in enumerate(sketches):
        keys = list(combinations(enumerate((one or "").split()), _SHARED))
        first = next((seen[key] for key in keys if key in seen), index)
        if first == index:
            seen.update(dict.fromkeys(keys, index))
        firsts.append(first)
    return firsts
