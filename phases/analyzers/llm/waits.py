"""How long to wait before a server is asked again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

WAITS_S: Final = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further try; after the last one patience ends."""
MAX_WAIT_S: Final = 30.0
"""A server that wants more is not asked again."""

_MS_PER_S: Final = 1_000


def wait_s(tries: int, headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds to wait after `tries` failures, `None` where it is of no use to go on.

    >>> wait_s(1, {}, datetime(2025, 3, 12, tzinfo=UTC)), wait_s(5, {}, datetime(2025, 3, 12, tzinfo=UTC))
    (1.0, None)
    """
    if tries > len(WAITS_S):
        return None
    wanted = max(WAITS_S[tries - 1], retry_after_s(headers, now) or 0.0)
    return wanted if wanted <= MAX_WAIT_S else None


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that a server asks for, in any of the three ways; `None` where it asks for none."""
    if (ms := _number(headers.get("retry-after-ms"))) is not None:
        return ms / _MS_PER_S
    said = headers.get("retry-after")
    seconds = _number(said)
    return seconds if seconds is not None else _until(said, now)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _until(text: str | None, now: datetime) -> float | None:
    try:
        at = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
