"""Yahoo through yfinance: raw prices, nothing of the future, and each known fault by its name.

Yahoo itself was never asked. The frames with faults are those that yfinance's own tests recorded (prices in
other units, days that were not restated for a split); their days are read as if they were New York's, which
those exchanges are not. Other frames are made up here. That the real package has what the adapter uses is
checked on the installed one, and its way of failing on a port where nobody listens.
"""

from __future__ import annotations

import inspect
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from curl_cffi import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from yfinance.scrapers.history import PriceHistory

from phases.calendar import ExchangeCalendar
from phases.money import ticks
from phases.prices.breaker import Breaker
from phases.prices.circuit import BreakerOpen
from phases.prices.errors import (
    BadAnswer,
    NotOfNewYork,
    RateLimited,
    Stale,
    UnknownTicker,
    Unreachable,
    WrongUnits,
)
from phases.prices.retry import WAITS_S
from phases.prices.yahoo import YahooPrices, _named, fetch_with_yfinance, load, rows_of
from phases.tools import NoPrice, PricesUnavailable, Quote, Split

RECORDED = Path(__file__).parents[3] / "shared/data/market/yfinance"
CALENDAR = ExchangeCalendar()
COLUMNS = ["Open", "High", "Low", "Close", "Adj Close", "Volume", "Dividends", "Stock Splits"]
with_recordings = pytest.mark.skipif(
    not RECORDED.exists(), reason="the recorded frames are not beside this checkout"
)


def frame_of(rows: dict[str, list[float]], zone: str | None = "America/New_York") -> pd.DataFrame:
    """Return a frame as yfinance makes them: `{"2020-12-01": [open, high, low, close, volume, split]}`."""
    index = pd.DatetimeIndex([pd.Timestamp(at, tz=zone) for at in rows], name="Date")
    values = [[*row[:4], row[3], row[4], 0.0, row[5]] for row in rows.values()]
    return pd.DataFrame(values, index=index, columns=COLUMNS)


def recorded(name: str, zone: str | None = "America/New_York") -> pd.DataFrame:
    frame = pd.read_csv(RECORDED / f"{name}.csv")
    stamps = frame.pop(frame.columns[0])
    frame.index = pd.DatetimeIndex([pd.Timestamp(at[:19], tz=zone) for at in stamps], name="Date")
    return frame


@dataclass
class Yahoo:
    """Answers with frames, or fails; remembers what it was asked and how long it was waited for."""

    daily: Any
    quarters: Any = None
    failures: list[PricesUnavailable] = field(default_factory=list[PricesUnavailable])
    asked: list[tuple[str, date, str]] = field(default_factory=list[tuple[str, date, str]])
    waited_s: list[float] = field(default_factory=list[float])
    now: datetime = datetime(2021, 1, 15, tzinfo=UTC)

    def fetch(self, ticker: str, since: date, interval: str) -> Any:
        self.asked.append((ticker, since, interval))
        if self.failures:
            raise self.failures.pop(0)
        found = self.daily if interval == "1d" else self.quarters
        if found is None:
            return frame_of({})
        return found[[at.date() >= since for at in found.index]]

    def prices(self) -> YahooPrices:
        return YahooPrices(CALENDAR, self.fetch, self.waited_s.append, lambda: self.now)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


WEEK = {
    "2020-11-23": [70.0, 71.0, 69.0, 70.0, 1e6, 0.0],
    "2020-11-24": [70.0, 72.0, 70.0, 71.0, 1e6, 0.0],
    "2020-11-25": [71.0, 73.0, 70.0, 72.0, 1e6, 0.0],
    "2020-11-27": [72.0, 73.0, 71.0, 72.0, 1e6, 0.0],
    "2020-11-30": [72.5, 74.0, 71.0, 73.0, 1e6, 7.0],
    "2020-12-01": [73.0, 75.0, 72.0, 74.0, 1e6, 0.0],
}
"""Restated dollars, as Yahoo tells them: shares were split on Monday, and cost seven times as much before."""


# --- raw again ---


def test_prices_before_a_split_are_what_was_traded_and_the_split_stands_by_itself() -> None:
    prices = Yahoo(frame_of(WEEK)).prices()

    bars = prices.bars("GME", at("2020-11-25"), at("2020-12-02"))

    assert [bar.close for bar in bars] == [ticks(504), ticks(504), ticks(73), ticks(74)]
    assert prices.splits("GME", at("2020-11-25"), at("2020-12-02")) == [
        Split(at=at("2020-11-30 14:30"), ratio=Fraction(7))
    ]
    assert prices.splits("GME", at("2020-11-25"), at("2020-11-30 14:29")) == []


def test_a_reverse_splits_ratio_is_exact_though_yahoo_writes_it_as_a_float() -> None:
    rows = {"2020-11-30": [1.0, 1.0, 1.0, 1.0, 5.0, 0.0], "2020-12-01": [1.0, 1.0, 1.0, 1.0, 5.0, 1 / 3]}
    prices = Yahoo(frame_of(rows)).prices()

    (found,) = prices.splits("GME", at("2020-11-25"), at("2020-12-02"))

    assert found.ratio == Fraction(1, 3)
    assert prices.quote("GME", at("2020-11-30 22:00")) == Quote(
        price=3333, at=at("2020-11-30 21:00"), basis="close 2020-11-30"
    )


@settings(deadline=None)
@given(st.sampled_from(["2020-11-25 22:00", "2020-11-29 12:00", "2020-11-30 16:00", "2020-12-01 15:00"]))
def test_what_yahoo_learns_later_changes_no_answer(now: str) -> None:
    """Yahoo itself restates the past at each split; a reader of the past sees the same prices still."""
    later = {
        day: [price / 2 for price in row[:4]] + row[4:] if day < "2021-01-04" else row
        for day, row in WEEK.items()
    } | {"2021-01-04": [37.0, 38.0, 36.0, 37.0, 1e6, 2.0]}

    def seen(rows: dict[str, list[float]]) -> object:
        prices = Yahoo(frame_of(rows)).prices()
        start = at("2020-11-23")
        return (
            prices.bars("GME", start, at(now)),
            prices.splits("GME", start, at(now)),
            prices.quote("GME", at(now)),
        )

    assert seen(later) == seen(WEEK)


# --- what is public when ---


def quarters(*closes: float, day: str = "2020-12-01") -> pd.DataFrame:
    starts = pd.date_range(f"{day} 09:30", periods=len(closes), freq="15min", tz="America/New_York")
    return frame_of(
        {
            str(start)[:19]: [close, close, close, close, 9.0, 0.0]
            for start, close in zip(starts, closes, strict=True)
        }
    )


def test_while_a_session_lasts_the_last_complete_quarter_of_an_hour_is_the_quote() -> None:
    yahoo = Yahoo(frame_of(WEEK), quarters(73.5, 73.6, 73.7, 73.8))

    quote = yahoo.prices().quote("GME", at("2020-12-01 15:14"))

    assert quote == Quote(
        price=ticks("73.6"), at=at("2020-12-01 15:00"), basis="15 minutes until 2020-12-01 15:00 UTC"
    )


@pytest.mark.parametrize(
    ("more", "now", "basis"),
    [
        pytest.param({"quarters": quarters(73.5)}, "2020-12-01 14:44", "open 2020-12-01", id="too early"),
        pytest.param({}, "2020-12-01 15:14", "open 2020-12-01", id="no quarters"),
        pytest.param(
            {"quarters": quarters(73.5), "now": at("2021-03-01")}, "2020-12-01 15:14", "open 2020-12-01",
            id="too long ago",
        ),
        pytest.param(
            {"quarters": quarters(73.5, day="2020-11-27")}, "2020-11-27 15:14", "open 2020-11-27",
            id="restated since",
        ),
        pytest.param({"quarters": quarters(73.5)}, "2020-12-01 21:00", "close 2020-12-01", id="closed"),
        pytest.param({"quarters": quarters(73.5)}, "2020-12-02 14:00", "close 2020-12-01", id="before"),
    ],
)  # fmt: skip
def test_otherwise_the_quote_is_of_the_days(more: dict[str, Any], now: str, basis: str) -> None:
    quote = Yahoo(frame_of(WEEK), **more).prices().quote("GME", at(now))

    assert quote is not None
    assert quote.basis == basis


def test_quarters_that_fail_are_no_failure() -> None:
    yahoo = Yahoo(frame_of(WEEK), quarters(73.5))
    prices = yahoo.prices()
    prices.bars("GME", at("2020-11-25"), at("2020-12-01"))
    yahoo.failures = [RateLimited("too often")]

    quote = prices.quote("GME", at("2020-12-01 15:14"))

    assert quote is not None
    assert quote.basis == "open 2020-12-01"


@with_recordings
def test_in_recorded_quarters_the_quote_follows_the_clock() -> None:
    """Prices before the bell are in the recording and are not used."""
    frame = recorded("EA-15m-no-bad-divs")
    day = frame_of({"2026-05-22": [200, 201, 199, 200, 9, 0], "2026-05-26": [200.6, 201, 199, 200, 9, 0]})
    yahoo = Yahoo(day, frame, now=at("2026-05-27"))

    quotes = [
        yahoo.prices().quote("EA", at(f"2026-05-26 {clock}"))
        for clock in ("13:29", "13:44", "13:46", "15:01")
    ]

    assert [quote and quote.basis for quote in quotes] == [
        "close 2026-05-22", "open 2026-05-26", "15 minutes until 2026-05-26 13:45 UTC",
        "15 minutes until 2026-05-26 15:00 UTC",
    ]  # fmt: skip
    assert [quote and quote.price for quote in quotes][2:] == [ticks("200.9250"), ticks("200.6200")]


def test_a_ticker_is_asked_for_once_unless_an_earlier_day_is_wanted() -> None:
    yahoo = Yahoo(frame_of(WEEK))
    prices = yahoo.prices()

    prices.bars("GME", at("2020-11-25 12:00"), at("2020-12-01"))
    prices.splits("GME", at("2020-11-25 12:00"), at("2020-12-01"))
    prices.quote("GME", at("2020-12-02 22:00"))
    prices.bars("GME", at("2020-11-23 12:00"), at("2020-12-01"))

    assert yahoo.asked == [("GME", date(2020, 9, 26), "1d"), ("GME", date(2020, 9, 24), "1d")]


# --- Yahoo's faults ---


@with_recordings
@pytest.mark.parametrize(
    "name", ["AET-L-1d-100x-error", "4063-T-1d-bad-stock-split", "MOB-ST-1d-bad-stock-split"]
)
def test_prices_of_other_units_or_of_old_shares_are_refused_and_their_repaired_twins_are_not(
    name: str,
) -> None:
    def last(frame: pd.DataFrame) -> datetime:
        return datetime.combine(max(frame.index).date(), datetime.min.time(), UTC) + timedelta(hours=23)

    bad, fixed = recorded(name), recorded(f"{name}-fixed")

    with pytest.raises(
        WrongUnits, match=r"Yahoo's price of XYZ goes from .* other units, or days that were not"
    ):
        Yahoo(bad).prices().quote("XYZ", last(bad))
    quote = Yahoo(fixed).prices().quote("XYZ", last(fixed))
    assert quote is not None
    assert quote.price == ticks(float(fixed.loc[max(fixed.index), "Close"]))


@with_recordings
@pytest.mark.parametrize(
    ("name", "zone"), [("4063-T-1d-bad-stock-split-fixed", "Asia/Tokyo"), ("AET-L-1d-100x-error-fixed", None)]
)
def test_days_of_another_exchange_are_refused(name: str, zone: str | None) -> None:
    with pytest.raises(NotOfNewYork, match=f"the time zone {zone}, not in America/New_York"):
        Yahoo(recorded(name, zone)).prices().quote("XYZ", at("2022-06-06 22:00"))


@pytest.mark.parametrize(
    "row",
    [
        pytest.param([float("nan"), 75.0, 72.0, 74.0, 1.0, 0.0], id="no open"),
        pytest.param([73.0, 72.0, 75.0, 74.0, 1.0, 0.0], id="crossed"),
        pytest.param([73.0, 75.0, 72.0, 76.0, 1.0, 0.0], id="close above high"),
        pytest.param([0.0, 0.0, 0.0, 0.0, 1.0, 0.0], id="zero"),
        pytest.param([-73.0, 75.0, -74.0, 74.0, 1.0, 0.0], id="negative"),
        pytest.param([73.0, float("inf"), 72.0, 74.0, 1.0, 0.0], id="infinite"),
    ],
)
def test_a_row_without_sense_is_not_believed_and_counted(row: list[float]) -> None:
    prices = Yahoo(frame_of({**WEEK, "2020-12-01": row})).prices()

    quote = prices.quote("GME", at("2020-12-01 22:00"))

    assert quote is not None
    assert quote.basis == "close 2020-11-30"
    assert [one.context["refused"] for one in prices.remarks()] == [1]


def test_a_day_without_volume_is_a_day_all_the_same() -> None:
    prices = Yahoo(frame_of({**WEEK, "2020-12-01": [73.0, 75.0, 72.0, 74.0, 0.0, 0.0]})).prices()

    assert [bar.volume for bar in prices.bars("GME", at("2020-11-30"), at("2020-12-02"))] == [10**6, 0]


def test_a_day_that_comes_twice_and_out_of_order_counts_once() -> None:
    frame = frame_of(WEEK)

    twice = pd.concat([frame.iloc[::-1], frame.tail(1)])

    assert rows_of(twice) == rows_of(frame)


def test_a_price_of_more_than_three_sessions_ago_is_stale() -> None:
    prices = Yahoo(frame_of(WEEK)).prices()

    assert prices.quote("GME", at("2020-12-04 22:00")) is not None
    with pytest.raises(Stale, match=r"Yahoo's last price of GME is of 2020-12-01, 4 sessions ago"):
        prices.quote("GME", at("2020-12-07 22:00"))


def test_a_ticker_without_days_before_the_instant_is_unknown() -> None:
    with pytest.raises(UnknownTicker, match="no price of GME of the two months before 2020-11-20"):
        Yahoo(frame_of(WEEK)).prices().quote("GME", at("2020-11-20 22:00"))


def test_an_empty_frame_is_asked_for_again_and_then_an_error() -> None:
    yahoo = Yahoo(None)

    with pytest.raises(BadAnswer, match="Yahoo sent no days of GME: it does so when it is asked too often"):
        yahoo.prices().quote("GME", at("2020-12-01 22:00"))

    assert yahoo.waited_s == list(WAITS_S)
    assert len(yahoo.asked) == 4


@pytest.mark.parametrize(
    ("failures", "waited_s"),
    [
        ([RateLimited("x")], [1.0]),
        ([Unreachable("x"), BadAnswer("x"), RateLimited("x")], [1.0, 2.0, 4.0]),
    ],
    ids=["once", "three times"],
)
def test_a_passing_failure_is_waited_for(failures: list[PricesUnavailable], waited_s: list[float]) -> None:
    yahoo = Yahoo(frame_of(WEEK), failures=failures)

    assert yahoo.prices().quote("GME", at("2020-12-01 22:00")) is not None
    assert yahoo.waited_s == waited_s


def test_an_unknown_ticker_is_not_asked_for_again() -> None:
    yahoo = Yahoo(frame_of(WEEK), failures=[UnknownTicker("gone")])

    with pytest.raises(UnknownTicker):
        yahoo.prices().quote("GME", at("2020-12-01 22:00"))

    assert yahoo.waited_s == []


def test_a_yahoo_that_is_down_is_left_alone_after_three_tickers() -> None:
    yahoo = Yahoo(None, failures=[Unreachable("no answer")] * 12)
    prices = Breaker(yahoo.prices())

    told = [told_by(partial(prices.quote, ticker, at("2020-12-01 22:00"))) for ticker in ("A", "B", "C", "D")]

    assert told == [Unreachable, Unreachable, Unreachable, BreakerOpen]


def told_by(question: Callable[[], object]) -> type[Exception]:
    with pytest.raises(PricesUnavailable) as caught:
        question()
    return caught.type


# --- the real package ---


def test_the_installed_yfinance_has_what_is_used_of_it() -> None:
    yf = load()
    takes = inspect.signature(PriceHistory.history).parameters

    assert {"start", "interval", "auto_adjust", "actions", "timeout"} <= set(takes)
    assert {"ticker", "session"} <= set(inspect.signature(yf.Ticker.__init__).parameters)
    assert issubclass(yf.exceptions.YFPricesMissingError, yf.exceptions.YFTickerMissingError)
    assert issubclass(yf.exceptions.YFTzMissingError, yf.exceptions.YFTickerMissingError)
    assert issubclass(yf.exceptions.YFRateLimitError, Exception)
    assert issubclass(yf.exceptions.YFDataException, Exception)
    assert "hide_exceptions" in repr(yf.config.debug)
    assert callable(yf.set_tz_cache_location)


def test_a_refused_connection_of_the_real_package_is_unreachable(tmp_path: Path) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{unheard.getsockname()[1]}"
    session = requests.Session(proxies={"http": proxy, "https": proxy})
    fetch = fetch_with_yfinance(tmp_path, session)

    with session, pytest.raises(Unreachable, match="Yahoo can't be reached: "):
        fetch("GME", date(2020, 12, 1), "1d")


@pytest.mark.parametrize(
    ("raised", "named"),
    [
        (lambda known: known.YFRateLimitError(), RateLimited),
        (lambda known: known.YFPricesMissingError("GME", ""), UnknownTicker),
        (lambda known: known.YFTzMissingError("GME"), UnknownTicker),
        (lambda known: known.YFDataException("down"), Unreachable),
        (lambda _known: TimeoutError(), Unreachable),
        (lambda known: known.YFInvalidPeriodError("GME", "1x", "1d"), BadAnswer),
        (lambda _known: KeyError("meta"), BadAnswer),
    ],
)
def test_each_error_of_the_real_package_has_a_name_here(
    raised: Callable[[Any], Exception], named: type[Exception]
) -> None:
    known = load().exceptions

    found = _named("GME", raised(known), known)

    assert type(found) is named
    assert isinstance(found, NoPrice) == (named is UnknownTicker)
