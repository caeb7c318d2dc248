"""The exit rules of options and their end: laws over any path of quotes, then one example a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phases.calendar import ExchangeCalendar
from phases.config import Config
from phases.money import ticks
from phases.tools import Bar, OptionContract, OptionQuote, OptionType, Quote
from phases.trading.exits import Exit, Holding, Outcome
from phases.trading.expiry import intrinsic, last_session, official_close, settled
from phases.trading.option_exits import OptionRules, at_premium

RULES = OptionRules.of(Config())
BOUGHT_AT = datetime(2026, 11, 9, 18, tzinfo=UTC)
CALENDAR = ExchangeCalendar()


def contract(
    day: date = date(2026, 11, 27), strike_usd: float = 25.0, kind: OptionType = "call"
) -> OptionContract:
    return OptionContract(
        symbol="GME   261127C00025000", ticker="GME", type=kind, strike=ticks(strike_usd), expiration=day
    )


def bought(contracts: int = 10, **changes: object) -> Holding:
    holding = Holding.bought(ticks(2), contracts, RULES)
    return replace(holding, **changes)  # type: ignore[arg-type]  # any of its fields


def quote(mark_usd: float | None, bid_usd: float | None = None, day: int = 1) -> OptionQuote:
    return OptionQuote(
        contract=contract(),
        at=BOUGHT_AT + timedelta(days=day),
        mark=None if mark_usd is None else ticks(mark_usd),
        bid=None if bid_usd is None else ticks(bid_usd),
    )


def seen(
    holding: Holding, mark_usd: float, bid_usd: float | None = None, hold_days: int = 1, dte: int = 17
) -> Outcome:
    return at_premium(holding, quote(mark_usd, bid_usd, hold_days), hold_days, dte, RULES)


def sold(exits: Sequence[Exit]) -> list[tuple[str, float, int]]:
    return [(one.reason, one.price / 10_000, one.units) for one in exits]


# --- laws ---

PATHS = st.lists(st.tuples(st.floats(0.05, 8), st.floats(0, 1.2)), max_size=12)
"""Marks, and bids as shares of them."""


@given(st.integers(1, 60), PATHS)
def test_never_more_is_sold_than_is_held_and_never_above_the_bid(
    contracts: int, path: list[tuple[float, float]]
) -> None:
    holding, exits = bought(contracts), list[Exit]()
    for day, (mark, share) in enumerate(path):
        bid = mark * share
        holding, more = seen(holding, mark, bid, hold_days=day, dte=17 - day)
        assert all(one.price <= ticks(bid) for one in more)
        exits += more

    assert all(one.units > 0 for one in exits)
    assert holding.units == contracts - sum(one.units for one in exits) >= 0
    assert [one.reason for one in exits].count("take_profit") <= 1
    assert all(one.reason == "take_profit" for one in exits[:-1])


@given(st.integers(1, 20), st.floats(0.05, 8), st.integers(0, 9), st.integers(3, 21))
def test_a_stop_never_fills_better_than_its_trigger(
    contracts: int, mark: float, hold_days: int, dte: int
) -> None:
    _, exits = seen(bought(contracts), mark, hold_days=hold_days, dte=dte)

    for sale in exits:
        assert sale.price == ticks(4) if sale.reason == "take_profit" else sale.price <= ticks(1)


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_a_call_less_a_put_of_the_same_strike_is_at_its_end_the_share_less_the_strike(
    close: int, strike: int
) -> None:
    call = replace(contract(), strike=strike)
    put = replace(call, type="put")

    assert intrinsic(call, close) - intrinsic(put, close) == close - strike
    assert min(intrinsic(call, close), intrinsic(put, close)) == 0


# --- one example a rule ---


@pytest.mark.parametrize(("dte", "exits"), [(3, []), (2, [("expiration", 2.1, 10)])])
def test_1_two_days_before_its_expiration_all_is_sold(dte: int, exits: list[object]) -> None:
    assert sold(seen(bought(), 2.1, dte=dte)[1]) == exits


def test_1_comes_before_the_stop() -> None:
    assert sold(seen(bought(), 0.4, dte=2)[1]) == [("expiration", 0.4, 10)]


@pytest.mark.parametrize(("mark", "exits"), [(1.01, []), (1.0, [("stop_loss", 1.0, 10)])])
def test_2_at_half_the_premium_all_is_sold(mark: float, exits: list[object]) -> None:
    assert sold(seen(bought(), mark)[1]) == exits


def test_2_a_premium_that_fell_below_the_stop_is_sold_where_it_was_seen_and_flagged() -> None:
    _, (sale,) = seen(bought(), 0.4)

    assert (sale.price, sale.note) == (
        ticks(0.4),
        "gap: the first price seen was 0.40, below the trigger 1.00",
    )


def test_2_the_stop_watches_the_mark_and_sells_at_the_bid() -> None:
    assert sold(seen(bought(), 1.4, bid_usd=0.8)[1]) == []
    assert sold(seen(bought(), 1.0, bid_usd=0.8)[1]) == [("stop_loss", 0.8, 10)]


def test_3_at_twice_the_premium_half_is_sold_at_the_target_and_the_rest_trails() -> None:
    holding, exits = seen(bought(5), 4.6)

    assert sold(exits) == [("take_profit", 4.0, 2)]
    assert (holding.units, holding.took_profit, holding.trailing) == (3, True, True)
    assert holding.peak == ticks(4.6)


def test_3_of_one_contract_one_is_sold() -> None:
    holding, exits = seen(bought(1), 4.0)

    assert sold(exits) == [("take_profit", 4.0, 1)]
    assert holding.units == 0


def test_3_profit_is_taken_where_somebody_bids_it() -> None:
    assert sold(seen(bought(), 4.1, bid_usd=3.9)[1]) == []
    assert sold(seen(bought(), 4.4, bid_usd=4.0)[1]) == [("take_profit", 4.0, 5)]


def test_3_happens_once() -> None:
    trailing = bought(5, took_profit=True, trailing=True, peak=ticks(4.5))

    assert seen(trailing, 4.5) == (trailing, [])


def test_4_the_rest_is_sold_three_tenths_below_the_peak_which_is_raised_first() -> None:
    trailing = bought(5, took_profit=True, trailing=True, peak=ticks(4))

    raised, none = seen(trailing, 5.0)
    assert (none, raised.peak) == ([], ticks(5))
    assert sold(seen(raised, 3.51)[1]) == []
    assert sold(seen(raised, 3.5)[1]) == [("trailing_stop", 3.5, 5)]
    assert sold(seen(raised, 3.0)[1]) == [("trailing_stop", 3.0, 5)]


@pytest.mark.parametrize(("hold_days", "exits"), [(9, []), (10, [("time_stop", 2.2, 10)])])
def test_5_after_ten_days_all_is_sold(hold_days: int, exits: list[object]) -> None:
    assert sold(seen(bought(), 2.3, bid_usd=2.2, hold_days=hold_days)[1]) == exits


@pytest.mark.parametrize("blind", [quote(None), quote(0.1, 0.0)], ids=["no premium", "nobody bids"])
def test_without_a_buyer_nothing_is_sold_however_late_it_is(blind: OptionQuote) -> None:
    assert at_premium(bought(), blind, 40, 0, RULES) == (bought(), [])


# --- the end ---


@pytest.mark.parametrize(
    ("expires", "ends"),
    [
        pytest.param(date(2026, 11, 20), datetime(2026, 11, 20, 21, tzinfo=UTC), id="16:00 in New York"),
        pytest.param(date(2026, 11, 27), datetime(2026, 11, 27, 18, tzinfo=UTC), id="13:00 on a half-day"),
        pytest.param(date(2026, 11, 26), datetime(2026, 11, 25, 21, tzinfo=UTC), id="a holiday"),
        pytest.param(date(2014, 6, 21), datetime(2014, 6, 20, 20, tzinfo=UTC), id="a Saturday, as of old"),
    ],
)
def test_a_contract_ends_with_the_close_of_its_last_session(expires: date, ends: datetime) -> None:
    assert last_session(contract(expires), CALENDAR).closes == ends


@pytest.mark.parametrize(
    ("kind", "close_usd", "worth"),
    [("call", 27.5, 2.5), ("call", 25.0, 0.0), ("put", 22.0, 3.0), ("put", 26.0, 0.0)],
)
def test_it_is_settled_at_its_intrinsic_value(kind: OptionType, close_usd: float, worth: float) -> None:
    one = contract(kind=kind)
    session = last_session(one, CALENDAR)

    holding, sale = settled(bought(4), one, ticks(close_usd), session)

    assert holding.units == 0
    assert sold([sale]) == [("expiration", worth, 4)]
    assert sale.at == session.closes
    assert sale.note == f"settled at intrinsic value: GME closed at {close_usd:.2f} on 2026-11-27"


class Closing:
    """Knows one session by its last bars, or only by a quote."""

    name = "closing"

    def __init__(self, last_bar_ends: datetime | None, quoted_at: datetime | None) -> None:
        self.ends, self.quoted_at = last_bar_ends, quoted_at

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:  # noqa: ARG002  # the contract's names
        if self.ends is None or self.ends > until:
            return []
        return [Bar(start=after, end=self.ends, open=1, high=9, low=1, close=7)]

    def quote(self, ticker: str, at: datetime) -> Quote | None:  # noqa: ARG002  # the contract's names
        return None if self.quoted_at is None else Quote(price=8, at=self.quoted_at, basis="last")


HALF_DAY = CALENDAR.session(date(2026, 11, 27))


@pytest.mark.parametrize(
    ("minutes_bar", "minutes_quote", "close"),
    [(0, None, 7), (-5, 0, 8), (None, 0, 8), (None, -1, None), (-5, None, None), (180, 180, None)],
)
def test_the_official_close_is_the_price_of_the_last_moment_and_no_other(
    minutes_bar: int | None, minutes_quote: int | None, close: int | None
) -> None:
    assert HALF_DAY is not None
    bar_ends, quoted_at = (
        None if minutes is None else HALF_DAY.closes + timedelta(minutes=minutes)
        for minutes in (minutes_bar, minutes_quote)
    )

    assert official_close(Closing(bar_ends, quoted_at), "GME", HALF_DAY) == close
