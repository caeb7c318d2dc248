"""Yahoo's daily prices through yfinance, raw again and checked before anybody trades on them.

Yahoo restates every price for all splits up to today, which a run of the past could not have known and an
open position's stop does not follow. Here each price is multiplied by the splits after its day, so a reader
sees what was traded, and gets the splits by themselves. Dividends are left alone: `Adj Close` is not read.

Yahoo answers a fault with an empty frame, in other units, or with days before a split that it forgot to
restate; each is an error of its own (`errors.py`), never a price. What it sends besides of today's session
counts from its close on, as in a file; while that session lasts, the last complete quarter of an hour is the
quote. Yahoo says that its prices may be 15 minutes late.

yfinance is imported when the first price is asked for. Nothing here was tried against Yahoo itself: the
tests feed recorded frames, and connect the real package to a closed port.
"""

from __future__ import annotations

import logging
import math
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal

from phases.money import ticks
from phases.prices.age import MAX_AGE_SESSIONS, sessions_since
from phases.prices.doubt import is_a_bar, refused
from phases.prices.errors import (
    BadAnswer,
    NotOfNewYork,
    RateLimited,
    Stale,
    UnknownTicker,
    Unreachable,
    WrongUnits,
)
from phases.prices.retry import patiently
from phases.prices.series import DailySeries
from phases.tools import Bar, Calendar, PricesUnavailable, Quote, Remark, Split
from phases.trading.splits import TOLERANCE

_log = logging.getLogger(__name__)

EXTRA: Final = 'pip install "phaseline[yfinance]"'
TIMEOUT_S: Final = 10.0
QUARTER: Final = timedelta(minutes=15)
INTRADAY_DAYS: Final = 59
"""yfinance documents that shorter intervals than a day reach back less than 60 days."""
LOOK_BACK: Final = timedelta(days=60)
"""How much earlier than asked the days begin, so that a change of units is among them."""
UNITS: Final = Fraction(100)
"""Pounds and pence, dollars and cents."""
_ZONE: Final = "America/New_York"
_PRICES: Final = ("Open", "High", "Low", "Close")

Interval = Literal["1d", "15m"]
Fetch = Callable[[str, date, Interval], Any]
"""Returns yfinance's frame of a ticker from a day on: an index of aware instants, and columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One usable row of a frame, in Yahoo's restated dollars."""

    at: datetime
    """Midnight of the day in New York, or the start of the quarter of an hour."""
    prices: tuple[Decimal, Decimal, Decimal, Decimal]
    """Open, high, low, close."""
    volume: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What one question about a ticker brought."""

    since: date
    series: DailySeries
    """Raw prices."""
    splits: Sequence[Split]
    refused: int


class YahooPrices:
    """Daily prices and splits from Yahoo, as `Prices` and `SplitSource`; one object a run.

    A ticker is asked for once, unless an earlier day is wanted later.
    """

    name = "yfinance"

    def __init__(
        self,
        calendar: Calendar,
        fetch: Fetch,
        wait: Callable[[float], object],
        now: Callable[[], datetime],
    ) -> None:
        self._calendar = calendar
        self._fetch = fetch
        self._wait = wait
        self._now = now
        self._tables: dict[str, Table] = {}

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        """Return the last price known at `at`; raises `Stale` where that is too old."""
        table = self._table(ticker, self._calendar.trading_date(at))
        found = self._of_this_session(ticker, at) or table.series.last_known(at, self._calendar)
        if found is None:
            raise UnknownTicker(f"Yahoo has no price of {ticker} of the two months before {at:%Y-%m-%d}")
        age = sessions_since(found.at, at, self._calendar)
        if age > MAX_AGE_SESSIONS:
            raise Stale(f"Yahoo's last price of {ticker} is of {found.at:%Y-%m-%d}, {age} sessions ago")
        return found

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:
        """Return the days whose session lies between `after` and `until`, in order."""
        table = self._table(ticker, self._calendar.trading_date(after))
        return list(table.series.between(after, until, self._calendar))

    def splits(self, ticker: str, after: datetime, until: datetime) -> Sequence[Split]:
        """Return the splits that Yahoo names, each from the opening bell of its day on."""
        table = self._table(ticker, self._calendar.trading_date(after))
        return [one for one in table.splits if after < one.at <= until]

    def remarks(self) -> Sequence[Remark]:
        """Say how many rows were not believed."""
        return refused(self.name, sum(table.refused for table in self._tables.values()))

    def _table(self, ticker: str, since: date) -> Table:
        known = self._tables.get(ticker)
        if known is None or since < known.since:
            known = patiently(lambda: self._ask(ticker, since), self._wait)
            self._tables[ticker] = known
        return known

    def _ask(self, ticker: str, since: date) -> Table:
        frame = self._fetch(ticker, since - LOOK_BACK, "1d")
        if not len(frame):
            raise BadAnswer(f"Yahoo sent no days of {ticker}: it does so when it is asked too often")
        return table_of(ticker, since, frame, self._calendar)

    def _of_this_session(self, ticker: str, at: datetime) -> Quote | None:
        """Return the close of the last complete quarter of an hour of a session that is going on."""
        day = self._calendar.trading_date(at)
        if not self._calendar.is_open(at) or self._now() - at > timedelta(days=INTRADAY_DAYS):
            return None
        if any(split.at > at for split in self._tables[ticker].splits):
            return None  # restated since then, and Yahoo doesn't always restate quarters of an hour
        try:
            rows, _ = rows_of(self._fetch(ticker, day, "15m"))
        except PricesUnavailable as error:
            _log.info("no prices of this session", extra={"action": "intraday_missing", "why": str(error)})
            return None
        return _last_quarter(rows, at, self._calendar)


def table_of(ticker: str, since: date, frame: Any, calendar: Calendar) -> Table:
    """Return a frame's days with raw prices.

    Raises `NotOfNewYork` and `WrongUnits` where the days can't be believed.
    """
    rows, refused = rows_of(frame)
    ratios = dict(splits_of(frame))
    _refuse_jumps(ticker, rows, list(ratios.values()))
    series, days = DailySeries(), sorted(ratios)
    for row in rows:
        day = row.at.date()
        later = math.prod((ratios[one] for one in days[bisect_right(days, day) :]), start=Fraction(1))
        if calendar.session(day):
            series.put(
                day.toordinal(), array("q", (*(_raw(price, later) for price in row.prices), row.volume))
            )
    return Table(since=since, series=series, splits=list(_effective(ratios, calendar)), refused=refused)


def _raw(price: Decimal, later: Fraction) -> int:
    return ticks(price * later.numerator / later.denominator)


def _effective(ratios: dict[date, Fraction], calendar: Calendar) -> Iterator[Split]:
    for day, ratio in sorted(ratios.items()):
        if session := calendar.session(day):
            yield Split(at=session.opens, ratio=ratio)


def rows_of(frame: Any) -> tuple[list[Row], int]:
    """Return a frame's usable rows in order of time, and how many were not usable.

    Raises `NotOfNewYork` where the index is not in New York's time.
    """
    zone = str(getattr(frame.index, "tz", None))
    if zone != _ZONE:
        raise NotOfNewYork(f"Yahoo's days are counted in the time zone {zone}, not in {_ZONE}")
    columns = [list(frame[name]) for name in (*_PRICES, "Volume")]
    found = [_row(at.to_pydatetime(), values) for at, *values in zip(frame.index, *columns, strict=True)]
    usable = {row.at: row for row in found if row}
    return [usable[at] for at in sorted(usable)], found.count(None)


def _row(at: datetime, values: Sequence[float]) -> Row | None:
    *prices, volume = (float(value) for value in values)
    opened, high, low, close = (Decimal(str(price)) for price in prices)
    if not is_a_bar(opened, high, low, close):
        return None
    return Row(at=at, prices=(opened, high, low, close), volume=int(volume) if volume >= 0 else -1)


def splits_of(frame: Any) -> Iterable[tuple[date, Fraction]]:
    """Yield the days on which new shares began to trade, and how many for one old one."""
    for at, ratio in zip(frame.index, frame["Stock Splits"], strict=True):
        if ratio > 0 and ratio != 1:
            yield at.to_pydatetime().date(), Fraction(float(ratio)).limit_denominator(1000)


def _refuse_jumps(ticker: str, rows: Sequence[Row], ratios: Sequence[Fraction]) -> None:
    """Raise `WrongUnits` where a night's move is of the size of other units or of a split that is known.

    Restated days have no move at a split, so a move of its size says that some days are not restated.
    """
    known = [ratio for ratio in ratios if not Fraction(2, 3) < ratio < Fraction(3, 2)]
    for old, new in pairwise(rows):
        moved = Fraction(old.prices[3]) / Fraction(new.prices[0])
        for factor in (UNITS, *known):
            if min(abs(moved / factor - 1), abs(moved * factor - 1)) <= TOLERANCE:
                raise WrongUnits(
                    f"Yahoo's price of {ticker} goes from {old.prices[3]:.4f} to {new.prices[0]:.4f} in the "
                    f"night to {new.at:%Y-%m-%d}: other units, or days that were not restated for a split"
                )


def _last_quarter(rows: Sequence[Row], at: datetime, calendar: Calendar) -> Quote | None:
    session = calendar.session(calendar.trading_date(at))
    ended = [row for row in rows if session and row.at >= session.opens and row.at + QUARTER <= at]
    if not ended:
        return None
    end = ended[-1].at.astimezone(UTC) + QUARTER
    return Quote(price=ticks(ended[-1].prices[3]), at=end, basis=f"15 minutes until {end:%Y-%m-%d %H:%M} UTC")


def fetch_with_yfinance(cache: Path, session: Any = None) -> Fetch:
    """Return what asks Yahoo. The extra must be installed (`load`).

    Args:
        cache: Where yfinance keeps its files (time zones, a cookie).
        session: A session of curl_cffi or requests to ask through, such as one with a proxy.
    """

    def fetch(ticker: str, since: date, interval: Interval) -> Any:
        yf = load()
        yf.set_tz_cache_location(str(cache))
        yf.config.debug.hide_exceptions = False  # otherwise every failure is an empty frame
        try:
            return yf.Ticker(ticker, session=session).history(
                start=since.isoformat(), interval=interval, auto_adjust=False, actions=True, timeout=TIMEOUT_S
            )
        except Exception as error:  # its parsing raises whatever an unexpected answer leads to
            raise _named(ticker, error, yf.exceptions) from error

    return fetch


def _named(ticker: str, error: Exception, known: ModuleType) -> PricesUnavailable:
    """Return what an error of yfinance, of its HTTP client or of a shape that it didn't expect means."""
    if isinstance(error, known.YFRateLimitError):
        return RateLimited("Yahoo was asked too often; try again later")
    if isinstance(error, known.YFTickerMissingError):
        return UnknownTicker(f"Yahoo knows no prices of {ticker}, which may be delisted")
    if isinstance(error, known.YFDataException | OSError):
        return Unreachable(f"Yahoo can't be reached: {type(error).__name__}")
    return BadAnswer(f"Yahoo's answer about {ticker} makes no sense: {type(error).__name__}")


def load() -> ModuleType:
    """Import yfinance; raises `PricesUnavailable` with what to install where it is missing."""
    try:
        return import_module("yfinance")
    except ImportError as error:
        raise PricesUnavailable(f"PRICES=yfinance needs an extra: {EXTRA}") from error
