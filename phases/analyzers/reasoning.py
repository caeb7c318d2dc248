"""Whether a comment argues, and the sentence that argues most."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from phases.analyzers.phrases import Match, Role
from phases.analyzers.text import shortened
from phases.analyzers.tokens import Token

MAX_SUMMARY_CHARS: Final = 200
MIN_CHARS: Final = 60
LONG_CHARS: Final = 250
POINTS_NEEDED: Final = 2

_FIGURE: Final = re.compile(r"\$\d|\d%|\d[xXbBmM]\b|\d{2}")
_ARGUES: Final[frozenset[Role]] = frozenset({"reason", "fundamentals", "technicals"})


def has_reasoning(text: str, tokens: Sequence[Token], matches: Sequence[Match]) -> bool:
    """Return whether a text gives at least two kinds of support for what it says.

    A connective (because, due to), terms of fundamentals, terms of technicals, figures and length count one
    each, rich fundamentals two. A text that mostly asks doesn't argue.
    """
    if len(text) < MIN_CHARS or _mostly_asks(tokens):
        return False
    roles = Counter(match.role for match in matches)
    points = (
        roles["reason"] > 0,
        roles["fundamentals"] > 1,
        roles["fundamentals"] > 3,  # noqa: PLR2004 - rich in terms
        roles["technicals"] > 1,
        sum(_is_figure(token) for token in tokens) > 1,
        len(text) >= LONG_CHARS,
    )
    return sum(points) >= POINTS_NEEDED


def summary(text: str, tokens: Sequence[Token], matches: Sequence[Match]) -> str:
    """Return the sentence of an arguing text with the most arguments, as one short line of its own words."""
    weights = Counter(tokens[match.first].sentence for match in matches if match.role in _ARGUES)
    weights.update(token.sentence for token in tokens if _is_figure(token))
    best = min(weights, key=lambda sentence: (-weights[sentence], sentence))
    start = next(token.start for token in tokens if token.sentence == best)
    end = next((token.start for token in tokens if token.sentence > best), len(text))
    return shortened(text[start:end], MAX_SUMMARY_CHARS)


def _is_figure(token: Token) -> bool:
    return token.kind == "number" and _FIGURE.search(token.text) is not None


def _mostly_asks(tokens: Sequence[Token]) -> bool:
    asked = {token.sentence for token in tokens if token.text == "?"}
    return len(asked) * 2 > len({token.sentence for token in tokens})
