"""What comments predict: bought like a signal's option, followed like a position, never twice or too late."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phases.chains.occ import contract
from phases.manage_positions import manage_positions
from phases.money import ticks
from phases.monitor_prices import monitor_prices
from phases.post_analysis import update_author_trust
from phases.scoring.follow_predictions import follow_predictions
from phases.scoring.predictions import buying_day, make_predictions
from phases.tools import (
    Bar,
    NoPrice,
    OptionQuote,
    OptionType,
    PricesUnavailable,
    Quote,
    Split,
    Tools,
)
from statemachine.contract import RunStopping

Making = Callable[..., Any]
FIRST = date(2025, 3, 12)
"""A Wednesday."""
EXPIRES = date(2025, 3, 28)
OPENS = datetime(2025, 3, 12, 13, 30, tzinfo=UTC)
NOON = datetime(2025, 3, 12, 18, tzinfo=UTC)
"""In mid-session."""

# The fixtures handed to laws are builders without state, so sharing them between examples is safe.
law = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class Chains:
    """A call and a put of each ticker at the money; premiums by day after the first, the last one known."""

    premiums_usd: Mapping[int, float | None] = field(default_factory=lambda: {0: 2.0})
    delta: float = 0.3
    unknown: set[str] = field(default_factory=set[str])
    failing: bool = False
    asked: list[str] = field(default_factory=list[str])
    name: str = "schwab"

    def chain(self, ticker: str, at: datetime) -> Sequence[OptionQuote]:
        self.asked.append(ticker)
        if self.failing:
            raise PricesUnavailable("no answer")
        known = [day for day in self.premiums_usd if OPENS + timedelta(days=day) <= at]
        premium = self.premiums_usd[max(known)] if known else None
        if ticker in self.unknown or premium is None:
            return []
        return [self._quote(ticker, "call", premium, at), self._quote(ticker, "put", premium, at)]

    def _quote(self, ticker: str, kind: OptionType, premium: float, at: datetime) -> OptionQuote:
        return OptionQuote(
            contract=contract(ticker, EXPIRES, kind, ticks(25)),
            at=at,
            bid=ticks(premium),
            ask=ticks(premium),
            mark=ticks(premium),
            delta=self.delta if kind == "call" else -self.delta,
            iv=0.5,
        )


@dataclass
class Shares:
    """Every share costs 25 dollars, but for the closes that a test names by day after the first."""

    closes_usd: Mapping[int, float | None] = field(default_factory=dict[int, float | None])
    split: Split | None = None
    failing: bool = False
    name: str = "shares"

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        if self.failing:
            raise PricesUnavailable("no answer")
        if ticker == "NOPRICE":
            raise NoPrice("NOPRICE is halted")
        price = self.closes_usd.get((at.date() - FIRST).days, 25.0)
        return None if price is None else Quote(price=ticks(price), at=at, basis="test")

    def bars(self, *_: Any) -> Sequence[Bar]:
        return ()

    def splits(self, _ticker: str, after: datetime, until: datetime) -> Sequence[Split]:
        return [self.split] if self.split and after < self.split.at <= until else []


def at(day: int, hour: int = 18, minute: int = 0) -> datetime:
    return datetime(2025, 3, 12, hour, minute, tzinfo=UTC) + timedelta(days=day)


class Talk:
    """Analysed comments, and runs of the phases over them."""

    def __init__(self, conn: sqlite3.Connection, new_ctx: Making, tools: Callable[..., Tools]) -> None:
        self.conn = conn
        self._new_ctx = new_ctx
        self._tools = tools
        self.chains = Chains()
        self.shares = Shares()
        self._comments = 0
        conn.execute("INSERT INTO reddit_posts (id, reddit_id, title, fetched_at) VALUES (1, 'p', 't', '')")
        conn.execute("INSERT INTO analysis_runs (id) VALUES (1)")
        conn.commit()

    def say(
        self, *tickers: str, sentiment: str = "bullish", run_id: int = 1, created: str = "2025-03-12T15"
    ) -> int:
        self._comments += 1
        number = self._comments
        self.conn.execute("INSERT INTO analysis_runs (id) VALUES (?) ON CONFLICT DO NOTHING", (run_id,))
        self.conn.execute(
            "INSERT INTO comments (id, analysis_run_id, post_id, reddit_id, author, body, created_utc, score,"
            " sentiment, ai_confidence, has_reasoning, analyzer, analyzed_at)"
            " VALUES (?, 1, 1, ?, ?, 'text', ?, 1, 'bullish', 0.8, 1, 'fake', '')",
            (number, f"c{number}", f"u_{number}", f"{created}:00:00.000Z"),
        )
        self.conn.execute(
            "INSERT INTO run_comments (run_id, comment_id, picked, newly_analyzed) VALUES (1, ?, 1, 1)",
            (number,),
        )
        self.conn.executemany(
            "INSERT INTO comment_tickers (comment_id, ticker, sentiment, created_at) VALUES (?, ?, ?, '')",
            [(number, ticker, sentiment) for ticker in tickers],
        )
        self.conn.commit()

    def signal(self, ticker: str = "GME") -> None:
        """Let the option portfolio for quality buy the same."""
        self.conn.execute(
            "INSERT INTO signals (signal_date, created_at, updated_at, ticker, signal_type, sentiment_score,"
            " prediction, confidence, comment_count, has_reasoning, prior_7d_mentions, distinct_users)"
            " VALUES ('2025-03-12', '', '', ?, 'quality', 1, 'bullish', 0.8, 5, 1, 0, 5)",
            (ticker,),
        )
        self.conn.commit()

    def run(self, as_of: datetime, *phases: Callable[..., None], **more: Any) -> Any:
        tools = self._tools(as_of=as_of, chains=self.chains, prices=self.shares)
        ctx = self._new_ctx(self.conn, tools, **more)
        try:
            for phase in phases or (make_predictions, follow_predictions):
                phase(self.conn, ctx)
            self.conn.commit()
        finally:
            self.conn.rollback()
        return ctx

    def all(self, columns: str, table: str = "predictions") -> list[tuple[Any, ...]]:
        return self.conn.execute(f"SELECT {columns} FROM {table} ORDER BY id").fetchall()

    def exits(self) -> list[tuple[Any, ...]]:
        return self.all("exit_reason, exit_premium, contracts_exited", "prediction_exits")

    def everything(self) -> list[str]:
        return list(self.conn.iterdump())


@pytest.fixture
def new_talk(
    new_database: Callable[[], sqlite3.Connection], new_ctx: Making, tools: Callable[..., Tools]
) -> Callable[[], Talk]:
    return lambda: Talk(new_database(), new_ctx, tools)


@pytest.fixture
def talk(conn: sqlite3.Connection, new_ctx: Making, tools: Callable[..., Tools]) -> Talk:
    return Talk(conn, new_ctx, tools)


# --- laws ---

paths = st.dictionaries(st.integers(1, 20), st.floats(0.2, 8).map(lambda usd: round(usd, 2)), max_size=12)
looks = st.lists(st.integers(0, 30), min_size=1, max_size=8).map(sorted)


@law
@given(path=paths, days=looks, close=st.floats(10, 40))
def test_contracts_and_money_add_up(
    new_talk: Callable[[], Talk], path: dict[int, float], days: list[int], close: float
) -> None:
    talk = new_talk()
    talk.chains = Chains({0: 2.0, **path})
    talk.shares = Shares({day: round(close, 2) for day in range(1, 31)})
    talk.say("GME")
    talk.run(NOON)
    for day in days:
        talk.run(at(day, 20))

    ((status, bought, left, entry, gain, is_correct),) = talk.all(
        "status, contracts, contracts_remaining, entry_premium, simulated_return_pct, is_correct"
    )
    sold = talk.all("contracts_exited, simulated_pnl", "prediction_exits")
    assert bought == left + sum(contracts for contracts, _ in sold)
    assert (status == "resolved") == (left == 0)
    if status == "resolved":
        assert gain == pytest.approx(sum(pnl for _, pnl in sold) / (entry * bought * 100))
        assert is_correct == (gain > 0)
    if days[-1] > (EXPIRES - FIRST).days:
        assert status == "resolved"


@law
@given(path=paths, days=looks)
def test_a_prediction_ends_as_a_position_does_that_was_bought_beside_it(
    new_talk: Callable[[], Talk], path: dict[int, float], days: list[int]
) -> None:
    talk = new_talk()
    talk.chains = Chains({0: 2.0, **path})
    talk.say("GME")
    talk.signal()

    talk.run(NOON, manage_positions, monitor_prices)
    for day in days:
        talk.run(at(day, 20), monitor_prices)

    assert talk.all("exited_at, exit_reason, exit_premium, note", "prediction_exits") == [
        row[1:]
        for row in talk.all("contracts_exited, exited_at, exit_reason, exit_price, note", "position_exits")
        if row[0] is not None
    ]


@law
@given(path=paths, days=looks, again=st.integers(1, 2))
def test_looking_again_changes_nothing(
    new_talk: Callable[[], Talk], path: dict[int, float], days: list[int], again: int
) -> None:
    talk = new_talk()
    talk.chains = Chains({0: 2.0, **path})
    talk.say("GME", "AMC")
    talk.run(NOON)
    for day in days:
        talk.run(at(day, 20))
    before = talk.everything()

    for _ in range(again):
        talk.run(at(days[-1], 20))
        talk.run(NOON)

    assert talk.everything() == before


@law
@given(path=paths, days=looks, comments=st.integers(2, 5))
def test_who_said_the_same_is_judged_the_same(
    new_talk: Callable[[], Talk], path: dict[int, float], days: list[int], comments: int
) -> None:
    talk = new_talk()
    talk.chains = Chains({0: 2.0, **path})
    for _ in range(comments):
        talk.say("GME")
    talk.run(NOON)
    for day in days:
        talk.run(at(day, 20))

    states = talk.all("status, contracts_remaining, current_premium, peak_premium, simulated_return_pct")
    assert len(states) == comments
    assert len(set(states)) == 1


# --- making ---


def test_stances_become_calls_and_puts_of_two_thousand_dollars(talk: Talk) -> None:
    talk.say("GME", sentiment="bullish")
    talk.say("GME", sentiment="bearish")
    talk.say("GME", sentiment="neutral")

    ctx = talk.run(NOON, make_predictions)

    assert talk.all("option_type, status, contracts, entry_premium, contract_symbol, entry_date") == [
        ("call", "tracking", 10, 2.0, "GME   250328C00025000", "2025-03-12"),
        ("put", "tracking", 10, 2.0, "GME   250328P00025000", "2025-03-12"),
    ]
    assert ctx.results["predictions_made"] == 2
    assert ctx.warnings == []
    assert talk.chains.asked == ["GME"]


def test_one_contract_is_bought_where_it_costs_more(talk: Talk) -> None:
    talk.chains = Chains({0: 30.0})
    talk.say("GME")

    talk.run(NOON, make_predictions)

    assert talk.all("contracts") == [(1,)]


def test_a_ticker_that_is_no_share_predicts_nothing(talk: Talk) -> None:
    talk.say("BTC", "GME")

    talk.run(NOON, make_predictions)

    assert talk.all("ticker") == [("GME",)]


def test_without_a_source_of_chains_nothing_is_written(
    conn: sqlite3.Connection, new_ctx: Making, tools: Callable[..., Tools], talk: Talk
) -> None:
    talk.say("GME")
    ctx = new_ctx(conn, tools(as_of=NOON))

    make_predictions(conn, ctx)

    assert (talk.all("id"), ctx.warnings) == ([], [])


def test_what_has_no_contract_waits_for_a_later_run_of_the_day(talk: Talk) -> None:
    talk.chains.delta = 0.9
    talk.say("GME")
    first = talk.run(NOON)
    waiting = talk.all("status, contracts")
    talk.chains.delta = 0.3

    talk.run(at(0, 19))

    assert [each["type"] for each in first.warnings] == ["prediction_strike_unavailable"]
    assert first.warnings[0]["context"]["tickers"] == ["GME"]
    assert first.warnings[0]["context"]["examples"]["GME"]["expirations_checked"] == ["2025-03-28"]
    assert waiting == [("unpriced", None)]
    assert talk.all("status, contracts, entered_at") == [("tracking", 10, "2025-03-12T19:00:00.000Z")]


def test_what_found_no_contract_all_day_says_nothing_ever(talk: Talk) -> None:
    talk.chains.unknown = {"GME"}
    talk.say("GME")
    ctx = talk.run(NOON)
    talk.chains.unknown = set()

    talk.run(at(1))

    assert talk.all("status") == [("unpriced",)]
    assert ctx.warnings == []


def test_a_dead_source_is_asked_three_times_and_told_of(talk: Talk) -> None:
    talk.chains.failing = True
    for ticker in ("AMC", "BB", "GME", "NOK", "TSLA"):
        talk.say(ticker)

    ctx = talk.run(NOON, make_predictions)
    talk.chains.failing = False
    talk.run(at(0, 19), make_predictions)

    assert [each["type"] for each in ctx.warnings] == [
        *["schwab_prediction_unavailable"] * 3,
        "option_source_down",
    ]
    assert ctx.warnings[-1]["context"]["skipped"] == ["NOK", "TSLA"]
    assert {status for (status,) in talk.all("status")} == {"tracking"}


def test_a_share_without_a_price_keeps_its_options_from_being_bought(talk: Talk) -> None:
    talk.shares = Shares({0: None})
    talk.say("GME", "AMC")

    ctx = talk.run(NOON, make_predictions)

    assert [each["type"] for each in ctx.warnings] == ["prediction_strike_unavailable"]
    assert "no recent price" in ctx.warnings[0]["message"]
    assert {status for (status,) in talk.all("status")} == {"unpriced"}


def test_at_night_a_prediction_waits_for_the_next_session(talk: Talk) -> None:
    talk.say("GME", created="2025-03-12T21")

    night = talk.run(at(0, 22))
    waiting = talk.all("status, entry_date")
    talk.run(at(1, 15))

    assert night.warnings[0]["type"] == "market_hours_skipped"
    assert night.warnings[0]["context"] == {"predictions_affected": 1}
    assert waiting == [("unpriced", "2025-03-13")]
    assert talk.all("status, entry_date, entered_at") == [
        ("tracking", "2025-03-13", "2025-03-13T15:00:00.000Z")
    ]


def test_on_friday_night_it_waits_for_monday(tools: Callable[..., Tools]) -> None:
    assert buying_day(tools().calendar, at(2, 22)) == date(2025, 3, 17)


def test_a_run_at_an_earlier_instant_buys_nothing_for_later_comments(talk: Talk) -> None:
    talk.chains.unknown = {"GME"}
    talk.say("GME", created="2025-03-12T17")
    talk.run(NOON)
    talk.chains.unknown = set()

    talk.run(at(0, 16))

    assert talk.all("status") == [("unpriced",)]


def test_a_stop_keeps_the_tickers_before_it_and_the_rest_comes_later(talk: Talk) -> None:
    talk.say("AMC", "GME")

    with pytest.raises(RunStopping):
        talk.run(NOON, make_predictions, stop_at_checkpoint=2)
    kept = talk.all("ticker, status")
    talk.run(NOON, make_predictions)

    assert kept == [("AMC", "tracking"), ("GME", "unpriced")]
    assert talk.all("ticker, status") == [("AMC", "tracking"), ("GME", "tracking")]


# --- following ---


def test_each_day_leaves_its_premium(talk: Talk) -> None:
    talk.chains = Chains({0: 2.0, 1: 2.2, 2: 2.4})
    talk.say("GME")
    talk.run(NOON)
    talk.run(at(1, 15))
    talk.run(at(1, 19))
    talk.run(at(2, 15))

    outcomes = talk.all("day_offset, premium", "prediction_outcomes")

    assert outcomes == [(0, 2.0), (1, 2.2), (2, 2.4)]
    assert talk.all("current_premium, peak_premium") == [(2.4, 2.4)]


def test_half_is_sold_at_twice_the_price_and_the_rest_trails(talk: Talk) -> None:
    talk.chains = Chains({0: 2.0, 1: 4.0, 2: 5.0, 5: 3.4})
    talk.say("GME")
    for day in (0, 1, 2, 5):
        talk.run(at(day))

    assert talk.exits() == [("take_profit", 4.0, 5), ("trailing_stop", 3.4, 5)]
    assert talk.all("status, is_correct, simulated_return_pct, resolved_at") == [
        ("resolved", 1, pytest.approx((5 * 2.0 + 5 * 1.4) / 20), "2025-03-17T18:00:00.000Z")
    ]


def test_an_unsold_contract_is_settled_at_its_intrinsic_value(talk: Talk) -> None:
    talk.shares = Shares({(EXPIRES - FIRST).days: 27.5})
    talk.say("GME")
    talk.run(NOON)
    talk.chains = Chains({0: None})
    talk.run(at(20))

    assert talk.exits() == [("expiration", 2.5, 10)]
    ((note,),) = talk.all("note", "prediction_exits")
    assert "intrinsic" in note
    assert talk.all("resolved_at, is_correct") == [("2025-03-28T20:00:00.000Z", 1)]


def test_without_an_official_close_the_last_premium_is_taken_after_a_week(talk: Talk) -> None:
    talk.shares = Shares(dict.fromkeys(range(1, 40)))
    talk.say("GME")
    talk.run(NOON)
    talk.chains = Chains({0: None})
    talk.run(at(20))
    waiting = talk.all("status")
    talk.run(at(24))

    assert waiting == [("tracking",)]
    assert talk.exits() == [("expiration", 2.0, 10)]
    ((note,),) = talk.all("note", "prediction_exits")
    assert "no official close of 2025-03-28" in note
    assert talk.all("is_correct") == [(0,)]


def test_a_split_ends_a_prediction_at_its_last_premium(talk: Talk) -> None:
    talk.chains = Chains({0: 2.0, 1: 2.5, 2: 0.4})
    talk.shares.split = Split(at=at(2, 13, 30), ratio=Fraction(7))
    talk.say("GME")
    for day in (0, 1, 3):
        talk.run(at(day))

    assert talk.exits() == [("expiration", 2.5, 10)]
    ((note,),) = talk.all("note", "prediction_exits")
    assert "split" in note


def test_a_source_that_fails_leaves_predictions_for_the_next_run(talk: Talk) -> None:
    talk.say("GME", "AMC")
    talk.run(NOON)
    talk.chains.failing = True

    ctx = talk.run(at(1), follow_predictions)

    assert [each["type"] for each in ctx.warnings] == ["schwab_options_unavailable"] * 2
    assert {checked for (checked,) in talk.all("last_checked_at")} == {"2025-03-12T18:00:00.000Z"}


def test_of_two_runs_that_look_at_once_one_writes(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    talk.chains = Chains({0: 2.0, 1: 4.0})
    talk.say("GME")
    talk.run(NOON)
    ask = Chains.chain

    def ask_while_another_run_looks(chains: Chains, ticker: str, at_: datetime) -> Sequence[OptionQuote]:
        monkeypatch.setattr(Chains, "chain", ask)
        talk.run(at(1), follow_predictions)
        return ask(chains, ticker, at_)

    monkeypatch.setattr(Chains, "chain", ask_while_another_run_looks)
    talk.run(at(1), follow_predictions)

    assert talk.exits() == [("take_profit", 4.0, 5)]
    assert talk.all("contracts_remaining") == [(5,)]


def test_a_resolved_prediction_teaches_about_its_author(talk: Talk) -> None:
    talk.chains = Chains({0: 2.0, 1: 0.5})
    talk.say("GME", sentiment="bullish")

    talk.run(NOON, manage_positions, monitor_prices, update_author_trust)
    before = talk.all("avg_sentiment_accuracy", "authors")
    talk.run(at(1), monitor_prices, update_author_trust)

    assert before == [(None,)]
    assert talk.all("avg_sentiment_accuracy", "authors") == [(0.0,)]


def test_progress_counts_tickers_then_predictions(talk: Talk) -> None:
    talk.say("GME", "AMC")

    made, followed = talk.run(NOON, make_predictions), talk.run(at(1), follow_predictions)

    assert made.steps == [(1, 2, "ticker"), (2, 2, "ticker")]
    assert followed.steps == [(1, 2, "prediction"), (2, 2, "prediction")]
