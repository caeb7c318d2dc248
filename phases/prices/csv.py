"""Daily prices from one CSV file, read so that no reader sees the future.

A daily bar's high, low and close are known from the session's close on, its open from the session's open on.
In mid-session the last known price is therefore that day's *open*: nothing better is in the file that was
already true at that instant.

A column `split` may say on which day new shares began to trade, and how many for one old share: `7` or `7:1`,
`1:10` or `0.1`; empty, 0 and 1 say that there was none. Prices are then taken to be raw. A file whose prices
are adjusted for splits must not have the column.
"""

from __future__ import annotations

import csv
import logging
from array import array
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Final

from phases.money import ticks
from phases.prices.age import MAX_AGE_SESSIONS, sessions_since
from phases.prices.doubt import refused
from phases.prices.series import DailySeries
from phases.tools import Bar, Calendar, PricesUnavailable, Quote, Remark, Split

_log = logging.getLogger(__name__)

COLUMNS: Final = ("symbol", "date", "open", "high", "low", "close", "volume")
SPLIT: Final = "split"
"""The column that a file may have besides."""
_NO_VALUE: Final = frozenset({"", "na", "n/a", "null", "none"})  # and what Decimal knows as NaN
_TOO_MANY_FOR_ONE: Final = 10_000
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
        if found is None or sessions_since(found.at, at, self._calendar) > MAX_AGE_SESSIONS:
            return None
        return found

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:
        """Return the days whose session lies between `after` and `until`, in order."""
        series = self._table.series.get(ticker)
        return list(series.between(after, until, self._calendar)) if series else []

    def splits(self, ticker: str, after: datetime, until: datetime) -> Sequence[Split]:
        """Return the splits that the file names, each from the opening bell of its day on."""
        found = [
            Split(at=session.opens, ratio=ratio)
            for day, ratio in sorted(self._table.splits[ticker].items())
            if (session := self._calendar.session(date.fromordinal(day)))
        ]
        return [one for one in found if after < one.at <= until]

    @property
    def ignored(self) -> dict[str, int]:
        """How many rows were not used, by reason: `not_a_session`, `unusable_price`, `repeated`."""
        return dict(self._table.ignored)

    def remarks(self) -> Sequence[Remark]:
        """Say how many rows were not believed."""
        return refused(self.name, self.ignored.get("unusable_price", 0))

    @cached_property
    def _table(self) -> _Table:
        table = _Table(self._calendar)
        with _reading(self._path) as (rows, (*places, split)):
            for fields in rows:
                if fields:
                    table.add([fields[place] for place in places], fields[split] if split >= 0 else "")
        _log.info("read daily prices", extra={"action": "prices_read", "ignored": dict(table.ignored)})
        return table


@contextmanager
def _reading(path: Path) -> Generator[tuple[Iterator[list[str]], list[int]]]:
    """Open the file and yield its rows with the places of `COLUMNS` and `SPLIT` in them (-1 without).

    Errors name file and line.
    """
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
    return [*map(names.index, COLUMNS), names.index(SPLIT) if SPLIT in names else -1]


class _Table:
    """The usable rows by symbol."""

    def __init__(self, calendar: Calendar) -> None:
        self.series: defaultdict[str, DailySeries] = defaultdict(DailySeries)
        self.splits: defaultdict[str, dict[int, Fraction]] = defaultdict(dict)
        self.ignored: Counter[str] = Counter()
        self._calendar = calendar
        self._days: dict[str, int | None] = {}

    def add(self, fields: Sequence[str], split: str = "") -> None:
        """Take one row, fields as in `COLUMNS`; raises `ValueError` when it can't be understood."""
        symbol, day_text, *numbers = fields
        ticker, day = symbol.strip().upper(), self._session_day(day_text.strip())
        values, ratio = _values(numbers), _ratio(split.strip())
        if day is not None and ratio is not None:
            self.splits[ticker][day] = ratio
        if day is None:
            self.ignored["not_a_session"] += 1
        elif values is None:
            self.ignored["unusable_price"] += 1
        elif not self.series[ticker].put(day, values):
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


def _ratio(text: str) -> Fraction | None:
    """Return new shares for one old share, `None` where there was no split."""
    if text.lower() in {*_NO_VALUE, "nan"}:
        return None
    try:
        ratio = Fraction(text.replace(":", "/"))
    except (ValueError, ZeroDivisionError):
        ratio = Fraction(-1)
    if not 0 <= ratio <= _TOO_MANY_FOR_ONE:
        raise ValueError(f"{text[:40]!r} is no split; write 7:1 for seven new shares for one old one")
    return ratio.limit_denominator(_TOO_MANY_FOR_ONE) if ratio not in {0, 1} else None


def _number(text: str) -> Decimal | None:
    """Return a finite number, `None` for a missing one; raises `ValueError` for what is none at all."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        if text.strip().lower() in _NO_VALUE:
            return None
        raise ValueError(f"{text[:40]!r} is not a number") from None
    return number if number.is_finite() and abs(number) < _TOO_MUCH_USD else None
