"""What to buy for a signal: sizes, limits and replacement as pure functions; money in ticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from phases.config import Config
from phases.money import scaled, usd
from phases.trading.book import Portfolio, Position
from phases.trading.exits import exactly
from phases.trading.instruments import OPTION, Instrument
from phases.trading.offers import Offer, Price, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingRules:
    """The numbers of entries; shares of one."""

    min_confidence: Decimal
    max_positions: int
    replacement_margin: Decimal
    winner_protection: Decimal
    size_tiers: tuple[tuple[Decimal, Decimal], ...]
    """From this confidence on, this share of a full stock position; the highest first."""
    full_size_divisor: int
    """A full stock position is this part of the portfolio's value."""
    min_size: Decimal
    max_size: Decimal
    option_size: Decimal

    @classmethod
    def of(cls, config: Config) -> TradingRules:
        """Return the rules that `system_config` says."""
        return cls(
            min_confidence=exactly(config.trade_min_confidence),
            max_positions=config.trade_max_positions,
            replacement_margin=exactly(config.trade_replacement_margin),
            winner_protection=exactly(config.trade_winner_protection_pct),
            size_tiers=(
                (exactly(config.stock_size_high_confidence), exactly(config.stock_size_high_share)),
                (exactly(config.stock_size_mid_confidence), exactly(config.stock_size_mid_share)),
                (Decimal(0), exactly(config.stock_size_low_share)),
            ),
            full_size_divisor=config.stock_size_divisor,
            min_size=exactly(config.stock_min_size_pct),
            max_size=exactly(config.stock_max_size_pct),
            option_size=exactly(config.option_size_pct),
        )

    def size(self, instrument: Instrument, confidence: Decimal, value: int) -> int:
        """Return the ticks that a position may cost at most, of a portfolio worth `value`."""
        return scaled(value, self.option_size if instrument is OPTION else self._stock_size(confidence))

    def _stock_size(self, confidence: Decimal) -> Decimal:
        tier = next(share for floor, share in self.size_tiers if confidence >= floor)
        return min(max(tier / self.full_size_divisor, self.min_size), self.max_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Units (shares or contracts) to buy, and the position to sell first where the portfolio is full."""

    units: int
    replaces: Position | None = None


def plan(
    confidence: Decimal,
    offer: Offer,
    portfolio: Portfolio,
    held: Sequence[Position],
    prices: Mapping[str, Price],
    rules: TradingRules,
    as_of: datetime,
) -> Order | Refusal:
    """Decide how much of an offer a signal buys; everything is checked here, before anything is sold.

    Args:
        confidence: The signal's.
        offer: What is bought, and its price.
        portfolio: The portfolio as it is now.
        held: Its open positions.
        prices: Current prices by symbol; a held symbol that is missing counts at its last known price.
        rules: The limits.
        as_of: Now; a position that was looked at later (by a run of another day) is never sold.
    """
    replaces = _to_replace(confidence, held, prices, rules, as_of)
    if isinstance(replaces, Refusal):
        return replaces
    value = portfolio.cash + sum(_worth(one, prices) for one in held)
    units = rules.size(offer.instrument, confidence, value) // offer.unit_cost
    cost = units * offer.unit_cost
    cash = portfolio.cash + (replaces.worth(prices[replaces.symbol].bid) if replaces else 0)
    if not units:
        return Refusal(
            type="position_too_small",
            message=f"{portfolio.name}: one {offer.instrument.units.removesuffix('s')} costs "
            f"{usd(offer.unit_cost):.2f}, more than the position's size",
            context={"portfolio": portfolio.name, "price": usd(offer.price)},
        )
    if cash < cost:
        return Refusal(
            type="insufficient_cash",
            message=f"{portfolio.name} has {usd(cash):.2f} to spend, the position needs {usd(cost):.2f}",
            context={"portfolio": portfolio.name, "needed": usd(cost), "available": usd(cash)},
        )
    return Order(units=units, replaces=replaces)


def _worth(position: Position, prices: Mapping[str, Price]) -> int:
    known = prices.get(position.symbol)
    return position.worth(known.mark if known else position.last_price)


def _to_replace(
    confidence: Decimal,
    held: Sequence[Position],
    prices: Mapping[str, Price],
    rules: TradingRules,
    as_of: datetime,
) -> Position | Refusal | None:
    """Return the position that must go, `None` while there is room, or why none may go."""
    if len(held) < rules.max_positions:
        return None
    weakest = min(held, key=lambda one: (one.confidence, one.id))
    price = prices.get(weakest.symbol)
    if confidence <= weakest.confidence + rules.replacement_margin:
        reason, expected = "is not weaker by enough", True
    elif price is None or weakest.last_checked_at > as_of:
        reason, expected = "has no price to sell at now", False
    elif price.mark > weakest.holding.entry_price * (1 + rules.winner_protection):
        reason, expected = "is winning", False
    else:
        return weakest
    return Refusal(
        type="replacement_blocked",
        message=f"the portfolio is full, and its weakest position, {weakest.ticker}, {reason}",
        expected=expected,
        context={"weakest": weakest.ticker, "weakest_confidence": float(weakest.confidence)},
    )
