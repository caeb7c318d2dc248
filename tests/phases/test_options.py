"""Phases 5 and 6 with options: what is bought, when it is sold, how it ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest

from phases.manage_positions import manage_positions
from phases.monitor_prices import monitor_prices
from phases.tools import NoChains, OptionQuote, Tools
from tests.phases.option_desk import Desk, each_session, november, option, warned


@pytest.fixture
def desk(conn: sqlite3.Connection, make_ctx: Callable[..., Any], tools: Callable[..., Tools]) -> Desk:
    return Desk(conn, make_ctx, tools)


# --- buying ---


def test_a_bullish_signal_buys_shares_in_one_portfolio_and_calls_at_the_ask_in_another(desk: Desk) -> None:
    signal_id = desk.signal()
    desk.chains.quotes = [option(november(9, 17))]

    ctx = desk.run(november(9), manage_positions)

    assert ctx.results["positions_opened"] == 2
    assert desk.all(
        "SELECT p.name, x.direction FROM positions x JOIN portfolios p ON p.id = portfolio_id ORDER BY x.id"
    ) == [("stocks_quality", "long"), ("options_quality", "call")]
    # 2% of 100,000 pay for nine contracts of 210 dollars
    assert desk.one(
        """
        signal_id, contracts, contracts_remaining, position_size, entry_price, premium_paid, peak_premium,
        option_type, strike_price, expiration_date, contract_symbol, underlying_price_at_entry, entered_at,
        last_checked_at, last_price, entry_basis, shares, status
        """
    ) == (
        signal_id, 9, 9, 1890.0, 2.1, 2.1, 2.1, "call", 27.5, "2026-11-27", "GME   261127C00027500", 25.0,
        "2026-11-09T18:00:00.000Z", "2026-11-09T18:00:00.000Z", 2.0,
        "ask of 2026-11-09T17:00:00.000Z (bid 1.90, ask 2.10, delta 0.30)", None, "open",
    )  # fmt: skip
    # the cash paid for them at the ask, the portfolio counts them at the mark
    assert desk.one("cash_available, current_value", "FROM portfolios WHERE name = 'options_quality'") == (
        98_110.0,
        99_910.0,
    )


def test_a_bearish_signal_buys_puts_and_no_shares(desk: Desk) -> None:
    desk.signal(prediction="bearish")
    desk.chains.quotes = [option(november(9, 17)), option(november(9, 17), kind="put", strike_usd=22.5)]

    desk.run(november(9), manage_positions)

    assert desk.all("SELECT instrument_type, direction, strike_price FROM positions") == [
        ("option", "put", 22.5)
    ]


def test_each_signal_type_trades_in_its_own_pair_of_portfolios(desk: Desk) -> None:
    desk.signal()
    desk.signal(signal_type="consensus")
    desk.chains.quotes = [option(november(9, 17))]

    desk.run(november(9), manage_positions)

    assert desk.all("SELECT name, cash_available < 100000 FROM portfolios ORDER BY id") == [
        ("stocks_quality", 1),
        ("stocks_consensus", 1),
        ("options_quality", 1),
        ("options_consensus", 1),
    ]
    assert desk.chains.asked == ["GME"]


def test_without_an_ask_the_mark_is_paid_and_the_row_says_so(desk: Desk) -> None:
    desk.signal()
    desk.chains.quotes = [option(november(9, 17), None, None, mark_usd=2.0)]

    desk.run(november(9), manage_positions)

    assert desk.one("entry_price, contracts, entry_basis") == (
        2.0,
        10,
        "mark of 2026-11-09T17:00:00.000Z, no ask known (mark 2.00, delta 0.30)",
    )


def test_the_size_follows_the_configuration(desk: Desk) -> None:
    desk.configure(option_size_pct=0.05)

    assert desk.bought().one("contracts") == (23,)


@pytest.mark.parametrize(
    ("quote", "warning", "context"),
    [
        pytest.param(
            option(november(9, 17), delta=0.0),
            "strike_unavailable",
            {"option_type": "call", "expirations_checked": ["2026-11-27"]},
            id="greeks of 0",
        ),
        pytest.param(
            option(november(9, 17), bid_usd=0.0),
            "strike_unavailable",
            {"option_type": "call", "expirations_checked": ["2026-11-27"]},
            id="nobody bids",
        ),
        pytest.param(
            option(november(9, 17), underlying_usd=26.4),
            "option_chain_mismatch",
            {"underlying": 26.4, "price": 25.0},
            id="the share has moved by more than five percent since",
        ),
        pytest.param(
            option(november(9, 17), underlying_usd=175.0),
            "option_chain_mismatch",
            {"underlying": 175.0, "price": 25.0},
            id="a chain from before a split of 7 for 1",
        ),
        pytest.param(
            option(november(9, 17), 19.9, 20.1),
            "position_too_small",
            {"portfolio": "options_quality", "price": 20.1},
            id="one contract costs more than 2%",
        ),
        pytest.param(
            option(november(9, 19)),
            "fake_options_unavailable",
            {"reason": "it is unknown, or its last option chain is stale"},
            id="no chain that was known then",
        ),
    ],
)
def test_an_option_that_can_not_be_bought_is_warned_of_and_the_shares_are_bought_all_the_same(
    desk: Desk, quote: OptionQuote, warning: str, context: dict[str, Any]
) -> None:
    desk.signal()
    desk.chains.quotes = [quote]

    ctx = desk.run(november(9), manage_positions)

    assert [(one["type"], one["context"]) for one in ctx.warnings] == [
        (warning, {"ticker": "GME", **context})
    ]
    assert desk.all("SELECT instrument_type FROM positions") == [("stock",)]


def test_a_chain_may_be_off_by_five_percent(desk: Desk) -> None:
    desk.signal()
    desk.chains.quotes = [option(november(9, 17), underlying_usd=23.81)]

    desk.run(november(9), manage_positions)

    assert desk.all("SELECT count(*) FROM positions") == [(2,)]


def test_a_failing_chain_source_is_warned_of_and_tried_again_by_the_next_run(desk: Desk) -> None:
    desk.signal()
    desk.chains.quotes = [option(november(9, 17))]
    desk.chains.failing = {"GME"}

    assert warned(desk.run(november(9), manage_positions)) == ["fake_options_unavailable"]
    desk.chains.failing = set()
    desk.run(november(9, 19), manage_positions)

    assert desk.all("SELECT instrument_type FROM positions ORDER BY id") == [("stock",), ("option",)]


def test_a_dead_chain_source_is_asked_three_times_and_summed_up(desk: Desk) -> None:
    for ticker in ("AMC", "BB", "GME", "NOK"):
        desk.shares.prices_usd[ticker] = 25.0
        desk.chains.failing.add(ticker)
        desk.signal(ticker)

    ctx = desk.run(november(9), manage_positions)

    assert desk.chains.asked == ["AMC", "BB", "GME"]
    assert warned(ctx) == ["fake_options_unavailable"] * 3 + ["option_source_down"]
    assert desk.all("SELECT count(*) FROM positions") == [(4,)]


def test_where_no_options_are_set_up_nobody_is_told_of_their_absence(desk: Desk) -> None:
    desk.signal()
    desk.signal(signal_type="consensus", prediction="bearish")

    ctx = desk.run(november(9), manage_positions, chains=NoChains())

    assert ctx.warnings == []
    assert desk.all("SELECT instrument_type FROM positions") == [("stock",)]


def test_the_cash_guard_refuses_contracts_that_can_not_be_paid(desk: Desk) -> None:
    desk.bought()
    desk.configure(option_size_pct=1)  # of 99,910: 475 contracts for 99,750
    desk.chains.quotes.append(option(november(10, 17)))
    desk.signal(day=10)

    ctx = desk.run(november(10), manage_positions)

    assert [(one["type"], one["context"]["needed"], one["context"]["available"]) for one in ctx.warnings] == [
        ("insufficient_cash", 99_750.0, 98_110.0)
    ]
    assert desk.one("cash_available", "FROM portfolios WHERE name = 'options_quality'") == (98_110.0,)


# --- a full portfolio ---


@pytest.fixture
def full(desk: Desk) -> Desk:
    """Ten option positions, bought one each on a ticker of its own; T0 is the weakest, at 0.60."""
    for place in range(10):
        ticker = f"T{place}"
        desk.shares.prices_usd[ticker] = 25.0
        desk.chains.quotes.append(option(november(9, 17), ticker=ticker))
        desk.signal(ticker, 0.60 + place / 100)
    desk.run(november(9), manage_positions)
    desk.chains.quotes.append(option(november(10, 17)))
    desk.signal(confidence=0.95, day=10)
    return desk


def held(desk: Desk) -> list[str]:
    """Return the tickers of the open option positions, the last of the alphabet first."""
    rows = desk.all("SELECT ticker FROM positions WHERE instrument_type = 'option' AND status = 'open'")
    return sorted((ticker for (ticker,) in rows), reverse=True)


def test_a_stronger_signal_sells_the_weakest_contracts_at_the_bid_and_buys(full: Desk) -> None:
    full.chains.quotes.append(option(november(10, 17), 2.0, 2.3, ticker="T0"))

    full.run(november(10), manage_positions)

    assert held(full) == [*(f"T{place}" for place in range(9, 0, -1)), "GME"]
    assert full.all(
        """
        SELECT x.ticker, e.exit_reason, e.exit_price, e.contracts_exited, e.realized_pnl, e.note
        FROM position_exits e JOIN positions x ON x.id = e.position_id WHERE x.instrument_type = 'option'
        """
    ) == [
        (
            "T0", "replaced", 2.0, 9, -90.0,
            "at bid of 2026-11-10T17:00:00.000Z (bid 2.00, ask 2.30, delta 0.30)",
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    "weakest",
    [
        pytest.param(option(november(10, 17), 2.2, 2.22, ticker="T0"), id="more than five percent up"),
        pytest.param(option(november(10, 17), 0.0, 0.1, ticker="T0"), id="nobody bids"),
    ],
)
def test_a_winner_and_what_nobody_bids_for_stay(full: Desk, weakest: OptionQuote) -> None:
    full.chains.quotes.append(weakest)

    ctx = full.run(november(10), manage_positions)

    assert held(full) == [f"T{place}" for place in range(9, -1, -1)]
    assert "replacement_blocked" in warned(ctx)


# --- selling ---


def sessions_of(quotes: dict[int, float]) -> list[OptionQuote]:
    """Return a quote at 20:00 of each day, its bid and ask around the mark by a cent."""
    return [option(november(day, 20), mark - 0.01, mark + 0.01) for day, mark in quotes.items()]


@pytest.mark.parametrize(
    ("marks", "exits"),
    [
        pytest.param({10: 1.06}, [], id="just above half the premium"),
        pytest.param({10: 1.05}, [("stop_loss", 1.04, 9)], id="half the premium"),
        pytest.param({10: 0.5}, [("stop_loss", 0.49, 9)], id="a gap is filled where it was seen"),
        pytest.param({10: 4.21}, [("take_profit", 4.2, 4)], id="twice the premium"),
        pytest.param(
            {10: 5.0, 11: 4.0, 12: 3.4},
            [("take_profit", 4.2, 4), ("trailing_stop", 3.39, 5)],
            id="then three tenths below the peak",
        ),
        pytest.param(
            {10: 5.0, 11: 8.0, 12: 5.5},
            [("take_profit", 4.2, 4), ("trailing_stop", 5.49, 5)],
            id="the peak is raised first",
        ),
        pytest.param({18: 2.5}, [], id="nine days"),
        pytest.param({19: 2.5}, [("time_stop", 2.49, 9)], id="ten days"),
        pytest.param({25: 2.5}, [("expiration", 2.49, 9)], id="two days to go, before the time stop"),
    ],
)
def test_contracts_are_sold_by_the_rules(
    desk: Desk, marks: dict[int, float], exits: list[tuple[Any, ...]]
) -> None:
    desk.bought()
    desk.chains.quotes += sessions_of(marks)

    ctx = desk.run(november(max(marks), 21, 30), monitor_prices)

    assert desk.exits() == exits
    assert ctx.results == {"exits_triggered": len(exits)}


def test_of_one_contract_one_is_sold_and_the_position_is_closed(desk: Desk) -> None:
    desk.configure(option_size_pct=0.0021)
    desk.bought()
    desk.chains.quotes += sessions_of({10: 5.0})

    desk.run(november(10, 21, 30), monitor_prices)

    assert desk.exits() == [("take_profit", 4.2, 1)]
    assert desk.one("status, exit_reason, hold_days, realized_return_pct") == (
        "closed",
        "take_profit",
        1,
        1.0,
    )


def test_a_look_after_a_week_sees_each_session_in_order(desk: Desk) -> None:
    desk.bought()
    desk.chains.quotes += sessions_of({10: 2.2, 11: 0.9, 12: 3.0, 13: 3.1})

    desk.run(november(14), monitor_prices)

    assert desk.exits() == [("stop_loss", 0.89, 9)]
    assert desk.one("exit_date, last_price") == ("2026-11-11", 0.9)


def test_a_quote_from_before_the_entry_sells_nothing(desk: Desk) -> None:
    desk.bought()
    desk.chains.quotes.append(option(november(9, 17, 59), 0.1, 0.2))

    ctx = desk.run(november(9, 19), monitor_prices)

    assert desk.exits() == []
    assert ctx.results == {"exits_triggered": 0}
    assert desk.one("last_checked_at") == ("2026-11-09T18:00:00.000Z",)


def test_what_nobody_bids_for_is_kept_and_counted_at_its_mark(desk: Desk) -> None:
    desk.bought()
    desk.chains.quotes.append(option(november(10, 20), 0.0, 0.1))

    desk.run(november(10, 21, 30), monitor_prices)

    assert desk.exits() == []
    assert desk.one("last_price, contracts_remaining") == (0.05, 9)


def test_a_second_look_changes_nothing_nor_does_an_earlier_one(desk: Desk) -> None:
    desk.bought()
    desk.chains.quotes += sessions_of({10: 5.0})
    desk.run(november(10, 21, 30), monitor_prices)
    before = desk.everything()

    desk.run(november(10, 21, 30), monitor_prices)
    desk.run(november(9, 20), monitor_prices)

    assert desk.everything() == before


def test_where_the_chain_fails_the_cursor_stays_and_the_next_run_looks_back_to_it(desk: Desk) -> None:
    desk.bought()
    desk.chains.quotes += sessions_of({10: 0.9, 11: 3.0})
    desk.chains.failing = {"GME"}

    ctx = desk.run(november(10, 21, 30), monitor_prices)
    assert [(one["type"], one["context"]["reason"]) for one in ctx.warnings] == [
        ("fake_options_unavailable", "no answer")
    ]
    desk.chains.failing = set()
    desk.run(november(11, 21, 30), monitor_prices)

    assert desk.exits() == [("stop_loss", 0.89, 9)]


def test_what_a_person_sold_in_the_meantime_is_not_sold_again(desk: Desk) -> None:
    desk.bought()
    desk.chains.quotes += sessions_of({10: 0.9})
    ask = desk.chains.chain

    def meddled(ticker: str, at: datetime) -> Any:
        assert not desk.conn.in_transaction, "no chain is fetched while rows wait to be committed"
        desk.conn.execute("UPDATE positions SET contracts_remaining = 4")
        desk.conn.commit()
        return ask(ticker, at)

    desk.chains.chain = meddled  # type: ignore[method-assign]  # a spy around the real method

    ctx = desk.run(november(10, 21, 30), monitor_prices)

    assert desk.exits() == []
    assert ctx.results == {"exits_triggered": 0}


# --- the week of the holiday, and the end ---


def test_a_holiday_and_a_half_day_stop_nobody_out_and_sell_nothing_late(desk: Desk) -> None:
    """Contracts bought on the 18th, with an expiration protection of a day, over Thanksgiving."""
    desk.configure(option_expiration_protection_dte=0, option_min_dte=9, option_max_dte=9)
    desk.bought(day=18)
    desk.shares.closes_usd = {date(2026, 11, day): 25.0 for day in each_session(18, 25)}
    desk.chains.quotes += sessions_of(dict.fromkeys(each_session(19, 25), 2.2))

    for at in (november(26), november(27, 14), november(27, 17, 59)):
        desk.run(at, monitor_prices)
        assert desk.exits() == []
        assert desk.one("last_checked_at") == ("2026-11-25T20:00:00.000Z",)

    desk.shares.closes_usd[date(2026, 11, 27)] = 29.0
    desk.run(november(27, 18), monitor_prices)

    assert desk.exits() == [("expiration", 1.5, 9)]
    assert desk.one("exited_at", "FROM position_exits") == ("2026-11-27T18:00:00.000Z",)


def test_the_days_of_a_time_stop_count_to_the_quote_not_to_the_holiday_of_the_run(desk: Desk) -> None:
    desk.configure(option_expiration_protection_dte=0, option_min_dte=1, option_max_dte=30)
    desk.bought(day=16)
    desk.chains.quotes += sessions_of({25: 2.2})  # nine days held, looked at on the tenth

    desk.run(november(26), monitor_prices)

    assert desk.exits() == []


@pytest.mark.parametrize(
    ("close_usd", "brings"),
    [pytest.param(30.0, 2.5, id="in the money"), pytest.param(27.5, 0.0, id="worthless")],
)
def test_after_missed_runs_an_expired_contract_is_settled_at_its_intrinsic_value_and_flagged(
    desk: Desk, close_usd: float, brings: float
) -> None:
    desk.bought()
    desk.shares.closes_usd = {date(2026, 11, 27): close_usd, date(2026, 11, 30): 99.0}

    ctx = desk.run(november(33), monitor_prices)

    assert desk.exits() == [("expiration", brings, 9)]
    note = f"settled at intrinsic value: GME closed at {close_usd:.2f} on 2026-11-27"
    assert desk.one("exit_date, note", "FROM position_exits") == ("2026-11-27", note)
    assert [(one["type"], one["message"]) for one in ctx.warnings] == [
        ("option_expired", f"GME   261127C00027500 ended unsold: {note}")
    ]
    assert desk.one("cash_available, current_value", "FROM portfolios WHERE name = 'options_quality'") == (
        98_110 + 900 * brings,
        98_110 + 900 * brings,
    )
    assert desk.one("status, hold_days, realized_return_pct") == (
        "closed",
        18,
        pytest.approx((brings - 2.1) / 2.1),
    )


def test_without_the_official_close_it_waits_with_a_warning(desk: Desk) -> None:
    desk.bought()

    ctx = desk.run(november(30), monitor_prices)

    assert desk.exits() == []
    assert [(one["type"], one["context"]["reason"]) for one in ctx.warnings] == [
        ("fake_options_unavailable", "the official close of 2026-11-27, when it ended, is not known")
    ]
    desk.shares.closes_usd = {date(2026, 11, 27): 30.0}
    desk.run(november(31), monitor_prices)
    assert desk.exits() == [("expiration", 2.5, 9)]


def test_a_quote_of_the_last_moment_gives_way_to_the_settlement(desk: Desk) -> None:
    desk.bought()
    desk.configure(option_time_stop_days=100, option_expiration_protection_dte=0)
    desk.shares.closes_usd = {date(2026, 11, 27): 30.0}
    desk.chains.quotes.append(option(november(27, 18), 2.0, 2.2))

    desk.run(november(27, 18), monitor_prices)

    assert desk.exits() == [("expiration", 2.5, 9)]
