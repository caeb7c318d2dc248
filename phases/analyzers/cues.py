"""The words around a symbol that say it is traded: `XYZ calls`, `bought some XYZ`, `puts on XYZ`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from phases.analyzers.tokens import Token
from phases.analyzers.universe import Vocabulary

_REACH_AFTER: Final = 6
"""Tokens between a symbol and its option noun, as in `XYZ 1/15 50 calls`."""

_REACH_BEFORE: Final = 2
"""Fillers between a verb and its symbol, as in `bought some more XYZ`."""

_STRIKE: Final = re.compile(r"\$?\d[\d,.]*[cCpP]")
_SEPARATORS: Final = frozenset("/'$")


def has_cue(tokens: Sequence[Token], first: int, last: int, known: Vocabulary) -> bool:
    """Return whether a trade word stands by the tokens `first` to `last`, in the same sentence."""
    return (
        follows(tokens, last, known) or _precedes(tokens, first, known) or _introduces(tokens, first, known)
    )


def follows(tokens: Sequence[Token], last: int, known: Vocabulary) -> bool:
    """Return whether the token `last` is followed by an option noun, a strike or a price."""
    sentence = tokens[last].sentence
    for token in tokens[last + 1 : last + 1 + _REACH_AFTER]:
        if token.sentence != sentence:
            return False
        if token.lower in known.trade_after or token.text == "@" or _STRIKE.fullmatch(token.text):
            return True
        passable = token.kind == "number" or token.lower in known.expiries or token.text in _SEPARATORS
        if not passable:
            return False
    return False


def _precedes(tokens: Sequence[Token], first: int, known: Vocabulary) -> bool:
    index = first - 1
    while index >= max(0, first - _REACH_BEFORE) and _is_filler(tokens[index], known):
        index -= 1
    if index < 0 or tokens[index].sentence != tokens[first].sentence:
        return False
    word = tokens[index].lower
    if word in known.trade_before:
        return True
    return index > 0 and word in known.links and tokens[index - 1].lower in known.trade_nouns


def _is_filler(token: Token, known: Vocabulary) -> bool:
    return token.kind == "number" or token.lower in known.fillers


def _introduces(tokens: Sequence[Token], first: int, known: Vocabulary) -> bool:
    """Return whether it reads `Acme Widgets (XYZ)` or `NYSE: XYZ`, and not `Large Language Model (LLM)`."""
    if first < 2:  # noqa: PLR2004 - a word and a mark come before it
        return False
    before = tokens[first - 2]
    if tokens[first - 1].text == ":":
        return before.lower in known.exchanges
    in_brackets = (
        tokens[first - 1].text == "(" and tokens[first + 1 : first + 2] and tokens[first + 1].text == ")"
    )
    if not in_brackets or before.kind != "word" or not before.text[0].isupper():
        return False
    return not _spells_initials(tokens[first].text, tokens[: first - 1])


def _spells_initials(acronym: str, before: Sequence[Token]) -> bool:
    letters = acronym.rstrip("s")
    nearest = [part for token in before[-len(letters) :] for part in token.text.split("-")]
    initials = [part[:1].upper() for part in nearest][-len(letters) :]
    return letters[0] in initials and letters[-1] == initials[-1]
