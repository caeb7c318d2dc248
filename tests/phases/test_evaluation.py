"""Phase 7, the windows: end to end, in lockstep, like compared with like; and the rule of graduation."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phases.money import ticks
from phases.scoring.evaluation import WINDOW, evaluate, figures
from phases.scoring.graduation import Result, graduation
from phases.tools import Bar, PricesUnavailable, Quote, Tools

Making = Callable[..., Any]
FIRST = datetime(2025, 1, 6, 18, tzinfo=UTC)
"""A Monday, in mid-session."""

# The fixtures handed to laws are builders without state, so sharing them between examples is safe.
law = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class Benchmark:
    """SPY at 400 dollars on the first day, one dollar more each day; silent on the days named."""

    silent: set[date] = field(default_factory=set[date])
    asked: list[datetime] = field(default_factory=list[datetime])
    name: str = "benchmark"

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        assert ticker == "SPY"
        self.asked.append(at)
        if at.date() in self.silent:
            raise PricesUnavailable("no answer")
        return Quote(price=ticks(400 + (at.date() - FIRST.date()).days), at=at, basis="test")

    def bars(self, *_: Any) -> Sequence[Bar]:
        raise AssertionError("nothing asks for bars")


class Book:
    """Four portfolios, and runs of the phase on days after the first."""

    def __init__(self, conn: sqlite3.Connection, new_ctx: Making, tools: Callable[..., Tools]) -> None:
        self.conn = conn
        self._new_ctx = new_ctx
        self._tools = tools
        self.prices = Benchmark()

    def run(self, day: int, **values_usd: float) -> Any:
        """Run on a day after the first, with portfolios worth what is said."""
        for name, value in values_usd.items():
            self.conn.execute("UPDATE portfolios SET current_value = ? WHERE name = ?", (value, name))
        self.conn.commit()
        ctx = self._new_ctx(self.conn, self._tools(as_of=FIRST + timedelta(days=day), prices=self.prices))
        evaluate(self.conn, ctx)
        self.conn.commit()
        return ctx

    def close(self, day: int, gain: float) -> None:
        """Write a stock position of the first portfolio that was closed on a day after the first."""
        on = (FIRST.date() + timedelta(days=day)).isoformat()
        (signal,) = self.conn.execute(
            "INSERT INTO signals (signal_date, created_at, updated_at, ticker, signal_type, sentiment_score,"
            " prediction, confidence, comment_count, has_reasoning, prior_7d_mentions, distinct_users)"
            " VALUES (?, '', '', 'T' || (SELECT count(*) FROM signals), 'quality', 1, 'bullish', 0.8, 5, 1,"
            " 0, 5) RETURNING id",
            (on,),
        ).fetchone()
        self.conn.execute(
            "INSERT INTO positions (portfolio_id, signal_id, ticker, instrument_type, signal_type, direction,"
            " confidence, position_size, entry_date, entered_at, entry_price, entry_basis, status,"
            " last_checked_at, shares, shares_remaining, exit_date, exit_reason, hold_days,"
            " realized_return_pct) VALUES (1, ?, 'GME', 'stock', 'quality', 'long', 0.8, 100, ?, '', 10, '',"
            " 'closed', '', 10, 0, ?, 'time_stop', 0, ?)",
            (signal, on, on, gain),
        )
        self.conn.commit()

    def periods(self, columns: str, portfolio_id: int = 1) -> list[tuple[Any, ...]]:
        return self.conn.execute(
            f"SELECT {columns} FROM evaluation_periods WHERE portfolio_id = ? ORDER BY period_start",
            (portfolio_id,),
        ).fetchall()

    def everything(self) -> list[str]:
        return list(self.conn.iterdump())


@pytest.fixture
def new_book(
    new_database: Callable[[], sqlite3.Connection], new_ctx: Making, tools: Callable[..., Tools]
) -> Callable[[], Book]:
    return lambda: Book(new_database(), new_ctx, tools)


@pytest.fixture
def book(conn: sqlite3.Connection, new_ctx: Making, tools: Callable[..., Tools]) -> Book:
    return Book(conn, new_ctx, tools)


def on(day: int) -> str:
    return (FIRST.date() + timedelta(days=day)).isoformat()


# --- laws ---

days = st.lists(st.integers(0, 400), min_size=1, max_size=12).map(sorted)
gains = st.lists(st.tuples(st.integers(0, 400), st.sampled_from([-0.1, 0.0, 0.15])), max_size=8)


@law
@given(days=days)
def test_windows_lie_end_to_end_and_the_last_one_holds_the_day(
    new_book: Callable[[], Book], days: list[int]
) -> None:
    book = new_book()
    for day in days:
        book.run(day)

    windows = book.periods("period_start, period_end, status")
    starts, ends = [start for start, _, _ in windows], [end for _, end, _ in windows]
    assert starts == [on(days[0]), *ends[:-1]]
    assert all(
        date.fromisoformat(end) - date.fromisoformat(start) == WINDOW
        for start, end in zip(starts, ends, strict=True)
    )
    assert starts[-1] <= on(days[-1]) <= ends[-1]
    assert [status for *_, status in windows] == [*["completed"] * (len(windows) - 1), "active"]
    for portfolio_id in (2, 3, 4):
        assert book.periods("period_start, period_end, status", portfolio_id) == windows


@law
@given(days=days, gains=gains)
def test_each_closed_position_counts_in_one_window(
    new_book: Callable[[], Book], days: list[int], gains: list[tuple[int, float]]
) -> None:
    book = new_book()
    for day in days:
        book.run(day)
    counted = [(day, gain) for day, gain in gains if days[0] <= day <= days[-1]]
    for day, gain in counted:
        book.close(day, gain)

    book.run(days[-1])

    totals = book.periods("total_positions_closed, winning_positions, losing_positions")
    assert [sum(column) for column in zip(*totals, strict=True)] == [
        len(counted),
        sum(gain > 0 for _, gain in counted),
        sum(gain < 0 for _, gain in counted),
    ]


@law
@given(days=days, gains=gains, again=st.integers(1, 3))
def test_running_again_changes_nothing(
    new_book: Callable[[], Book], days: list[int], gains: list[tuple[int, float]], again: int
) -> None:
    book = new_book()
    for day, gain in gains:
        book.close(day, gain)
    for day in days:
        book.run(day)
    before = book.everything()

    for day in [days[-1]] * again + days:
        book.run(day)

    assert book.everything() == before


@law
@given(days=days, values=st.data())
def test_returns_chain(new_book: Callable[[], Book], days: list[int], values: st.DataObject) -> None:
    book = new_book()
    for day in days:
        book.run(day, stocks_quality=values.draw(st.integers(50_000, 200_000)))

    looks = book.periods(
        "value_at_period_start, last_value, benchmark_at_period_start, last_benchmark, opened_at,"
        " last_valued_at"
    )
    for before, after in pairwise(looks):
        assert (after[0], after[2], after[4]) == (before[1], before[3], before[5])


# --- examples ---


def test_a_window_ends_with_the_last_look_inside_it(book: Book) -> None:
    book.run(0)
    book.run(20, stocks_quality=103_000)
    book.run(31, stocks_quality=50_000)

    (completed, active) = book.periods(
        "status, portfolio_return_pct, sp500_return_pct, relative_performance, beat_benchmark"
    )

    assert completed == ("completed", 0.03, 20 / 400, pytest.approx(-0.02), 0)
    assert active == (
        "active",
        (50_000 - 103_000) / 103_000,
        11 / 420,
        pytest.approx(active[1] - 11 / 420),
        0,
    )


def test_the_day_of_the_end_belongs_to_the_window(book: Book) -> None:
    book.run(0)
    book.close(30, 0.1)
    book.close(31, -0.1)
    book.run(30)
    assert book.periods("status, winning_positions, losing_positions") == [("active", 1, 0)]

    book.run(31)

    assert book.periods("status, winning_positions, losing_positions") == [
        ("completed", 1, 0),
        ("active", 0, 1),
    ]


def test_a_position_closed_on_the_very_first_day_counts(book: Book) -> None:
    book.close(0, 0.1)

    book.run(0)

    assert book.periods("total_positions_closed, avg_return_pct, signal_accuracy_pct") == [(1, 0.1, 1.0)]


def test_windows_that_nobody_looked_into_have_no_return(book: Book) -> None:
    book.run(0)
    book.run(10)
    book.run(100)

    returns = book.periods("portfolio_return_pct, sp500_return_pct, beat_benchmark")

    assert returns == [(0.0, 10 / 400, 0), (None, None, None), (None, None, None), (0.0, 90 / 410, 0)]


def test_a_missing_benchmark_is_warned_of_and_asked_for_again(book: Book) -> None:
    book.prices.silent = {FIRST.date(), FIRST.date() + timedelta(days=10)}
    first = book.run(0)
    second = book.run(10)
    blind = book.periods("portfolio_return_pct, sp500_return_pct, relative_performance, beat_benchmark")
    book.prices.silent = set()

    third = book.run(31)

    assert [each.warnings[0]["type"] for each in (first, second)] == ["benchmark_unavailable"] * 2
    assert blind == [(0.0, None, None, None)]
    assert third.warnings == []
    assert book.periods("sp500_return_pct") == [(10 / 400,), (21 / 410,)]


@pytest.mark.parametrize(
    "wrong", ["period_end = period_start", "beat_benchmark = 2", "last_benchmark = 0", "status = 'over'"]
)
def test_the_schema_refuses_a_window_that_makes_no_sense(book: Book, wrong: str) -> None:
    book.run(0)

    with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"):
        book.conn.execute(f"UPDATE evaluation_periods SET {wrong}")


def test_a_dead_source_is_asked_three_times(book: Book) -> None:
    book.prices.silent = {FIRST.date() + timedelta(days=day) for day in range(300)}
    for day in range(0, 200, 20):
        book.run(day)
    book.prices.asked.clear()

    book.run(200)

    assert len(book.prices.asked) == 3


def test_a_run_at_an_earlier_instant_changes_nothing(book: Book) -> None:
    book.run(40)
    before = book.everything()

    book.run(39)
    book.run(0)

    assert book.everything() == before


def test_no_figures_without_looks() -> None:
    found = figures((None, None), (None, None), [])

    assert set(vars_of(found)) == {None, 0}


def vars_of(found: Any) -> list[Any]:
    return [getattr(found, name) for name in found.__slots__]


# --- graduation ---


def results(*windows: tuple[float | None, float | None]) -> list[Result]:
    """Return windows of both types, oldest first: the quality portfolio's figure and consensus'."""
    return [
        Result(period_start=on(30 * number), signal_type=signal_type, relative_performance=relative)
        for number, window in enumerate(windows)
        for signal_type, relative in zip(("quality", "consensus"), window, strict=True)
    ]


def test_a_type_graduates_that_is_best_in_all_windows_and_beats_the_benchmark_in_most() -> None:
    judged = graduation(results((0.02, 0.01), (-0.15, -0.2), (0.01, -0.3)))

    assert (judged.graduated, judged.signal_type, judged.reasons) == (True, "quality", ())


@pytest.mark.parametrize(
    ("windows", "reason"),
    [
        ([(0.1, 0.0), (0.1, 0.0)], "2 of 3 windows are completed"),
        ([(0.1, 0.0), (0.1, 0.2), (0.1, 0.0)], "no signal type is known to be the better one"),
        ([(0.1, 0.0), (0.1, 0.1), (0.1, 0.0)], "no signal type is known to be the better one"),
        ([(0.1, 0.0), (0.1, None), (0.1, 0.0)], "no signal type is known to be the better one"),
        ([(0.1, 0.0), (-0.1, -0.2), (0.0, -0.1)], "beat the benchmark in 1 of 3 windows, not in 2"),
        ([(0.1, 0.0), (0.1, 0.0), (-0.151, -0.2)], "15.1% behind the benchmark in one window"),
    ],
)
def test_what_is_missing_is_said(windows: list[tuple[float | None, float | None]], reason: str) -> None:
    judged = graduation(results(*windows))

    assert not judged.graduated
    assert judged.signal_type is None
    assert reason in judged.reasons[0]


def test_only_the_newest_three_windows_are_looked_at() -> None:
    lost, won = (-0.5, -0.6), (0.1, 0.0)

    assert graduation(results(lost, won, won, won)).graduated
    assert not graduation(results(won, won, won, lost)).graduated


relatives = st.one_of(st.none(), st.floats(-0.5, 0.5))


@given(st.lists(st.tuples(relatives, relatives), max_size=5))
def test_whoever_graduates_was_never_far_behind_and_mostly_ahead(
    windows: list[tuple[float | None, float | None]],
) -> None:
    judged = graduation(results(*windows))

    assert judged.graduated == (judged.signal_type is not None) == (not judged.reasons)
    if judged.graduated:
        index = ("quality", "consensus").index(str(judged.signal_type))
        own = [window[index] for window in windows[-3:]]
        other = [window[1 - index] for window in windows[-3:]]
        assert all(mine is not None and its is not None and mine > its
                   for mine, its in zip(own, other, strict=True))  # fmt: skip
        assert sum(mine is not None and mine > 0 for mine in own) >= 2
        assert min(mine for mine in own if mine is not None) >= -0.15
