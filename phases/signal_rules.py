"""When comments on one ticker make a signal: pure rules, the same for any order of the comments.

Sums are exact (`fsum`), so that not even the last bit depends on the order in which rows come.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

from phases.config import Config
from phases.tools import Sentiment

SignalType = Literal["quality", "consensus"]
Direction = Literal["bullish", "bearish"]

_SATURATION: Final = 3
"""Volume counts as full at this multiple of its threshold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one analysed comment says of one ticker."""

    comment_id: int
    author: str | None
    """`None` where deleted, or a known bot: the comment counts, its author never does."""
    sentiment: Sentiment
    """The stance on this ticker, not on the comment as a whole."""
    has_reasoning: bool
    is_sarcastic: bool
    ai_confidence: float
    author_trust: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A signal that fires, with the comments that it rests on."""

    signal_type: SignalType
    prediction: Direction
    confidence: float
    sentiment_score: float
    """(bullish - bearish) / (bullish + bearish), -1 to 1."""
    has_reasoning: bool
    distinct_users: int
    comment_ids: tuple[int, ...]
    """Ascending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a confidence is the sum of, each already weighted."""

    volume: float
    alignment: float
    ai_confidence: float
    author_trust: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentions:
    """How much a ticker is talked about, whatever is said of it."""

    prior: int
    """Mentions on the days before."""
    current: int
    distinct_users: int


def quality(evidence: Sequence[Evidence], config: Config) -> Signal | None:
    """Return the quality signal: several people with real arguments, all of one opinion."""
    argued = [
        one
        for one in evidence
        if one.has_reasoning and not one.is_sarcastic and one.ai_confidence >= config.quality_min_confidence
    ]
    users = count_users(argued)
    direction = _unanimous(argued)
    if direction is None or users < config.quality_min_users:
        return None
    return _signal("quality", direction, argued, config)


def consensus(evidence: Sequence[Evidence], config: Config) -> Signal | None:
    """Return the consensus signal: many people, most of them leaning the same way."""
    voiced = [one for one in evidence if one.sentiment != "neutral"]
    bullish, bearish = _counts(voiced)
    share = max(bullish, bearish) / len(voiced) if voiced else 0.0
    if (
        len(voiced) < config.consensus_min_comments
        or count_users(voiced) < config.consensus_min_users
        or share < config.consensus_min_alignment
        or bullish == bearish
    ):
        return None
    return _signal("consensus", "bullish" if bullish > bearish else "bearish", voiced, config)


def is_emergence(mentions: Mentions, day: date, config: Config) -> bool | None:
    """Return whether a ticker comes out of nowhere, `None` in the week that has no history to compare with.

    The day of `system_start_date` is day 1; day 8 is the first with seven days before it.
    """
    start = config.system_start_date
    if start is None or day < start + timedelta(days=config.emergence_prior_days):
        return None
    return (
        mentions.prior < config.emergence_max_prior_mentions
        and mentions.current >= config.emergence_min_mentions
        and mentions.distinct_users >= config.emergence_min_users
    )


def count_users(evidence: Sequence[Evidence]) -> int:
    """Return the number of distinct known authors."""
    return len({one.author for one in evidence if one.author is not None})


def confidence_parts(
    signal_type: SignalType, contributing: Sequence[Evidence], *, users: int, config: Config
) -> Parts:
    """Return what makes a signal's confidence; `contributing` is not empty, `users` are its known authors."""
    if signal_type == "quality":
        volume, alignment = users / (config.quality_min_users * _SATURATION), 1.0
    else:
        volume = len(contributing) / (config.consensus_min_comments * _SATURATION)
        share = max(_counts(contributing)) / len(contributing)
        alignment = _rescaled(share, config.consensus_min_alignment)
    return Parts(
        volume=config.confidence_weight_volume * min(1.0, volume),
        alignment=config.confidence_weight_alignment * alignment,
        ai_confidence=config.confidence_weight_ai_confidence
        * _mean([one.ai_confidence for one in contributing]),
        author_trust=config.confidence_weight_author_trust
        * _mean([one.author_trust for one in contributing]),
    )


def _signal(
    signal_type: SignalType, direction: Direction, contributing: Sequence[Evidence], config: Config
) -> Signal:
    bullish, bearish = _counts(contributing)
    users = count_users(contributing)
    parts = confidence_parts(signal_type, contributing, users=users, config=config)
    confidence = math.fsum((parts.volume, parts.alignment, parts.ai_confidence, parts.author_trust))
    return Signal(
        signal_type=signal_type,
        prediction=direction,
        confidence=min(1.0, max(0.0, confidence)),
        sentiment_score=(bullish - bearish) / (bullish + bearish),
        has_reasoning=any(one.has_reasoning for one in contributing),
        distinct_users=users,
        comment_ids=tuple(sorted(one.comment_id for one in contributing)),
    )


def _unanimous(evidence: Sequence[Evidence]) -> Direction | None:
    """Return the opinion that all share; a neutral one among them breaks unanimity."""
    bullish, bearish = _counts(evidence)
    if not evidence or max(bullish, bearish) < len(evidence):
        return None
    return "bullish" if bullish else "bearish"


def _counts(evidence: Sequence[Evidence]) -> tuple[int, int]:
    opinions = [one.sentiment for one in evidence]
    return opinions.count("bullish"), opinions.count("bearish")


def _rescaled(share: float, least: float) -> float:
    """Return a share between its least allowed value (0) and unanimity (1)."""
    return (share - least) / (1 - least) if least < 1 else 1.0


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
