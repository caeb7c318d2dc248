"""What an analyser says is data from outside: only what is well-formed reaches the tables."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Final, get_args

from phases.analyzers.text import shortened
from phases.analyzers.tickers import WELL_FORMED
from phases.tools import Annotation, Sentiment, TickerSentiment

MAX_TICKERS: Final = 30
"""A comment that names more is a list, not an opinion; the first ones are kept."""

MAX_SUMMARY_CHARS: Final = 400

SET_ASIDE: Final = Annotation(
    tickers=(),
    sentiment="neutral",
    sarcasm_detected=False,
    has_reasoning=False,
    confidence=0.0,
    analyzer="guard-1",
)
"""Of a comment that speaks to a model: no analyser reads it, and it counts for nothing."""

_SENTIMENTS: Final = frozenset(get_args(Sentiment))
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


def sanitized(annotation: Annotation) -> Annotation | None:
    """Return an annotation that is fit to be stored, `None` where it makes no sense at all.

    Tickers that are malformed, repeated or without a known sentiment are left out, the confidence is brought
    to 0..1, and the summary is one printable line of bounded length, only where there is reasoning.
    """
    if annotation.sentiment not in _SENTIMENTS or not math.isfinite(annotation.confidence):
        return None
    return replace(
        annotation,
        tickers=_tickers(annotation.tickers),
        confidence=min(1.0, max(0.0, annotation.confidence)),
        reasoning_summary=_summary(annotation),
    )


def _tickers(stances: tuple[TickerSentiment, ...]) -> tuple[TickerSentiment, ...]:
    unique: dict[str, TickerSentiment] = {}
    for stance in stances:
        if WELL_FORMED.fullmatch(stance.ticker) and stance.sentiment in _SENTIMENTS:
            unique.setdefault(stance.ticker, stance)
    return tuple(unique.values())[:MAX_TICKERS]


def _summary(annotation: Annotation) -> str | None:
    if not annotation.has_reasoning or not annotation.reasoning_summary:
        return None
    return shortened(_UNPRINTABLE.sub(" ", annotation.reasoning_summary), MAX_SUMMARY_CHARS) or None
