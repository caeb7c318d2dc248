"""How far an author's history speaks for them, 0 to 1: pure formulas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from phases.config import Config

Verdict = Literal["correct", "incorrect", "excluded"]
"""What a person says of a prediction; it counts instead of what the market said."""

UNKNOWN_AUTHOR: Final = 0.5
"""The trust in somebody of whom no comment was analysed yet."""

FULL_LENGTH: Final = 500
"""A comment of so many characters is as long as counts."""
LENGTH_WEIGHT: Final = 0.20
REASONING_WEIGHT: Final = 0.20
CONFIDENCE_WEIGHT: Final = 0.60


def author_trust(
    config: Config,
    *,
    total_comments: int,
    high_quality_comments: int,
    accuracy: float | None,
    days_active: float,
) -> float:
    """Return an author's trust, rounded to three decimals; `accuracy` is `None` where nothing was resolved.

    >>> author_trust(Config(), total_comments=23, high_quality_comments=18, accuracy=0.68, days_active=45)
    0.753
    >>> author_trust(Config(), total_comments=0, high_quality_comments=0, accuracy=None, days_active=90)
    0.5
    """
    if total_comments <= 0:
        return UNKNOWN_AUTHOR
    quality = min(1.0, high_quality_comments / total_comments)
    known_accuracy = config.trust_default_accuracy if accuracy is None else accuracy
    tenure = min(1.0, max(0.0, days_active) / config.trust_tenure_saturation_days)
    return round(
        config.trust_weight_quality * quality
        + config.trust_weight_accuracy * known_accuracy
        + config.trust_weight_tenure * tenure,
        3,
    )


def conviction(*, chars: int, has_reasoning: bool, ai_confidence: float) -> float:
    """Return how much a comment stands behind what it says, 0 to 1.

    >>> round(conviction(chars=250, has_reasoning=True, ai_confidence=0.8), 3)
    0.78
    """
    return (
        LENGTH_WEIGHT * min(1.0, chars / FULL_LENGTH)
        + REASONING_WEIGHT * has_reasoning
        + CONFIDENCE_WEIGHT * ai_confidence
    )


def accuracy(outcomes: Iterable[bool], weight: float) -> float | None:
    """Return the moving average of right (1) and wrong (0), oldest first; `None` without any.

    The first outcome sets it, each later one moves it by `weight`.

    >>> accuracy([], 0.3), accuracy([True], 0.3), accuracy([True, False], 0.3)
    (None, 1.0, 0.7)
    """
    average: float | None = None
    for is_right in outcomes:
        average = float(is_right) if average is None else (1 - weight) * average + weight * is_right
    return average


def verdict(*, is_correct: bool, override: Verdict | None) -> bool | None:
    """Return whether a resolved prediction counts as right; `None` where a person took it out.

    >>> [verdict(is_correct=False, override=said) for said in (None, "correct", "excluded")]
    [False, True, None]
    """
    if override is None:
        return is_correct
    return None if override == "excluded" else override == "correct"
