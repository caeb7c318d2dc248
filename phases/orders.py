"""What to buy for a signal: sizes, limits and replacement as pure functions; money in ticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from phases.book import Portfolio, Position
from phases.money import scaled, usd

SIZE_TIERS: Final = (
    (Decimal("0.75"), Decimal("1.00")),
    (Decimal("0.60"), Decimal("0.75")),
    (Decimal("0.50"), Decimal("0.50")),
)
"""From this confidence on, this share of a full position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingRules:
    """The numbers of entries; shares of one."""

    min_confidence: Decimal = Decimal("0.5")
    max_positions: int = 10
    full_size_divisor: int = 20
    """A full position is this part of the portfolio's value."""
    min_size_pct: Decimal = Decimal("0.02")
    max_size_pct: Decimal = Decimal("0.15")
    replacement_margin: Decimal = Decimal("0.1")
    winner_protection: Decimal = Decimal("0.05")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Units (shares or contracts) to buy, and the position to sell first where the portfolio is full."""

    units: int
    replaces: Position | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why nothing is bought."""

    type: str
    message: str
    expected: bool = False
    """An everyday case: logged, no warning."""
    context: Mapping[str, object]


def plan(
    confidence: Decimal,
    price: int,
    portfolio: Portfolio,
    held: Sequence[Position],
    prices: Mapping[str, int],
    rules: TradingRules,
    as_of: datetime,
) -> Order | Refusal:
    """Decide what a signal buys at `price`; everything is checked here, before anything is sold.

    Args:
        confidence: The signal's.
        price: What one share costs.
        portfolio: The portfolio as it is now.
        held: Its open positions.
        prices: Current prices by ticker; a held ticker that is missing counts at its last known price.
        rules: The limits.
        as_of: Now; a position that was looked at later (by a run of another day) is never sold.
    """
    replaces = _to_replace(confidence, held, prices, rules, as_of)
    if isinstance(replaces, Refusal):
        return replaces
    value = portfolio.cash + sum(prices.get(one.ticker, one.last_price) * one.holding.units for one in held)
    units = _size(confidence, value, rules) // price
    cost = units * price
    cash = portfolio.cash + (prices[replaces.ticker] * replaces.holding.units if replaces else 0)
    if not units:
        return Refusal(
            type="position_too_small",
            message=f"{portfolio.name}: one share costs {usd(price):.2f}, more than the position's size",
            context={"portfolio": portfolio.name, "price": usd(price)},
        )
    if cash < cost:
        return Refusal(
            type="insufficient_cash",
            message=f"{portfolio.name} has {usd(cash):.2f} to spend, the position needs {usd(cost):.2f}",
            context={"portfolio": portfolio.name, "needed": usd(cost), "available": usd(cash)},
        )
    return Order(units=units, replaces=replaces)


def _size(confidence: Decimal, value: int, rules: TradingRules) -> int:
    """Return the ticks that a position of this confidence may cost at most."""
    tier = next((share for floor, share in SIZE_TIERS if confidence >= floor), SIZE_TIERS[-1][1])
    wanted = scaled(value, tier / rules.full_size_divisor)
    return min(max(wanted, scaled(value, rules.min_size_pct)), scaled(value, rules.max_size_pct))


def _to_replace(
    confidence: Decimal,
    held: Sequence[Position],
    prices: Mapping[str, int],
    rules: TradingRules,
    as_of: datetime,
) -> Position | Refusal | None:
    """Return the position that must go, `None` while there is room, or why none may go."""
    if len(held) < rules.max_positions:
        return None
    weakest = min(held, key=lambda one: (one.confidence, one.id))
    price = prices.get(weakest.ticker)
    if confidence <= weakest.confidence + rules.replacement_margin:
        reason, expected = "is not weaker by enough", True
    elif price is None or weakest.last_checked_at > as_of:
        reason, expected = "has no price to sell at now", False
    elif price > weakest.holding.entry_price * (1 + rules.winner_protection):
        reason, expected = "is winning", False
    else:
        return weakest
    return Refusal(
        type="replacement_blocked",
        message=f"the portfolio is full, and its weakest position, {weakest.ticker}, {reason}",
        expected=expected,
        context={"weakest": weakest.ticker, "weakest_confidence": float(weakest.confidence)},
    )
