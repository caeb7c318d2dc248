"""Half-days, holidays and closed days: nothing is opened, nothing is sold late, and nothing twice."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pytest

from phases.manage_positions import manage_positions
from phases.money import ticks
from phases.prices.series import DailySeries
from phases.tools import Tools
from tests.phases.split_desk import CALENDAR, Desk, Market

HALF_DAY = date(2026, 11, 27)
"""The day after Thanksgiving: it ends at 18:00 UTC."""
CLOSED = [date(2026, 11, 26), date(2026, 11, 28), date(2018, 12, 5), date(2025, 1, 9)]
"""A holiday, a Saturday, and two days of mourning."""


@dataclass
class Dated(Market):
    """Daily prices in dollars by date."""

    by_date: Mapping[date, tuple[float, float, float, float]] | None = None

    def _series(self) -> DailySeries:
        series = DailySeries()
        for day, prices in (self.by_date or {}).items():
            series.put(day.toordinal(), array("q", (*map(ticks, prices), -1)))
        return series


@pytest.fixture
def desk(
    new_database: Callable[[], sqlite3.Connection], new_ctx: Callable[..., Any], tools: Callable[..., Tools]
) -> Iterator[Desk]:
    with closing(new_database()) as conn:
        yield Desk(conn, new_ctx, tools)


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def hold_since(desk: Desk, entered_at: datetime) -> None:
    """Hold ten shares bought at 100, with the stop at 90."""
    desk.hold(100)
    now = entered_at.isoformat().replace("+00:00", "Z")
    desk.conn.execute(
        "UPDATE positions SET entry_date = ?, entered_at = ?, last_checked_at = ?, last_price_at = ?",
        (now[:10], now, now, now),
    )
    desk.conn.commit()


def test_the_half_days_low_sells_from_one_oclock_on_and_not_at_four(desk: Desk) -> None:
    hold_since(desk, at(date(2026, 11, 25), 19))
    prices = Dated({}, by_date={HALF_DAY: (95, 96, 89, 92)})

    desk.run(prices, at(HALF_DAY, 17, 59))
    before = desk.exits()
    desk.run(prices, at(HALF_DAY, 18))

    assert before == []
    assert desk.exits() == [("stop_loss", 90.0, 10)]
    assert desk.one("exited_at", "position_exits") == ("2026-11-27T18:00:00.000Z",)


@pytest.mark.parametrize("closed", CLOSED)
def test_on_a_closed_day_nothing_is_sold_a_second_time_or_by_a_row_of_that_day(
    desk: Desk, closed: date
) -> None:
    """The row that a bad file has for that day is a price at which nobody traded."""
    hold_since(desk, at(date(closed.year, closed.month, 3), 19))
    desk.conn.execute("UPDATE positions SET entry_date = ?", (closed.isoformat(),))  # no time stop
    desk.conn.commit()
    prices = Dated({}, by_date={closed: (50, 51, 49, 50)})

    ctx = desk.run(prices, at(closed, 19))

    assert desk.exits() == []
    assert [one["type"] for one in ctx.warnings] == ["price_unavailable"]


def say(desk: Desk, day: date) -> None:
    """Write a bullish signal of a day."""
    signal = {
        "signal_date": day.isoformat(), "created_at": "", "updated_at": "", "ticker": "AAPL",
        "signal_type": "quality", "sentiment_score": 1.0, "prediction": "bullish", "confidence": 0.8,
        "comment_count": 5, "has_reasoning": 1, "prior_7d_mentions": 0, "distinct_users": 5,
    }  # fmt: skip
    desk.conn.execute(f"INSERT INTO signals ({', '.join(signal)}) VALUES (:{', :'.join(signal)})", signal)
    desk.conn.commit()


class Later:
    """A clock that says when phase 5 begins."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now


@pytest.mark.parametrize(
    ("began", "now", "bought"),
    [
        (at(HALF_DAY, 17, 30), at(HALF_DAY, 17, 59), 1),
        (at(HALF_DAY, 17, 30), at(HALF_DAY, 18, 1), 0),
        (at(HALF_DAY, 17, 30), at(date(2026, 11, 28), 12), 1),
    ],
    ids=["still open", "closed meanwhile", "a run of the past"],
)
def test_a_run_that_reaches_phase_5_after_the_close_buys_nothing(
    desk: Desk, began: datetime, now: datetime, bought: int
) -> None:
    say(desk, began.date())
    prices = Dated({}, by_date={HALF_DAY: (100, 101, 99, 100)})
    ctx = desk.new_ctx(desk.conn, desk.tools(as_of=began, prices=prices, calendar=CALENDAR), clock=Later(now))

    manage_positions(desk.conn, ctx)

    assert desk.conn.execute("SELECT count(*) FROM positions").fetchone() == (bought,)


@pytest.mark.parametrize(
    "now", [*(at(day, 17) for day in CLOSED), at(HALF_DAY, 18), at(HALF_DAY, 14, 29)], ids=str
)
def test_while_the_exchange_is_closed_nothing_is_opened_and_the_signal_is_kept(
    desk: Desk, now: datetime
) -> None:
    say(desk, now.date())
    tools = desk.tools(as_of=now, prices=Dated({}, by_date={now.date(): (10, 11, 9, 10)}), calendar=CALENDAR)
    ctx = desk.new_ctx(desk.conn, tools)

    manage_positions(desk.conn, ctx)

    assert [one["type"] for one in ctx.warnings] == ["market_hours_skipped"]
    assert desk.conn.execute("SELECT count(*) FROM positions").fetchone() == (0,)
    assert desk.one("position_opened", "signals") == (0,)
