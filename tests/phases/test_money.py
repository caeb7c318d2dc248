"""Laws of money: what goes to the database comes back, and nothing drifts on the way."""

from __future__ import annotations

import sqlite3
from decimal import ROUND_HALF_EVEN, Decimal

from hypothesis import given
from hypothesis import strategies as st

from phases.money import scaled, ticks, usd

AMOUNTS = st.integers(-(10**15) + 1, 10**15 - 1)
"""Ticks below 10^11 US dollars, either sign."""
SHARES_OF_ONE = st.decimals(-2, 2, allow_nan=False, places=4)


@given(AMOUNTS)
def test_an_amount_survives_the_way_through_a_real_column(amount: int) -> None:
    conn = sqlite3.connect(":memory:")

    (stored,) = conn.execute("SELECT cast(? AS REAL)", (usd(amount),)).fetchone()
    conn.close()

    assert ticks(stored) == amount


@given(st.lists(st.integers(-(10**10), 10**10), max_size=50))
def test_a_sum_of_stored_amounts_is_the_sum_of_the_amounts(amounts: list[int]) -> None:
    assert sum(ticks(usd(amount)) for amount in amounts) == sum(amounts)


@given(st.decimals(-(10**9), 10**9, allow_nan=False, places=4))
def test_dollars_with_four_decimals_are_whole_ticks(dollars: Decimal) -> None:
    assert ticks(dollars) == ticks(str(dollars)) == dollars * 10_000


@given(AMOUNTS, SHARES_OF_ONE)
def test_a_scaled_amount_is_off_by_half_a_tick_at_most(amount: int, share: Decimal) -> None:
    exact = amount * share

    assert scaled(amount, share) == exact.quantize(Decimal(1), ROUND_HALF_EVEN)
    assert abs(scaled(amount, share) - exact) <= Decimal("0.5")


def test_halves_are_rounded_to_the_even_tick() -> None:
    assert [ticks("0.00005"), ticks("0.00015"), scaled(5, "0.5"), scaled(7, "0.5")] == [0, 2, 2, 4]


def test_a_float_means_the_shortest_decimal_that_is_written_the_same() -> None:
    assert ticks(0.1 + 0.2) == 3000
    assert scaled(1_000_000, 0.93) == 930_000
