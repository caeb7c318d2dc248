"""Phase 6 around a split: nothing is sold because of one, whoever looks when."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from phases.money import ticks
from phases.tools import Tools
from phases.trading.book import open_positions
from phases.trading.market import ask
from statemachine.contract import RunStopping
from tests.phases.lean_daily import LeanDaily
from tests.phases.split_desk import CALENDAR, OHLC, Desk, Market, june, split

LEAN = Path(__file__).parents[3] / "shared/data/market/lean"
with_lean = pytest.mark.skipif(not LEAN.exists(), reason="the Lean files are not beside this checkout")


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


def kinds(ctx: Any) -> list[str]:
    return [one["type"] for one in ctx.warnings]


# --- Apple, the 9th of June 2014 ---


@with_lean
def test_apples_seven_for_one_split_sells_nothing(desk: Desk) -> None:
    desk.hold()
    prices = LeanDaily(LEAN, "AAPL", CALENDAR)
    before = desk.value()

    ctx = desk.run(prices, june(9, 15))

    assert prices.splits("AAPL", june(6), june(10)) == [split(7)]
    assert desk.exits() == []
    assert ctx.warnings == []
    assert desk.one("shares, shares_remaining, entry_price, stop_loss_price, take_profit_price") == (
        70, 70, 92.2243, 83.0019, 106.0579,
    )  # fmt: skip
    assert desk.one("shares_before, shares_after, cash_in_lieu", "position_splits") == (10, 70, 0.006)
    # What the split left is worth what it was; the rest is the morning's own rise to 92.69.
    assert desk.value() - before == (926900 - 922242) * 70


@with_lean
@pytest.mark.parametrize("looks", [[6, 9], [5, 6, 8, 9], [5, 5, 8, 8, 9, 9]])
def test_whoever_looks_when_the_week_of_apples_split_ends_the_same(
    new_desk: Callable[[], Desk], looks: list[int]
) -> None:
    prices = LeanDaily(LEAN, "AAPL", CALENDAR)

    def seen(days: list[int]) -> tuple[Any, ...]:
        desk = new_desk()
        with closing(desk.conn):
            desk.hold(day=5, price_usd=645)
            for day in days:
                desk.run(prices, june(day))
            return desk.one("shares, entry_price, stop_loss_price, peak_price, last_price, status")

    assert seen(looks) == seen([9]) == (70, 92.1429, 82.9286, 93.88, 93.7, "open")


@with_lean
def test_without_the_split_list_apples_night_stops_the_automatic_exits(desk: Desk) -> None:
    desk.hold()
    prices = LeanDaily(LEAN, "AAPL", CALENDAR, announces=False)

    ctx = desk.run(prices, june(9, 15))

    assert kinds(ctx) == ["split_suspected"]
    assert ctx.warnings[0]["context"]["before"] == 645.57
    assert "a split of 7 for 1" in ctx.warnings[0]["message"]
    assert desk.exits() == []
    assert desk.one("shares_remaining, last_price") == (10, 645.57)

    prices.announces = True
    ctx = desk.run(prices, june(9, 16))

    assert kinds(ctx) == []
    assert desk.exits() == []
    assert desk.one("shares_remaining, last_price") == (70, 92.69)


# --- by the book ---


def test_the_days_before_a_split_are_judged_at_their_own_prices(desk: Desk) -> None:
    desk.hold(100, day=4)
    market = Market({5: (100, 101, 89, 92), 9: (9.2, 9.3, 9.1, 9.2)}, [split(10)])

    desk.run(market, june(9))

    assert desk.exits() == [("stop_loss", 90.0, 10)]
    assert desk.conn.execute("SELECT * FROM position_splits").fetchall() == []


def test_after_a_split_the_stop_holds_in_new_shares(desk: Desk) -> None:
    desk.hold(100)
    market = Market({9: (9.5, 9.6, 8.8, 9.1)}, [split(10)])

    desk.run(market, june(9))

    assert desk.exits() == [("stop_loss", 9.0, 100)]
    assert desk.one("realized_return_pct") == (-0.1,)


def test_a_reverse_split_pays_for_the_fraction(desk: Desk) -> None:
    desk.hold(2, shares=25)
    market = Market({9: (20, 20.5, 19.9, 20)}, [split(1, 10)])

    ctx = desk.run(market, june(9))

    assert ctx.warnings == []
    assert desk.exits() == []
    assert desk.one("shares, shares_remaining, entry_price, stop_loss_price, peak_price") == (
        2, 2, 20.0, 18.0, 20.5,
    )  # fmt: skip
    assert desk.one("cash_in_lieu, realized_pnl", "position_splits") == (10.0, 0.0)
    assert desk.one("cash_available", "portfolios WHERE id = 1") == (99_960.0,)


def test_where_no_whole_share_is_left_the_position_is_paid_out_and_closed(desk: Desk) -> None:
    desk.hold(2, shares=5)
    desk.conn.execute("UPDATE positions SET last_price = 2.2")
    desk.conn.commit()

    ctx = desk.run(Market({9: (22, 22, 22, 22)}, [split(1, 10)]), june(9))

    assert ctx.warnings == []
    assert desk.one("status, shares_remaining, exit_reason, exit_date, realized_return_pct, hold_days") == (
        "closed", 0, "split", "2014-06-09", 0.1, 3,
    )  # fmt: skip
    assert desk.one("cash_available, current_value", "portfolios WHERE id = 1") == (100_001.0, 100_001.0)


def test_a_split_before_the_entry_or_after_the_instant_changes_nothing(desk: Desk) -> None:
    desk.hold(100, day=9)
    market = Market({10: (100, 101, 99, 100), 11: (100, 101, 99, 100)}, [split(7), split(3, day=11)])

    desk.run(market, june(11, 13, 29))

    assert desk.one("shares") == (10,)


def test_on_the_morning_of_a_split_the_old_shares_count_until_the_bell(desk: Desk) -> None:
    desk.hold(100)
    market = Market({6: (100, 101, 99, 100), 9: (10, 10.1, 9.9, 10)}, [split(10)])

    desk.run(market, june(9, 13, 29))
    before = desk.one("shares, last_price")
    ctx = desk.run(market, june(9, 13, 30))

    assert before == (10, 100.0)
    assert desk.one("shares, last_price, last_checked_at") == (100, 10.0, "2014-06-09T13:30:00.000Z")
    assert ctx.warnings == []


def test_two_splits_follow_each_other(desk: Desk) -> None:
    desk.hold(120)
    market = Market({9: (60, 61, 59, 60), 10: (20, 20.5, 19.5, 20)}, [split(2), split(3, day=10)])

    desk.run(market, june(10))

    assert desk.exits() == []
    assert desk.one("shares, entry_price") == (60, 20.0)
    assert desk.conn.execute("SELECT shares_after FROM position_splits ORDER BY effective_at").fetchall() == [
        (20,),
        (60,),
    ]


def test_a_split_that_is_learnt_of_late_leaves_the_newer_price_alone(desk: Desk) -> None:
    desk.hold(90, shares=10)
    market = Market({9: (87, 88, 86, 87)})
    desk.run(market, june(9))
    market.announced = [split(3, 2)]

    desk.run(market, june(9, 23))

    assert desk.one("shares, last_price, entry_price") == (15, 87.0, 60.0)


def test_a_split_waits_while_the_days_before_it_have_no_prices(desk: Desk) -> None:
    desk.hold(100)
    market = Market({9: (10, 10.1, 9.9, 10)}, [split(10)], failing=True)

    ctx = desk.run(market, june(9))

    assert kinds(ctx) == ["price_unavailable"]
    assert desk.one("shares, last_checked_at") == (10, "2014-06-06T19:00:00Z")


@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_a_run_that_stops_around_a_split_goes_on_as_if_it_had_not(desk: Desk, stop_at: int) -> None:
    desk.hold(100)
    days: dict[int, OHLC] = {6: (100, 101, 99, 100), 9: (10, 10.1, 9.9, 10)}
    market = Market(days, [split(10)])

    with pytest.raises(RunStopping):
        desk.run(market, june(9), stop_at_checkpoint=stop_at)
    desk.run(market, june(9))

    assert desk.one("shares, shares_remaining, last_price") == (100, 100, 10.0)
    assert desk.one("shares_after", "position_splits") == (100,)
    assert desk.value() == ticks(100_000)


def test_days_before_a_jump_are_still_judged(desk: Desk) -> None:
    desk.hold(100, day=5)

    ctx = desk.run(Market({6: (95, 96, 89, 91), 9: (45, 46, 44, 45)}), june(9))

    assert desk.exits() == [("stop_loss", 90.0, 10)]
    assert kinds(ctx) == ["split_suspected"]


# --- contracts, and phase 5 ---


def hold_a_call(desk: Desk) -> None:
    """Hold one call at 650, paid with 14 dollars a share; it ends on Friday, the 27th."""
    desk.hold(14, shares=100)
    desk.conn.execute(
        """
        UPDATE positions SET instrument_type = 'option', portfolio_id = 3, direction = 'call',
               shares = NULL, shares_remaining = NULL, contracts = 1, contracts_remaining = 1,
               option_type = 'call', strike_price = 650, expiration_date = '2014-06-27',
               contract_symbol = 'AAPL  140627C00650000', premium_paid = 14,
               peak_price = NULL, peak_premium = 15
        """
    )
    desk.conn.execute("UPDATE portfolios SET cash_available = 98600 WHERE id = 3")
    desk.conn.execute("UPDATE portfolios SET cash_available = 100000 WHERE id = 1")
    desk.conn.commit()


CONTRACTS = "SELECT exit_reason, exit_price, contracts_exited, note FROM position_exits"


def test_by_a_split_of_7_for_1_one_contract_becomes_seven_at_a_seventh_of_the_strike(desk: Desk) -> None:
    hold_a_call(desk)
    before = desk.value()

    desk.run(Market({9: (92, 93, 91, 92)}, [split(7)]), june(9))

    assert desk.one(
        """
        contracts, contracts_remaining, strike_price, contract_symbol, entry_price, premium_paid,
        stop_loss_price, peak_premium, last_price, shares
        """
    ) == (7, 7, 92.86, "AAPL  140627C00092860", 2.0, 2.0, 1.8, 2.1429, 2.0, None)
    assert desk.value() == before
    assert desk.one("shares_before, shares_after, cash_in_lieu, realized_pnl", "position_splits") == (
        1, 7, 0.0, 0.0,
    )  # fmt: skip


def test_what_ticks_can_not_express_of_a_split_premium_is_paid_for_every_share_of_a_contract(
    desk: Desk,
) -> None:
    hold_a_call(desk)
    desk.conn.execute(
        "UPDATE positions SET entry_price = 14.0006, last_price = 14.0006, position_size = 1400.06"
    )
    desk.conn.commit()
    before = desk.value()

    desk.run(Market({9: (92, 93, 91, 92)}, [split(7)]), june(9))

    # six ticks are left of 140,006 by seven; the entry is restated a tick a contract too high
    assert desk.one("cash_in_lieu, realized_pnl", "position_splits") == (0.06, 0.07)
    assert desk.value() == before


def test_a_contract_that_followed_its_share_is_settled_in_new_shares(desk: Desk) -> None:
    hold_a_call(desk)

    desk.run(Market({9: (92, 93, 91, 92), 27: (95, 96, 94, 95)}, [split(7)]), june(28))

    assert [row[:3] for row in desk.conn.execute(CONTRACTS)] == [("expiration", 2.14, 7)]


@pytest.mark.parametrize("ratio", [(3, 2), (1, 10)])
def test_after_any_other_split_a_contract_is_left_alone_until_it_ends(
    desk: Desk, ratio: tuple[int, int]
) -> None:
    hold_a_call(desk)
    factor = ratio[1] / ratio[0]
    new = 660 * factor
    market = Market({9: (new, new, new, new), 27: (new, new, new, new)}, [split(*ratio)])

    ctx = desk.run(market, june(9))

    assert kinds(ctx) == ["contract_split"]
    assert "the exchange has changed its contracts; close it by hand" in ctx.warnings[0]["message"]
    assert desk.conn.execute(CONTRACTS).fetchall() == []

    ctx = desk.run(market, june(27))

    # 660 for what was one share: ten dollars above the strike
    assert [row[:3] for row in desk.conn.execute(CONTRACTS)] == [("expiration", 10.0, 1)]
    assert kinds(ctx) == ["option_expired"]
    assert desk.conn.execute("SELECT * FROM position_splits").fetchall() == []


@pytest.mark.parametrize("announced", [True, False])
def test_before_a_position_is_restated_phase_5_takes_no_price_of_the_new_shares_for_it(
    desk: Desk, announced: bool
) -> None:
    desk.hold(100)
    (position,) = open_positions(desk.conn)
    prices = Market({9: (10, 10.1, 9.9, 10)}, [split(10)] if announced else [])
    ctx = desk.new_ctx(desk.conn, desk.tools(as_of=june(9, 15), prices=prices, calendar=CALENDAR))

    market = ask(ctx, shares={"AAPL"}, optionable=set(), held=[position])

    assert market.shares["AAPL"].price == ticks(10)
    assert market.prices([position]) == {}


def test_at_other_times_phase_5_takes_the_price(desk: Desk) -> None:
    desk.hold(100)
    (position,) = open_positions(desk.conn)
    prices = Market({9: (95, 96, 94, 95)}, [split(10, day=3)])
    ctx = desk.new_ctx(desk.conn, desk.tools(as_of=june(9, 15), prices=prices, calendar=CALENDAR))

    market = ask(ctx, shares=set(), optionable=set(), held=[position])

    assert [one.mark for one in market.prices([position]).values()] == [ticks(95)]
