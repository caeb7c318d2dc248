"""The exchange's calendar: New York sessions with their holidays, half-days and unplanned closures.

The library behind it, exchange_calendars, is imported at the first question, because it brings pandas
(half a second). It builds any range in the same 0.15 s, so a decade is asked for at a time: nothing depends
on the day that the computer thinks it is, and no date between the limits is out of range.
"""

from __future__ import annotations

import warnings
from datetime import UTC, date, datetime
from functools import cache
from importlib.metadata import version
from typing import Any, Final
from zoneinfo import ZoneInfo

from phases.tools import Session

EXCHANGE: Final = "XNYS"
_ZONE: Final = ZoneInfo("America/New_York")
_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 2199  # pandas' nanoseconds reach to 2262


class OutsideCalendar(ValueError):
    """No calendar is known for that year; the message names the years that are."""


class ExchangeCalendar:
    """The New York Stock Exchange's regular sessions, as a `Calendar`."""

    def session(self, day: date) -> Session | None:
        """Return the session of an exchange day, `None` where the exchange is closed all day.

        Raises `OutsideCalendar` before 1900 and after 2199. An unplanned closure later than the installed
        release of the library is not known: that day looks like a session without prices.
        """
        if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
            raise OutsideCalendar(
                f"the exchange calendar {EXCHANGE} covers {_FIRST_YEAR} to {_LAST_YEAR}, "
                f"and {day.isoformat()} was asked for; check that date"
            )
        return _decade(day.year // 10).get(day)

    def is_open(self, at: datetime) -> bool:
        """Return whether regular trading is on at `at`: from the opening bell until just before the close."""
        session = self.session(self.trading_date(at))
        return session is not None and session.opens <= at < session.closes

    def trading_date(self, at: datetime) -> date:
        """Return the calendar date in New York at `at`, a session or not."""
        return at.astimezone(_ZONE).date()


def coverage() -> str:
    """Say what the calendar knows, in a sentence; the library is not loaded."""
    release = version("exchange_calendars")
    return (
        f"{EXCHANGE} from {_FIRST_YEAR} to {_LAST_YEAR}, by exchange_calendars {release}: "
        "closures announced after that release are not known"
    )


@cache
def _decade(decade: int) -> dict[date, Session]:
    with warnings.catch_warnings():
        # The library (4.13) uses a pandas accessor that pandas 3.1 announces to change; not ours to mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        from exchange_calendars import get_calendar  # noqa: PLC0415 - half a second, only when needed

        schedule: Any = get_calendar(EXCHANGE, start=f"{decade}0-01-01", end=f"{decade}9-12-31").schedule
    return {
        row.Index.date(): Session(row.Index.date(), _instant(row.open), _instant(row.close))
        for row in schedule.itertuples()
    }


def _instant(timestamp: Any) -> datetime:
    plain: datetime = timestamp.to_pydatetime()
    return plain.astimezone(UTC)
