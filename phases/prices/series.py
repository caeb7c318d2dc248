"""The days of one symbol, kept small, and what of them is public at an instant."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import date, datetime
from typing import Final

from phases.tools import Bar, Calendar, Quote

_FIELDS: Final = 5  # open, high, low, close, volume of one day; -1 where the volume is unknown


class DailySeries:
    """One symbol's days in order: eight bytes a number, so ten million rows fit into memory."""

    def __init__(self) -> None:
        self._days = array("i")
        self._values = array("q")

    def put(self, day: int, values: array[int]) -> bool:
        """Insert a day in its place; return whether it is new. Two different ones are refused."""
        place = bisect_left(self._days, day)
        if place == len(self._days) or self._days[place] != day:
            self._days.insert(place, day)
            self._values[place * _FIELDS : place * _FIELDS] = values
            return True
        if self._row(place)[:4] != values[:4]:
            raise ValueError(f"other prices of {date.fromordinal(day)} were given before")
        return False

    def last_known(self, at: datetime, calendar: Calendar) -> Quote | None:
        """Return the last price that was public at `at`, however old."""
        place = bisect_right(self._days, calendar.trading_date(at).toordinal())
        for candidate in reversed(range(place)[-2:]):
            if quote := self._public(candidate, at, calendar):
                return quote
        return None

    def _public(self, place: int, at: datetime, calendar: Calendar) -> Quote | None:
        day = date.fromordinal(self._days[place])
        session = calendar.session(day)
        opened, _, _, close, _ = self._row(place)
        if session is None or at < session.opens:
            return None
        if at < session.closes:
            return Quote(price=opened, at=session.opens, basis=f"open {day}")
        return Quote(price=close, at=session.closes, basis=f"close {day}")

    def between(self, after: datetime, until: datetime, calendar: Calendar) -> Iterator[Bar]:
        """Yield the complete days between two instants."""
        first = bisect_left(self._days, calendar.trading_date(after).toordinal())
        last = bisect_right(self._days, calendar.trading_date(until).toordinal())
        for place in range(first, last):
            session = calendar.session(date.fromordinal(self._days[place]))
            if session and session.opens >= after and session.closes <= until:
                opened, high, low, close, volume = self._row(place)
                yield Bar(
                    start=session.opens,
                    end=session.closes,
                    open=opened,
                    high=high,
                    low=low,
                    close=close,
                    volume=volume if volume >= 0 else None,
                )

    def _row(self, place: int) -> array[int]:
        return self._values[place * _FIELDS : (place + 1) * _FIELDS]
