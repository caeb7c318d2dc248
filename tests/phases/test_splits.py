"""Splits: nobody gets richer or poorer by one, each counts once, and an unannounced one is noticed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from phases.money import ticks
from phases.tools import Bar, Quote, Split, Tools
from phases.trading.book import open_one, open_positions
from phases.trading.exits import Holding
from phases.trading.splits import (
    FACTORS,
    TOLERANCE,
    apply_split,
    before_jump,
    last_moment,
    pending,
    restated,
    split_like,
)
from tests.phases.lean_daily import LeanDaily
from tests.phases.split_desk import CALENDAR, Desk, Market, june, split

LEAN = Path(__file__).parents[3] / "shared/data/market/lean"
with_lean = pytest.mark.skipif(not LEAN.exists(), reason="the Lean files are not beside this checkout")
RATIOS = st.builds(Fraction, st.integers(1, 100), st.integers(1, 100))
law = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
"""The fixtures handed to laws are builders without state."""


@pytest.fixture
def new_desk(
    new_database: Callable[[], sqlite3.Connection], new_ctx: Callable[..., Any], tools: Callable[..., Tools]
) -> Callable[[], Desk]:
    return lambda: Desk(new_database(), new_ctx, tools)


@pytest.fixture
def desk(new_desk: Callable[[], Desk]) -> Iterator[Desk]:
    made = new_desk()
    with closing(made.conn):
        yield made


# --- laws ---


@given(st.integers(1, 10**9), st.integers(1, 10**6), st.integers(1, 10**9), RATIOS, st.integers(1, 200))
def test_a_split_makes_nobody_richer(
    entry: int, shares: int, price: int, ratio: Fraction, stop_pct: int
) -> None:
    holding = Holding(
        entry_price=entry, units=shares, stop=entry * stop_pct // 100, target=entry * 2, peak=entry
    )

    after = restated(holding, price, ratio)

    new = after.holding
    assert after.last_price * new.units + after.cash == price * shares
    assert after.gain == after.cash - (entry * shares - new.entry_price * new.units)
    assert 0 <= after.cash <= price / ratio + new.units
    assert new.units == shares * ratio.numerator // ratio.denominator
    for old_level, level in [(holding.stop, new.stop), (holding.target, new.target), (entry, new.peak)]:
        assert abs(level * ratio - old_level) <= ratio / 2


@given(st.integers(1, 10**9), st.sampled_from(FACTORS), st.booleans(), st.integers(-490, 490))
def test_a_move_within_the_tolerance_of_a_splits_size_is_one_that_might_be_it(
    price: int, factor: int, reverse: bool, off: int
) -> None:
    assume(price > 10**6)
    ratio = Fraction(1, factor) if reverse else Fraction(factor)

    seen = split_like(price, round(price / ratio / (1 + Fraction(off, 10_000))))

    assert seen is not None
    assert abs(seen / ratio - 1) <= 2 * TOLERANCE + Fraction(1, 100)


@given(st.integers(1, 10**9), st.integers(-40, 85))
def test_a_nights_move_of_less_than_half_is_no_split(price: int, change_pct: int) -> None:
    assert split_like(price, price + price * change_pct // 100) is None


@pytest.mark.slow
@law
@given(st.integers(1, 500), RATIOS, st.integers(10_000, 10_000_000), st.booleans())
def test_in_the_book_a_split_changes_no_value_and_is_written_once(
    new_desk: Callable[[], Desk], shares: int, ratio: Fraction, price: int, took_profit: bool
) -> None:
    assume(price * shares <= 1_000_000_000)  # a portfolio holds 100,000 dollars
    desk = new_desk()
    event = Split(at=june(9, 13, 30), ratio=ratio)
    with closing(desk.conn):
        position_id = desk.hold(price / 10_000, shares)
        if took_profit:
            desk.conn.execute("UPDATE positions SET shares_remaining = max(1, shares / 2)")
            desk.conn.commit()
        (position,) = open_positions(desk.conn)
        before = desk.value()

        first = apply_split(desk.conn, position, event, calendar=CALENDAR, now=june(9))
        written = desk.one("*", "position_splits"), desk.one("*")
        again = apply_split(desk.conn, position, event, calendar=CALENDAR, now=june(10))

        assert (first, again) == (True, False)
        assert (desk.one("*", "position_splits"), desk.one("*")) == written
        assert desk.value() == before
        assert desk.conn.execute("SELECT current_value FROM portfolios WHERE id = 1").fetchone() == (
            before / 10_000,
        )
        assert pending(desk.conn, Market({}, [event]), position, june(30)) == []
        closed = open_one(desk.conn, position_id) is None
        assert closed == (position.holding.units * ratio < 1)


def test_a_person_who_sold_meanwhile_is_not_overruled(desk: Desk) -> None:
    desk.hold(100)
    (position,) = open_positions(desk.conn)
    desk.conn.execute("UPDATE positions SET shares_remaining = 4")
    desk.conn.commit()

    assert not apply_split(desk.conn, position, split(10), calendar=CALENDAR, now=june(9))

    assert desk.one("shares, shares_remaining") == (10, 4)


# --- the jump guard ---


def bar(day: int, opened: float, close: float) -> Bar:
    low, high = sorted((ticks(opened), ticks(close)))
    start, end = june(day, 13, 30), june(day, 20)
    return Bar(start=start, end=end, open=ticks(opened), high=high, low=low, close=ticks(close))


@pytest.mark.parametrize(
    ("bars", "kept", "jumped"),
    [
        pytest.param([bar(9, 100, 98), bar(10, 99, 97)], 2, False, id="quiet"),
        pytest.param([bar(9, 100, 98), bar(10, 49.5, 50)], 1, True, id="halved in the second night"),
        pytest.param([bar(9, 1000, 990)], 0, True, id="tenfold"),
        pytest.param([bar(9, 100, 50), bar(10, 50, 49)], 2, False, id="halved by day"),
        pytest.param([bar(9, 64, 60)], 1, False, id="fell by a third"),
    ],
)
def test_what_comes_after_a_split_like_night_is_held_back(
    desk: Desk, bars: list[Bar], kept: int, jumped: bool
) -> None:
    desk.hold(100)
    (position,) = open_positions(desk.conn)
    quote = Quote(price=bars[-1].close, at=bars[-1].end, basis="test")

    seen, last, jump = before_jump(position, bars, quote, CALENDAR)

    assert list(seen) == bars[:kept]
    assert (jump is not None) == jumped
    assert (last is None) == jumped


def test_a_quote_alone_can_be_the_jump_but_not_one_of_the_same_day(desk: Desk) -> None:
    desk.hold(100)
    (position,) = open_positions(desk.conn)

    def jump_at(at: datetime) -> bool:
        return before_jump(position, [], Quote(price=ticks(50), at=at, basis="t"), CALENDAR)[2] is not None

    assert jump_at(june(9, 13, 30))
    assert not jump_at(june(6, 19, 30))


def test_the_last_moment_of_the_old_shares_is_before_the_bell_and_kept_by_a_stamp() -> None:
    assert last_moment(split(7)) < split(7).at
    assert replace(split(7), at=last_moment(split(7)) + timedelta(milliseconds=1)) == split(7)


@with_lean
@pytest.mark.parametrize("ticker", ["AAPL", "SPY", "GOOG", "FB"])
def test_in_decades_of_real_nights_only_real_splits_look_like_one(ticker: str) -> None:
    prices = LeanDaily(LEAN, ticker, CALENDAR)
    bars = prices.bars(ticker, datetime(1998, 1, 2, tzinfo=UTC), datetime(2021, 4, 1, tzinfo=UTC))

    seen = {(new.start, ratio) for old, new in pairwise(bars) if (ratio := split_like(old.close, new.open))}

    announced = prices.splits(ticker, bars[0].start, bars[-1].end)
    assert {at for at, _ in seen} == {one.at for one in announced if one.ratio >= 2} | FALLS[ticker]


FALLS: dict[str, set[datetime]] = {
    "AAPL": {datetime(2000, 9, 29, 13, 30, tzinfo=UTC)},
    "SPY": set(),
    "GOOG": {datetime(2014, 4, 3, 13, 30, tzinfo=UTC)},
    "FB": set(),
}
"""Nights that look like a split and are not in the factor file: Apple's profit warning halved its price, and
Google's class C shares took over the symbol of the class A shares, which the file tells by the map alone."""
