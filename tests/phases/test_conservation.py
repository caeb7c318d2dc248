"""No tick is made or lost: laws over any sequence of entries, exits, replacements, splits and expiries."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from phases.chains.black_scholes import theory
from phases.chains.occ import contract
from phases.money import ticks, usd
from phases.tools import Bar, OptionQuote, OptionType, PricesUnavailable, Quote, Session, Split, Tools
from phases.trading.book import open_positions
from phases.trading.expiry import last_session
from tests.phases.option_desk import CALENDAR, Desk

FIRST = date(2026, 11, 9)
DAYS = 33
TICKERS = [f"T{place}" for place in range(12)]
KINDS: tuple[OptionType, ...] = ("call", "put")
EXPIRATIONS = [date(2026, 11, 20) + timedelta(weeks=week) for week in range(7)]
SESSIONS: list[Session] = [
    session for ahead in range(DAYS) if (session := CALENDAR.session(FIRST + timedelta(days=ahead)))
]

Path = list[float]
"""A share's closes in dollars, one a session; it opens at the close before."""


@dataclass
class World:
    """Shares that move and may split, and weekly options on them with any spread, priced by a formula."""

    paths: list[Path]
    spread: float
    splits_at: dict[str, Split]
    failing: set[str] = field(default_factory=set[str])
    name: str = "world"

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        self._fail(ticker)
        known = [session for session in SESSIONS if session.opens <= at]
        if not known:
            return None
        last = known[-1]
        is_over = last.closes <= at
        price = self._price(ticker, len(known) - 1 if is_over else max(0, len(known) - 2), last.opens)
        return Quote(price=price, at=last.closes if is_over else last.opens, basis="made up")

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:
        self._fail(ticker)
        found: list[Bar] = []
        for place, session in enumerate(SESSIONS):
            if session.opens >= after and session.closes <= until:
                opened = self._price(ticker, max(0, place - 1), session.opens)
                close = self._price(ticker, place, session.opens)
                low, high = sorted((opened, close))
                found.append(
                    Bar(start=session.opens, end=session.closes, open=opened, high=high, low=low, close=close)
                )
        return found

    def splits(self, ticker: str, after: datetime, until: datetime) -> Sequence[Split]:
        known = self.splits_at.get(ticker)
        return [known] if known and after < known.at <= until else []

    def chain(self, ticker: str, at: datetime) -> Sequence[OptionQuote]:
        share = self.quote(ticker, at)
        if share is None:
            return ()
        today = CALENDAR.trading_date(share.at)
        return [
            self._option(ticker, share, kind, day, share.price * percent // 100 // 1000 * 1000, today)
            for day in EXPIRATIONS
            if 0 <= (day - today).days <= 21
            for percent in range(80, 121, 5)
            for kind in KINDS
        ] + [self._held(share, one, today) for one in self.known_contracts if one.ticker == ticker]

    known_contracts: list[Any] = field(default_factory=list[Any])

    def _held(self, share: Quote, one: Any, today: date) -> OptionQuote:
        return self._option(one.ticker, share, one.type, one.expiration, one.strike, today)

    def _option(
        self, ticker: str, share: Quote, kind: OptionType, day: date, strike: int, today: date
    ) -> OptionQuote:
        told = theory(kind, usd(share.price), usd(strike), 0.7, (day - today).days)
        mark = ticks(told.premium)
        return OptionQuote(
            contract=contract(ticker, day, kind, strike),
            at=share.at,
            bid=int(mark * (1 - self.spread)),
            ask=int(mark * (1 + self.spread)),
            mark=mark,
            delta=told.delta,
            iv=0.7,
            underlying=share.price,
        )

    def _price(self, ticker: str, place: int, moment: datetime) -> int:
        price = ticks(
            round(self.paths[TICKERS.index(ticker) % len(self.paths)][place % len(self.paths[0])], 2)
        )
        known = self.splits_at.get(ticker)
        return max(1, round(price / known.ratio)) if known and moment >= known.at else price

    def _fail(self, ticker: str) -> None:
        if ticker in self.failing:
            raise PricesUnavailable("no answer")


@dataclass(frozen=True)
class Run:
    """What one run meets."""

    session: int
    hours: float
    """After the opening bell."""
    stances: list[float]
    """Confidence of a signal a ticker; below zero is bearish, 0 is none."""
    failing: set[str]


PATHS = st.lists(st.lists(st.floats(18, 34), min_size=6, max_size=6), min_size=3, max_size=3)
RUNS = st.lists(
    st.builds(
        Run,
        session=st.integers(0, len(SESSIONS) - 1),
        hours=st.sampled_from([0.0, 2.0, 3.0, 3.0, 3.0, 8.0]),
        stances=st.lists(
            st.sampled_from([0.55, 0.65, 0.8, 0.95, -0.6, -0.8, -0.95, 0.0]), min_size=12, max_size=12
        ),
        failing=st.sets(st.sampled_from(TICKERS), max_size=2),
    ),
    min_size=1,
    max_size=6,
).map(lambda runs: sorted(runs, key=lambda run: (run.session, run.hours)))
SPLITS = st.dictionaries(
    st.sampled_from(TICKERS),
    st.builds(
        Split,
        at=st.sampled_from([session.opens for session in SESSIONS]),
        ratio=st.sampled_from([Fraction(7), Fraction(2), Fraction(3, 2), Fraction(1, 10)]),
    ),
    max_size=3,
)


@pytest.fixture
def new_desk(
    new_database: Callable[[], sqlite3.Connection], new_ctx: Callable[..., Any], tools: Callable[..., Tools]
) -> Callable[[], Desk]:
    """Return a builder of desks on databases of their own."""

    def build() -> Desk:
        def make_ctx(world: Tools, conn: sqlite3.Connection, **more: Any) -> Any:
            return new_ctx(conn, world, **more)

        return Desk(new_database(), make_ctx, tools)

    return build


def live_through(desk: Desk, world: World, runs: Sequence[Run]) -> Iterator[datetime]:
    """Make each day's signals, run phases 5 and 6, and yield the instant of each run."""
    for run in runs:
        session = SESSIONS[run.session]
        for ticker, stance in zip(TICKERS, run.stances, strict=True):
            known = desk.all(
                f"SELECT 1 FROM signals WHERE ticker = '{ticker}' AND signal_date = '{session.day}'"
            )
            if stance and not known:
                prediction = "bullish" if stance > 0 else "bearish"
                day = session.day.isoformat()
                desk.signal(ticker, abs(stance), prediction=prediction, signal_date=day)
        world.failing = run.failing
        world.known_contracts = [one.contract for one in open_positions(desk.conn) if one.contract]
        as_of = session.opens + timedelta(hours=run.hours)
        desk.run(as_of, prices=world, chains=replace(world))
        yield as_of


def sums(desk: Desk, sql: str) -> dict[int, int]:
    """Return ticks by portfolio; amounts are added one by one, because sums of floats drift."""
    found = dict.fromkeys(range(1, 5), 0)
    for portfolio_id, amount in desk.all(sql):
        found[portfolio_id] += ticks(amount)
    return found


law = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
"""The fixtures handed to laws are builders without state."""

EXITS = "FROM position_exits e JOIN positions x ON x.id = e.position_id"
LIEU = "FROM position_splits s JOIN positions x ON x.id = s.position_id"
PROCEEDS = "round(e.exit_price * coalesce(e.shares_exited, e.contracts_exited * 100), 4)"


@pytest.mark.slow
@law
@given(PATHS, st.sampled_from([0.0, 0.02, 0.3]), SPLITS, RUNS)
def test_cash_is_the_start_less_all_costs_plus_all_proceeds(
    new_desk: Callable[[], Desk],
    paths: list[Path],
    spread: float,
    splits: dict[str, Split],
    runs: list[Run],
) -> None:
    desk = new_desk()
    with closing(desk.conn):
        for _ in live_through(desk, World(paths, spread, splits), runs):
            costs = sums(desk, "SELECT portfolio_id, position_size FROM positions")
            proceeds = sums(desk, f"SELECT x.portfolio_id, {PROCEEDS} {EXITS}")
            lieu = sums(desk, f"SELECT x.portfolio_id, s.cash_in_lieu {LIEU}")
            cash = sums(desk, "SELECT id, cash_available FROM portfolios")
            value = sums(desk, "SELECT id, current_value FROM portfolios")
            start = sums(desk, "SELECT id, starting_capital FROM portfolios")

            for portfolio in cash:
                flows = proceeds[portfolio] + lieu[portfolio] - costs[portfolio]
                worth = sum(one.worth(one.last_price) for one in open_positions(desk.conn, portfolio))
                assert cash[portfolio] == start[portfolio] + flows >= 0
                assert value[portfolio] == cash[portfolio] + worth
        for reason, instrument in desk.all(f"SELECT DISTINCT e.exit_reason, x.instrument_type {EXITS}"):
            event(f"{instrument}: {reason}")


@pytest.mark.slow
@law
@given(PATHS, st.sampled_from([0.0, 0.02, 0.3]), SPLITS, RUNS)
def test_a_closed_position_has_gained_its_proceeds_less_its_cost_and_nothing_is_sold_twice_or_too_late(
    new_desk: Callable[[], Desk],
    paths: list[Path],
    spread: float,
    splits: dict[str, Split],
    runs: list[Run],
) -> None:
    desk = new_desk()
    with closing(desk.conn):
        for as_of in live_through(desk, World(paths, spread, splits), runs):
            for position_id, cost, share in desk.all(
                "SELECT id, position_size, realized_return_pct FROM positions WHERE status = 'closed'"
            ):
                brought = desk.all(f"SELECT {PROCEEDS}, e.realized_pnl {EXITS} WHERE x.id = {position_id}")
                brought += desk.all(
                    f"SELECT s.cash_in_lieu, s.realized_pnl {LIEU} WHERE x.id = {position_id}"
                )
                proceeds, gained = (sum(map(ticks, column)) for column in zip(*brought, strict=True))
                assert gained == proceeds - ticks(cost)
                assert share == pytest.approx(gained / ticks(cost))
            assert desk.all(f"SELECT 1 {EXITS} WHERE e.exited_at < x.entered_at") == []
            assert (
                desk.all(
                    "SELECT 1 FROM positions WHERE status = 'open' GROUP BY portfolio_id HAVING count(*) > 10"
                )
                == []
            )
            for one in open_positions(desk.conn):
                if one.contract and one.ticker not in splits and one.last_checked_at < as_of:
                    ended = last_session(one.contract, CALENDAR).closes <= as_of
                    assert not ended or one.ticker in runs[-1].failing | _failed_now(runs, as_of)


def _failed_now(runs: Sequence[Run], as_of: datetime) -> set[str]:
    return set().union(
        *(run.failing for run in runs if SESSIONS[run.session].opens + timedelta(hours=run.hours) == as_of)
    )
