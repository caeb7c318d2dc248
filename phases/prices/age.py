"""How old a price may be, counted in sessions: a holiday makes no price older."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from phases.tools import Calendar

MAX_AGE_SESSIONS: Final = 3
"""A price from before more sessions than this is stale, and no quote."""


def sessions_since(made_at: datetime, at: datetime, calendar: Calendar) -> int:
    """Return how many sessions opened after the day of `made_at` and not after `at`; ten days are enough."""
    made_on, today = calendar.trading_date(made_at), calendar.trading_date(at)
    days = (made_on + timedelta(days=ahead) for ahead in range(1, min((today - made_on).days, 10) + 1))
    return sum(1 for day in days if (session := calendar.session(day)) and session.opens <= at)
