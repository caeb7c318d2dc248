"""The exit rules: laws over any path of prices, then one example a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phases.config import Config
from phases.money import ticks
from phases.tools import Bar
from phases.trading.exits import Exit, Holding, Outcome, StockRules, after_bar, at_price

RULES = StockRules.of(Config())
BOUGHT_AT = datetime(2025, 3, 12, 18, tzinfo=UTC)
ENTRY = ticks(100)
NEVER = 10**6
PATIENT = replace(
    RULES,
    breakeven_min_days=NEVER,
    time_stop_base_days=NEVER,
    time_stop_extended_days=NEVER,
    time_stop_max_days=NEVER,
)
"""Rules 4 to 7 never apply."""


def bought(shares: int = 10, **changes: object) -> Holding:
    holding = Holding.bought(ENTRY, shares, RULES)
    return replace(holding, **changes)  # type: ignore[arg-type]  # any of its fields


def trailing(peak_usd: float, shares: int = 5) -> Holding:
    return bought(shares, took_profit=True, trailing=True, peak=ticks(peak_usd))


def bar(
    open_usd: float, high_usd: float, low_usd: float, close_usd: float | None = None, day: int = 1
) -> Bar:
    start = BOUGHT_AT + timedelta(days=day)
    close = open_usd if close_usd is None else close_usd
    prices = (ticks(price) for price in (open_usd, high_usd, low_usd, close))
    opened, high, low, closed = prices
    return Bar(start=start, end=start + timedelta(hours=6), open=opened, high=high, low=low, close=closed)


def priced(holding: Holding, price_usd: float, hold_days: int = 0) -> Outcome:
    return at_price(holding, ticks(price_usd), BOUGHT_AT + timedelta(days=hold_days), hold_days, RULES)


def sold(exits: Sequence[Exit]) -> list[tuple[str, float, int]]:
    return [(one.reason, one.price / 10_000, one.units) for one in exits]


# --- laws ---


@st.composite
def bars_of_a_path(draw: st.DrawFn) -> list[Bar]:
    count = draw(st.integers(0, 12))
    found: list[Bar] = []
    for day in range(1, count + 1):
        low, *middle, high = sorted(draw(st.lists(st.integers(80, 130), min_size=4, max_size=4)))
        opened, close = draw(st.permutations(middle))
        found.append(bar(opened, high, low, close, day))
    return found


SHARES = st.integers(1, 60)
EXIT_SHARES = st.decimals(0, 2, places=2)
PRICES = st.integers(60, 150).map(ticks)


def through(holding: Holding, path: Sequence[Bar], rules: StockRules = RULES) -> Outcome:
    exits: list[Exit] = []
    for one in path:
        holding, more = after_bar(holding, one, rules)
        exits += more
    return holding, exits


@pytest.mark.slow
@given(SHARES, bars_of_a_path(), EXIT_SHARES, PRICES, st.integers(0, 20))
def test_never_more_is_sold_than_is_held_and_what_is_left_is_the_rest(
    shares: int, path: list[Bar], exit_share: Decimal, price: int, hold_days: int
) -> None:
    rules = replace(RULES, take_profit_exit_pct=exit_share)

    holding, exits = through(bought(shares), path, rules)
    holding, last = at_price(holding, price, BOUGHT_AT + timedelta(days=30), hold_days, rules)

    assert all(one.units > 0 for one in [*exits, *last])
    assert holding.units == shares - sum(one.units for one in [*exits, *last]) >= 0


@pytest.mark.slow
@given(SHARES, bars_of_a_path())
def test_profit_is_taken_at_most_once_and_everything_else_sells_all(shares: int, path: list[Bar]) -> None:
    _, exits = through(bought(shares), path)

    assert [one.reason for one in exits if one.reason == "take_profit"] in ([], ["take_profit"])
    assert len(exits) <= 2
    assert [one.reason for one in exits[:-1]] in ([], ["take_profit"])


@pytest.mark.slow
@given(SHARES, bars_of_a_path())
def test_no_fill_is_better_than_its_bar_and_no_sale_comes_before_another(
    shares: int, path: list[Bar]
) -> None:
    _, exits = through(bought(shares), path)

    for one in exits:
        source = next(seen for seen in path if one.at in (seen.start, seen.end))
        assert one.price <= source.high
        assert one.price >= source.low or one.reason == "take_profit"  # a gap up still pays the target
    assert [one.at for one in exits] == sorted(one.at for one in exits)


@pytest.mark.slow
@given(SHARES, bars_of_a_path())
def test_looking_at_each_open_in_mid_session_first_changes_no_sale(shares: int, path: list[Bar]) -> None:
    """Rules 1 to 3 only: 4 to 7 depend on when somebody looks, and are switched off here."""
    holding, exits = bought(shares), list[Exit]()
    for one in path:
        holding, at_open = at_price(holding, one.open, one.start, 0, PATIENT)
        holding, later = after_bar(holding, one, PATIENT)
        holding, at_close = at_price(holding, one.close, one.end, 0, PATIENT)
        exits += at_open + later + at_close

    assert (holding, exits) == through(bought(shares), path, PATIENT)


@pytest.mark.slow
@given(SHARES, bars_of_a_path())
def test_the_peak_never_falls_and_the_stop_never_moves_by_a_bar(shares: int, path: list[Bar]) -> None:
    holding = bought(shares)
    for one in path:
        after, _ = after_bar(holding, one, RULES)

        assert after.peak >= holding.peak
        assert after.stop == holding.stop
        holding = after


# --- levels ---


def test_the_levels_of_a_new_position_are_ten_percent_below_and_fifteen_above() -> None:
    holding = Holding.bought(ticks("142.50"), 35, RULES)

    assert (holding.stop, holding.target, holding.peak) == (
        ticks("128.25"),
        ticks("163.875"),
        ticks("142.50"),
    )


# --- 1: stop loss ---


def test_rule_1_a_low_at_the_stop_sells_all_at_the_stop() -> None:
    holding, exits = after_bar(bought(), bar(95, 96, 90), RULES)

    assert sold(exits) == [("stop_loss", 90, 10)]
    assert exits[0].at == bar(95, 96, 90).end
    assert holding.units == 0


def test_rule_1_a_low_one_tick_above_the_stop_sells_nothing() -> None:
    holding, exits = after_bar(bought(), bar(95, 96, 90.0001), RULES)

    assert exits == []
    assert holding == bought()


def test_rule_1_after_a_promotion_the_stop_is_called_breakeven() -> None:
    _, exits = after_bar(bought(stop=ENTRY, breakeven=True), bar(104, 105, 99), RULES)

    assert sold(exits) == [("breakeven_stop", 100, 10)]


def test_a_stop_that_merely_equals_the_entry_price_is_no_breakeven() -> None:
    _, exits = after_bar(bought(stop=ENTRY), bar(104, 105, 99), RULES)

    assert sold(exits) == [("stop_loss", 100, 10)]


def test_a_gap_below_the_stop_is_filled_at_the_open_and_flagged() -> None:
    _, exits = after_bar(bought(), bar(80, 95, 79), RULES)

    assert sold(exits) == [("stop_loss", 80, 10)]
    assert exits[0].at == bar(80, 95, 79).start
    assert exits[0].note == "gap: the first price seen was 80.00, below the trigger 90.00"


def test_a_bar_with_stop_and_target_is_taken_as_stopped_first_and_says_so() -> None:
    _, exits = after_bar(bought(), bar(100, 120, 85), RULES)

    assert sold(exits) == [("stop_loss", 90, 10)]
    assert exits[0].note is not None
    assert "the stop is taken to have come first" in exits[0].note


def test_an_open_above_the_target_is_known_to_come_before_the_stop() -> None:
    _, exits = after_bar(bought(), bar(118, 120, 85), RULES)

    assert sold(exits) == [("take_profit", 115, 5), ("stop_loss", 90, 5)]


# --- 2: take profit ---


def test_rule_2_a_high_at_the_target_sells_half_and_lets_the_rest_trail() -> None:
    holding, exits = after_bar(bought(11), bar(110, 115, 109), RULES)

    assert sold(exits) == [("take_profit", 115, 5)]
    assert (holding.units, holding.took_profit, holding.trailing) == (6, True, True)
    assert holding.time_extension == "trailing"


def test_rule_2_a_single_share_is_sold_instead_of_none_for_ever() -> None:
    holding, exits = after_bar(bought(1), bar(110, 115, 109), RULES)

    assert sold(exits) == [("take_profit", 115, 1)]
    assert holding.units == 0


def test_rule_2_applies_once_by_its_flag_and_not_by_the_number_of_shares() -> None:
    _, exits = after_bar(bought(10, took_profit=True), bar(110, 116, 109), RULES)

    assert exits == []


def test_rule_2_still_applies_after_a_person_sold_a_part() -> None:
    _, exits = after_bar(bought(4), bar(110, 115, 109), RULES)

    assert sold(exits) == [("take_profit", 115, 2)]


def test_a_gap_above_the_target_is_filled_at_the_target_and_no_better() -> None:
    _, exits = after_bar(bought(), bar(125, 126, 124), RULES)

    assert sold(exits) == [("take_profit", 115, 5)]


# --- 3: trailing stop ---


def test_rule_3_a_low_seven_percent_below_the_peak_closes_the_rest() -> None:
    _, exits = after_bar(trailing(120), bar(115, 116, 111.6), RULES)

    assert sold(exits) == [("trailing_stop", 111.6, 5)]
    assert exits[0].note is None


def test_rule_3_one_tick_above_the_trigger_sells_nothing() -> None:
    _, exits = after_bar(trailing(120), bar(115, 116, 111.6001), RULES)

    assert exits == []


def test_the_peak_is_moved_before_the_trailing_stop_is_looked_at() -> None:
    holding, exits = after_bar(trailing(110), bar(108, 120, 111), RULES)

    assert sold(exits) == [("trailing_stop", 111.6, 5)]
    assert holding.peak == ticks(120)
    assert exits[0].note is not None
    assert "the peak is taken to have come first" in exits[0].note


def test_a_gap_below_the_trailing_stop_is_filled_at_the_open() -> None:
    _, exits = after_bar(trailing(120), bar(105, 130, 104), RULES)

    assert sold(exits) == [("trailing_stop", 105, 5)]
    assert exits[0].note is not None
    assert exits[0].note.startswith("gap")


def test_a_bar_may_take_profit_and_trail_out_at_once() -> None:
    _, exits = after_bar(bought(), bar(110, 120, 105), RULES)

    assert sold(exits) == [("take_profit", 115, 5), ("trailing_stop", 111.6, 5)]


def test_without_trailing_a_fall_from_the_peak_sells_nothing() -> None:
    _, exits = after_bar(bought(peak=ticks(114)), bar(105, 106, 95), RULES)

    assert exits == []


# --- 4: breakeven promotion ---


def test_rule_4_a_gain_of_five_percent_after_five_days_moves_the_stop_to_the_entry() -> None:
    holding, exits = priced(bought(), 105, hold_days=5)

    assert exits == []
    assert (holding.stop, holding.breakeven, holding.time_extension) == (ENTRY, True, "extended")


@pytest.mark.parametrize(
    ("price_usd", "hold_days", "took_profit"),
    [(105, 4, False), (105, 5, True)],
    ids=["too early", "profit was taken"],
)
def test_rule_4_needs_the_days_and_everything_still_held(
    price_usd: float, hold_days: int, took_profit: bool
) -> None:
    holding, _ = priced(bought(took_profit=took_profit), price_usd, hold_days)

    assert (holding.stop, holding.breakeven) == (ticks(90), False)


# --- 5, 6, 7: time stops ---


@pytest.mark.parametrize(
    ("price_usd", "hold_days", "took_profit", "closes"),
    [
        pytest.param(104.9999, 5, False, "base", id="5: too little gained after five days"),
        pytest.param(104.9999, 5, True, "base", id="5: also after profit was taken"),
        pytest.param(104.9999, 4, False, None, id="5: not before five days"),
        pytest.param(105, 6, False, None, id="5: five percent is enough for now"),
        pytest.param(105, 7, False, "extended", id="6: some gain after seven days"),
        pytest.param(114.9999, 7, False, "extended", id="6: up to the target"),
        pytest.param(105, 7, True, None, id="6: not after profit was taken"),
        pytest.param(114, 9, True, None, id="7: not before ten days"),
        pytest.param(114, 10, True, "longest", id="7: whatever is left after ten days"),
        pytest.param(200, 10, True, "longest", id="7: whatever the gain"),
    ],
)
def test_time_stops(price_usd: float, hold_days: int, took_profit: bool, closes: str | None) -> None:
    _, exits = priced(bought(took_profit=took_profit), price_usd, hold_days)

    assert sold(exits) == ([("time_stop", price_usd, 10)] if closes else [])
    assert [one.note for one in exits] == ([f"{closes} time stop after {hold_days} days"] if closes else [])


def test_rule_6_spares_a_gain_of_the_target_where_the_position_was_bought_with_a_higher_one() -> None:
    _, exits = priced(bought(target=ticks(200)), 115, hold_days=7)

    assert exits == []


def test_a_current_price_below_the_stop_is_a_stop_and_not_a_time_stop() -> None:
    _, exits = priced(bought(), 85, hold_days=10)

    assert sold(exits) == [("stop_loss", 85, 10)]


def test_a_current_price_at_the_target_takes_profit_before_any_time_stop() -> None:
    holding, exits = priced(bought(), 116, hold_days=7)

    assert sold(exits) == [("take_profit", 115, 5)]
    assert holding.peak == ticks(116)
