"""A portfolio's equity: at each look its cash and what it holds, to the tick; nothing between two looks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phases.manage_positions import manage_positions
from phases.money import ticks
from phases.monitor_prices import monitor_prices
from phases.post_analysis import update_author_trust
from phases.scoring.equity import equity_of
from phases.stamps import stamp
from phases.tools import Quote, Split, Tools
from phases.trading.book import open_positions
from tests.phases.option_desk import CALENDAR, Desk, each_session, november, option
from tests.phases.test_conservation import PATHS, RUNS, SPLITS, Path, Run, World, law, live_through, sums

SPY_TICKS = ticks(400)
POINTS = "SELECT portfolio_id, valued_at, cash, held FROM portfolio_values ORDER BY valued_at, portfolio_id"


class Benchmarked(World):
    """A world with a benchmark that never moves."""

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        return (
            Quote(price=SPY_TICKS, at=at, basis="made up") if ticker == "SPY" else super().quote(ticker, at)
        )


class Days(Desk):
    """A desk whose runs value the portfolios at their end, as the pipeline's do."""

    def run(self, as_of: Any, *phases: Callable[..., None], **more: Any) -> Any:
        return super().run(
            as_of, *(phases or (manage_positions, monitor_prices, update_author_trust)), **more
        )


@pytest.fixture
def new_days(
    new_database: Callable[[], sqlite3.Connection], new_ctx: Callable[..., Any], tools: Callable[..., Tools]
) -> Callable[[], Days]:
    def build() -> Days:
        return Days(new_database(), lambda world, conn, **more: new_ctx(conn, world, **more), tools)

    return build


@pytest.mark.slow
@law
@given(PATHS, st.sampled_from([0.0, 0.02, 0.3]), SPLITS, RUNS)
def test_equity_is_cash_and_positions_at_their_last_price_at_every_look(
    new_days: Callable[[], Days],
    paths: list[Path],
    spread: float,
    splits: dict[str, Split],
    runs: list[Run],
) -> None:
    desk = new_days()
    with closing(desk.conn):
        noted: dict[tuple[int, str], tuple[int, int]] = {}
        for as_of in live_through(desk, Benchmarked(paths, spread, splits), runs):
            cash = sums(desk, "SELECT id, cash_available FROM portfolios")
            value = sums(desk, "SELECT id, current_value FROM portfolios")
            for portfolio in cash:
                worth = sum(one.worth(one.last_price) for one in open_positions(desk.conn, portfolio))
                assert cash[portfolio] + worth == value[portfolio]
                noted[portfolio, stamp(as_of)] = cash[portfolio], worth

        points = {
            (portfolio, at): (ticks(cash), ticks(held)) for portfolio, at, cash, held in desk.all(POINTS)
        }
        assert {price for (price,) in desk.all("SELECT benchmark FROM portfolio_values")} == {400.0}
        assert points == noted  # at the instants of the looks, with their figures, and at no other


def test_a_point_tells_the_oldest_price_that_it_rests_on(new_days: Callable[[], Days]) -> None:
    desk = new_days().bought()
    desk.run(november(10, 17), monitor_prices, update_author_trust)

    oldest = desk.all("SELECT portfolio_id, held > 0, oldest_price_at FROM portfolio_values ORDER BY 1")

    (held,) = [row for row in oldest if row[1]]
    assert held[2] == stamp(november(9, 17))
    assert [row[2] for row in oldest if not row[1]] == [None] * 3
    assert equity_of(7, []).oldest_price_at is None


def test_a_run_about_an_earlier_instant_adds_no_point(new_days: Callable[[], Days]) -> None:
    desk = new_days()
    desk.run(november(10, 17), update_author_trust)
    before = desk.all(POINTS)

    desk.run(november(9, 17), update_author_trust)

    assert desk.all(POINTS) == before


def test_what_monitoring_sees_of_an_option_is_kept_once(new_days: Callable[[], Days]) -> None:
    desk = new_days().bought()
    for day in each_session(10, 12):
        desk.chains.quotes.append(option(november(day, 17)))
        for _ in range(2):
            desk.run(november(day, 18), monitor_prices)

    marks = desk.all("SELECT at, premium FROM option_marks ORDER BY at")

    assert [at for at, _ in marks] == [stamp(november(day, 17)) for day in each_session(10, 12)]
    assert {premium for _, premium in marks} == {desk.one("last_price")[0]}


def test_nothing_is_kept_of_an_option_after_its_sale(new_days: Callable[[], Days]) -> None:
    desk = new_days().bought()
    for day, premium in ((10, 0.01), (11, 5.0)):
        desk.chains.quotes.append(option(november(day, 17), mark=ticks(premium)))

    desk.run(november(12, 17), monitor_prices)

    assert desk.one("status, exit_reason") == ("closed", "stop_loss")
    assert desk.all("SELECT at, premium FROM option_marks") == [(stamp(november(10, 17)), 0.01)]


def test_each_day_of_the_exchange_is_that_of_the_look(new_days: Callable[[], Days]) -> None:
    desk = new_days()
    late = november(10, 23) + timedelta(hours=3)  # the 11th in UTC, the 10th in New York

    desk.run(late, update_author_trust)

    assert {day for (day,) in desk.all("SELECT day FROM portfolio_values")} == {"2026-11-10"}
    assert CALENDAR.trading_date(late).isoformat() == "2026-11-10"


def test_a_price_of_the_benchmark_that_was_missing_is_added_when_it_is_known(
    new_days: Callable[[], Days],
) -> None:
    desk = new_days()
    benchmarks = "SELECT DISTINCT day, benchmark FROM portfolio_values ORDER BY day"
    desk.run(november(10, 17), update_author_trust)
    assert desk.all(benchmarks) == [("2026-11-10", None)]

    desk.shares.prices_usd["SPY"] = 410.0
    desk.run(november(11, 17), update_author_trust)

    assert desk.all(benchmarks) == [("2026-11-10", 410.0), ("2026-11-11", 410.0)]
