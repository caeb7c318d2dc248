"""How far an author's history speaks for them, 0 to 1."""

from __future__ import annotations

from typing import Final

UNKNOWN_AUTHOR: Final = 0.5
DEFAULT_ACCURACY: Final = 0.5
SATURATION_DAYS: Final = 30
WEIGHT_QUALITY: Final = 0.40
WEIGHT_ACCURACY: Final = 0.50
WEIGHT_TENURE: Final = 0.10


def author_trust(
    *, total_comments: int, high_quality_comments: int, accuracy: float | None, days_active: float
) -> float:
    """Return an author's trust, rounded to three decimals; an author without analysed comments is unknown.

    >>> author_trust(total_comments=23, high_quality_comments=18, accuracy=0.68, days_active=45)
    0.753
    >>> author_trust(total_comments=0, high_quality_comments=0, accuracy=None, days_active=90)
    0.5
    """
    if total_comments <= 0:
        return UNKNOWN_AUTHOR
    quality = min(1.0, high_quality_comments / total_comments)
    known = DEFAULT_ACCURACY if accuracy is None else accuracy
    tenure = min(1.0, max(0.0, days_active) / SATURATION_DAYS)
    return round(WEIGHT_QUALITY * quality + WEIGHT_ACCURACY * known + WEIGHT_TENURE * tenure, 3)
