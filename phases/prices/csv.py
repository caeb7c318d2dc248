"""Daily prices from one CSV file, read so that no reader sees the future.

A daily bar's high, low and close are known from the session's close on, its open from the session's open on.
In mid-session the last known price is therefore that day's *open*: nothing better is in the file that was
already true at that instant.
"""

from __future__ import annotations

import csv
import logging
from array import array
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import Final

from phases.money import ticks
from phases.prices.series import DailySeries
from phases.tools import Bar, Calendar, PricesUnavailable, Quote

_log = logging.getLogger(__name__)

COLUMNS: Final = ("symbol", "date", "open", "high", "low", "close", "volume")
MAX_AGE_SESSIONS: Final = 3
"""A price from before more sessions than this is stale, and no quote."""

_NO_VALUE: Final = frozenset({"", "na", "n/a", "null", "none"})  # and what Decimal knows as NaN
_TOO_MUCH_USD: Final = 10**11  # beyond it dollars don't survive a REAL column; see money.py


class CsvPrices:
    """Daily prices from a file with the columns symbol, date, open, high, low, close and volume.

    Other columns and the order of rows don't matter. The rows are read once, at the first question; a new
    object reads the file again. Rows that say nothing usable are ignored and counted (`ignored`); a file that
    can't be understood raises `PricesUnavailable` with its line, and a missing one does so at construction.
    """

    name = "csv"

    def __init__(self, path: Path, calendar: Calendar) -> None:
        self._path = path
        self._calendar = calendar
        with _reading(path):
            pass  # a wrong name is told now, not in the middle of a run

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        """Return the last price known at `at`; `None` for an unknown ticker or one without recent prices."""
        series = self._table.series.get(ticker)
        found = series.last_known(at, self._calendar) if series else None
        if found is None or _sessions_since(found.at, at, self._calendar) > MAX_AGE_SESSIONS:
            return None
        return found

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:
        """Return the days whose session lies between `after` and `until`, in order."""
        series = self._table.series.get(ticker)
        return list(series.between(after, until, self._calendar)) if series else []

    @property
    def ignored(self) -> dict[str, int]:
        """How many rows were not used, by reason: `not_a_session`, `unusable_price`, `repeated`."""
        return dict(self._table.ignored)

    @cached_property
    def _table(self) -> _Table:
        table = _Table(self._calendar)
        with _reading(self._path) as (rows, places):
            for fields in rows:
                if fields:
                    table.add([fields[place] for place in places])
        _log.info("read daily prices", extra={"action": "prices_read", "ignored": dict(table.ignored)})
        return table


@contextmanager
def _reading(path: Path) -> Generator[tuple[Iterator[list[str]], list[int]]]:
    """Open the file and yield its rows with the places of `COLUMNS` in them; errors name file and line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            try:
                yield rows, _places(next(rows, list[str]()))
            except (ValueError, LookupError, csv.Error) as error:
                reason = "too few columns" if isinstance(error, LookupError) else error
                raise PricesUnavailable(
                    f"can't use the prices in {path}, line {rows.line_num}: {reason}; mend that line"
                ) from error
    except OSError as error:
        raise PricesUnavailable(
            f"can't read the prices in {path}: {error.strerror}; "
            f"name a CSV file with the columns {','.join(COLUMNS)}"
        ) from error


def _places(header: Sequence[str]) -> list[int]:
    names = [name.strip().lower() for name in header]
    if missing := [name for name in COLUMNS if name not in names]:
        raise ValueError(f"the header has no column {', '.join(missing)}")
    return [names.index(name) for name in COLUMNS]


class _Table:
    """The usable rows by symbol."""

    def __init__(self, calendar: Calendar) -> None:
        self.series: defaultdict[str, DailySeries] = defaultdict(DailySeries)
        self.ignored: Counter[str] = Counter()
        self._calendar = calendar
        self._days: dict[str, int | None] = {}

    def add(self, fields: Sequence[str]) -> None:
        """Take one row, fields as in `COLUMNS`; raises `ValueError` when it can't be understood."""
        symbol, day_text, *numbers = fields
        day = self._session_day(day_text.strip())
        values = _values(numbers)
        if day is None:
            self.ignored["not_a_session"] += 1
        elif values is None:
            self.ignored["unusable_price"] += 1
        elif not self.series[symbol.strip().upper()].put(day, values):
            self.ignored["repeated"] += 1

    def _session_day(self, text: str) -> int | None:
        """Return the ordinal of a session's day, `None` for any other day."""
        if text not in self._days:
            day = datetime.fromisoformat(text).date()
            self._days[text] = day.toordinal() if self._calendar.session(day) else None
        return self._days[text]


def _values(numbers: Sequence[str]) -> array[int] | None:
    """Return open, high, low, close in ticks and the volume (-1 where unknown), `None` if not usable."""
    *prices_usd, volume = (_number(text) for text in numbers)
    known = [price for price in prices_usd if price is not None]
    if len(known) < len(prices_usd):
        return None
    opened, high, low, close = (ticks(price) for price in known)
    if not 0 < low <= min(opened, close) <= max(opened, close) <= high:
        return None
    return array("q", (opened, high, low, close, -1 if volume is None else int(volume)))


def _number(text: str) -> Decimal | None:
    """Return a finite number, `None` for a missing one; raises `ValueError` for what is none at all."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        if text.strip().lower() in _NO_VALUE:
            return None
        raise ValueError(f"{text[:40]!r} is not a number") from None
    return number if number.is_finite() and abs(number) < _TOO_MUCH_USD else None


def _sessions_since(made_at: datetime, at: datetime, calendar: Calendar) -> int:
    """Return how many sessions opened after the day of `made_at` and not after `at`; ten days are enough."""
    made_on, today = calendar.trading_date(made_at), calendar.trading_date(at)
    days = (made_on + timedelta(days=ahead) for ahead in range(1, min((today - made_on).days, 10) + 1))
    return sum(1 for day in days if (session := calendar.session(day)) and session.opens <= at)
