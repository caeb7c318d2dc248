"""What the learned model sees of a text: what the lexicon says of it, and its words.

Of the words it sees the shape, not the subject: symbols and figures become `<t>`, `<$>`, `<%>`, `<c>` (the
strike of a call), `<p>` (of a put) or `<n>`, and a name behind an @ is left out. Words stand alone and in
pairs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Final

from phases.analyzers.phrases import Role
from phases.analyzers.reading import Reading
from phases.analyzers.stance import Cue, lean
from phases.analyzers.tokens import Token

_COUNTED: Final[tuple[Role, ...]] = (
    "negation",
    "intensify",
    "soften",
    "turn",
    "sarcasm",
    "inverse",
    "newcomer",
    "reason",
    "fundamentals",
    "technicals",
    "meme",
)
_STRONGEST: Final = 3.0
"""The highest score of the lexicon."""
_MANY: Final = 3
"""Marks of one kind beyond this many say no more."""
_STRIKE: Final = re.compile(r"\$?\d[\d.]*([cp])")


def measures(reading: Reading, cues: Sequence[Cue]) -> Mapping[str, float]:
    """Return what the lexicon says of a text by the given cues; each is of the order of one."""
    values = [cue.value for cue in cues]
    bullish, bearish = [value for value in values if value > 0], [-value for value in values if value < 0]
    for_it, against_it = math.fsum(bullish), math.fsum(bearish)
    leaning = lean(values) * reading.asking
    marks = [token.text for token in reading.tokens if token.kind == "mark"]
    return {
        "lean": leaning,
        "strength": abs(leaning),
        "bullish": lean(bullish),
        "bearish": lean(bearish),
        "mixed": min(for_it, against_it) / (for_it + against_it) if values else 0.0,
        "silent": float(not values),
        "opening": values[0] / _STRONGEST if values else 0.0,
        "closing": values[-1] / _STRONGEST if values else 0.0,
        "most bullish": max(bullish, default=0.0) / _STRONGEST,
        "most bearish": max(bearish, default=0.0) / _STRONGEST,
        "length": math.log(max(1, len(reading.tokens))) / 5,
        "asks": min(_MANY, marks.count("?")) / _MANY,
        "shouts": min(_MANY, marks.count("!")) / _MANY,
        "asked share": reading.asked_share,
        "symbols": math.log1p(len({mention.symbol for mention in reading.mentions})),
        **{role: math.log1p(reading.roles[role]) for role in _COUNTED},
    }


def words(reading: Reading) -> frozenset[str]:
    """Return the words of a text and its pairs of neighbouring words, as the model spells them."""
    shapes = list(_shapes(reading))
    return frozenset(chain(shapes, (f"{left} {right}" for left, right in pairwise(shapes))))


def _shapes(reading: Reading) -> Iterator[str]:
    """Yield the words in order; a symbol of several tokens is one `<t>`."""
    named = {index for mention in reading.mentions for index in range(mention.first, mention.last + 1)}
    before = ""
    for index, token in enumerate(reading.tokens):
        shape = "<t>" if index in named else _shape(token)
        is_left_out = not shape or before == "@" or shape == before == "<t>"
        before = shape or token.text
        if not is_left_out:
            yield shape


def _shape(token: Token) -> str:
    """Return a token as the model spells it, nothing for punctuation."""
    if token.kind == "number":
        strike = _STRIKE.fullmatch(token.lower)
        if strike:
            return f"<{strike[1]}>"
        return "<%>" if token.text.endswith("%") else "<$>" if token.text.startswith("$") else "<n>"
    if token.kind in {"cashtag", "share_class"}:
        return "<t>"
    return "" if token.text.isascii() and token.kind == "mark" else token.lower
