"""How far an author's history speaks for them, 0 to 1."""

from __future__ import annotations

from typing import Final

from phases.config import Config

UNKNOWN_AUTHOR: Final = 0.5
"""The trust in somebody of whom no comment was analysed yet."""


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
