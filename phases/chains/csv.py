"""Option chains from files in the universe format of QuantConnect's LEAN, one a share and day.

A file is called `aapl_20140606.csv`, or `20140606.csv` in a folder `aapl`, as LEAN lays them. Its first row
without an expiry is the share; the others are contracts with prices of a bar, open interest and greeks.

The bar is no constant of the format. In QuantConnect's own files it may cover only the end of the day
(the share's row in `goog_20151224.csv` closes where the day closed, and opens elsewhere), or be the first
minute of the session *after* the day that names it (that of `aapl_20140606.csv` is of 2014-06-09, 09:30). So
of the prices only `close` is used, and a file is known from one minute into the next session on.

There are no bids and asks in it: a close with volume is the mark, one without is only an old trade. Greeks of
0 stand for contracts that were not computed; they are told as they are, and the strike rules refuse them.
"""

from __future__ import annotations

import csv
import logging
import math
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

from phases.chains.occ import contract
from phases.money import ticks
from phases.prices.age import sessions_since
from phases.tools import Calendar, OptionQuote, OptionType, PricesUnavailable

_log = logging.getLogger(__name__)

COLUMNS: Final = (
    "expiry",
    "strike",
    "right",
    "close",
    "volume",
    "open_interest",
    "implied_volatility",
    "delta",
)
KINDS: Final[Mapping[str, OptionType]] = {"C": "call", "P": "put"}
MAX_AGE_SESSIONS: Final = 1
"""A chain from before more sessions than this is stale, and none."""
LONGEST_CLOSURE_DAYS: Final = 10
FIRST_MINUTE: Final = timedelta(minutes=1)

_NAME: Final = re.compile(r"(?:^|/)([a-z.]+)[_/](\d{8})\.csv$", re.IGNORECASE)


class CsvChains:
    """Chains from files and folders; a folder's files are found at construction, read when asked for.

    Raises `PricesUnavailable`: at construction for a path that holds no chain, at a question, with the line,
    for a file that can't be understood.
    """

    name = "csv"

    def __init__(self, paths: Sequence[Path], calendar: Calendar) -> None:
        self._calendar = calendar
        self._files: defaultdict[str, list[_File]] = defaultdict(list)
        for path in paths:
            for file in _files(path, calendar):
                self._files[file.ticker].append(file)
        for files in self._files.values():
            files.sort(key=lambda file: file.known_from)

    def chain(self, ticker: str, at: datetime) -> Sequence[OptionQuote]:
        """Return the contracts of the newest file known at `at`; none where it is stale or there is none."""
        files = self._files.get(ticker, [])
        place = bisect_right(files, at, key=lambda file: file.known_from)
        if not place or sessions_since(files[place - 1].closed_at, at, self._calendar) > MAX_AGE_SESSIONS:
            return ()
        return files[place - 1].quotes


def _files(path: Path, calendar: Calendar) -> Iterator[_File]:
    """Yield the chains of a path; raises `PricesUnavailable` where there is none."""
    found = sorted(path.rglob("*.csv")) if path.is_dir() else [path]
    named = {one: match for one in found if (match := _NAME.search(one.as_posix()))}
    if not named or not all(one.is_file() for one in named):
        raise PricesUnavailable(
            f"there are no option chains at {path}; name files such as aapl_20140606.csv, or their folder"
        )
    for one, match in named.items():
        yield _File.of(one, match[1].upper(), match[2], calendar)


class Reader(Protocol):
    """What `csv.reader` returns."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


@dataclass(frozen=True, kw_only=True)  # no slots, for the cached property
class _File:
    """One day of one share."""

    path: Path
    ticker: str
    closed_at: datetime
    """When its day's session closed: the instant that its quotes are told as of."""
    known_from: datetime

    @classmethod
    def of(cls, path: Path, ticker: str, day_text: str, calendar: Calendar) -> _File:
        """Return a file by its name."""
        try:
            day = date.fromisoformat(f"{day_text[:4]}-{day_text[4:6]}-{day_text[6:]}")
        except ValueError:
            raise PricesUnavailable(f"{path} is named after {day_text}, which is no date") from None
        session = calendar.session(day)
        if session is None:
            raise PricesUnavailable(f"{path} is named after {day}, on which the exchange was closed")
        return cls(
            path=path,
            ticker=ticker,
            closed_at=session.closes,
            known_from=_next_opening(day, calendar) + FIRST_MINUTE,
        )

    @cached_property
    def quotes(self) -> Sequence[OptionQuote]:
        """The contracts."""
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                return self._read(csv.reader(file))
        except OSError as error:
            raise PricesUnavailable(f"can't read the option chain {self.path}: {error.strerror}") from error

    def _read(self, rows: Reader) -> list[OptionQuote]:
        quotes, underlying = list[OptionQuote](), None
        try:
            places = _places(next(rows, list[str]()))
            for fields in filter(None, rows):
                row = _Row(*(fields[place] for place in places))
                if row.expiry:
                    quotes.append(self._quote(row, underlying))
                else:
                    underlying = _price(row.close)
        except (ValueError, ArithmeticError, LookupError, csv.Error) as error:
            reason = "too few columns" if isinstance(error, IndexError) else error
            raise PricesUnavailable(
                f"can't use the option chain {self.path}, line {rows.line_num}: {reason}; mend that line"
            ) from error
        _log.info("read a chain", extra={"action": "chain_read", "ticker": self.ticker, "rows": len(quotes)})
        return quotes

    def _quote(self, row: _Row, underlying: int | None) -> OptionQuote:
        last, volume = _price(row.close), _count(row.volume)
        return OptionQuote(
            contract=contract(self.ticker, _day(row.expiry), _kind(row.right), _strike(row.strike)),
            at=self.closed_at,
            mark=last if volume else None,
            last=last,
            delta=_number(row.delta),
            iv=_number(row.implied_volatility),
            open_interest=_count(row.open_interest),
            volume=volume,
            underlying=underlying,
        )


@dataclass(frozen=True, slots=True)
class _Row:
    """The texts of `COLUMNS`."""

    expiry: str
    strike: str
    right: str
    close: str
    volume: str
    open_interest: str
    implied_volatility: str
    delta: str


def _places(header: Sequence[str]) -> list[int]:
    names = [name.strip().lstrip("#").lower() for name in header]
    if missing := [name for name in COLUMNS if name not in names]:
        raise ValueError(f"the header has no column {', '.join(missing)}")
    return [names.index(name) for name in COLUMNS]


def _next_opening(day: date, calendar: Calendar) -> datetime:
    days = (day + timedelta(days=ahead) for ahead in range(1, LONGEST_CLOSURE_DAYS))
    session = next((session for one in days if (session := calendar.session(one))), None)
    if session is None:
        raise PricesUnavailable(f"no session follows {day}")
    return session.opens


def _day(text: str) -> date:
    return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007  # a date has no zone


def _kind(text: str) -> OptionType:
    if text not in KINDS:
        raise ValueError(f"the right {text[:10]!r} is neither C nor P")
    return KINDS[text]


def _strike(text: str) -> int:
    strike = _price(text)
    if strike is None:
        raise ValueError(f"the strike {text[:20]!r} is no price")
    return strike


def _number(text: str) -> float | None:
    """Return a finite number, `None` for none."""
    number = float(text) if text.strip() else math.nan
    return number if math.isfinite(number) else None


def _price(text: str) -> int | None:
    number = _number(text)
    return ticks(text.strip()) if number is not None and number > 0 else None


def _count(text: str) -> int | None:
    number = _number(text)
    return None if number is None else int(number)
