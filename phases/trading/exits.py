"""When a position is sold: the rules as pure functions, for stocks one table for ranges and one for prices.

The rules that options have too take `ExitRules`; what options alone have is in `option_exits.py`.

Prices are ticks. A bar is seen in two steps: first its open, the one price in it whose moment is known, then
its whole range. So a gap is filled at the open, the first price at which anybody could have sold, and a bar
that was looked at in two runs (its open in mid-session, its range later) ends like one looked at once.

What a bar doesn't tell is assumed against us, and the exit's note says so: where the range holds the stop
and the target, the stop came first; where it holds the peak and the trailing stop, the peak came first.

Splits and other events between two bars belong before `after_bar`: they change the holding, not a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, TypeVar

from phases.config import Config
from phases.money import scaled, usd
from phases.tools import Bar

ExitReason = Literal[
    "stop_loss",
    "take_profit",
    "trailing_stop",
    "breakeven_stop",
    "time_stop",
    "expiration",
    "manual",
    "replaced",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRules:
    """What all rules need, as shares of one; a stop loss is negative, a trailing stop positive."""

    stop_loss_pct: Decimal
    take_profit_pct: Decimal
    take_profit_exit_pct: Decimal
    """Of what is held, at least one unit."""
    trailing_stop_pct: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class StockRules(ExitRules):
    """The numbers for shares: shares of one, and days."""

    breakeven_trigger_pct: Decimal
    breakeven_min_days: int
    time_stop_base_days: int
    time_stop_base_min_gain: Decimal
    time_stop_extended_days: int
    time_stop_max_days: int

    @classmethod
    def of(cls, config: Config) -> StockRules:
        """Return the rules that `system_config` says."""
        return cls(
            stop_loss_pct=exactly(config.stock_stop_loss_pct),
            take_profit_pct=exactly(config.stock_take_profit_pct),
            trailing_stop_pct=exactly(config.stock_trailing_stop_pct),
            breakeven_trigger_pct=exactly(config.stock_breakeven_trigger_pct),
            breakeven_min_days=config.stock_breakeven_min_days,
            time_stop_base_days=config.stock_time_stop_base_days,
            time_stop_base_min_gain=exactly(config.stock_time_stop_base_min_gain),
            time_stop_extended_days=config.stock_time_stop_extended_days,
            time_stop_max_days=config.stock_time_stop_max_days,
            take_profit_exit_pct=exactly(config.stock_take_profit_exit_pct),
        )


def exactly(share: float) -> Decimal:
    """Return the decimal that was written in the configuration."""
    return Decimal(str(share))


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What the rules know of one position."""

    entry_price: int
    units: int
    """Shares or contracts still held."""
    stop: int
    target: int
    peak: int
    trailing: bool = False
    took_profit: bool = False
    """Set once, by the take-profit rule: a person's partial sale doesn't use it up."""
    breakeven: bool = False
    """Whether the stop was moved to the entry price."""

    @property
    def time_extension(self) -> Literal["base", "extended", "trailing"]:
        """Which clock runs: the first days, the longer time earned by a gain, or the trailing stop."""
        if self.trailing:
            return "trailing"
        return "extended" if self.breakeven else "base"

    @classmethod
    def bought(cls, price: int, units: int, rules: ExitRules) -> Holding:
        """Return a new position with its levels."""
        return cls(
            entry_price=price,
            units=units,
            stop=scaled(price, 1 + rules.stop_loss_pct),
            target=scaled(price, 1 + rules.take_profit_pct),
            peak=price,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """One sale."""

    reason: ExitReason
    price: int
    units: int
    """Shares or contracts."""
    at: datetime
    """When the price was made; the end of the bar where only its range is known."""
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one step sees: a range, or a single price (`low == high`) at a known moment."""

    low: int
    high: int
    at: datetime
    is_range: bool
    hold_days: int = 0
    """Calendar days on the exchange since the entry."""
    dte: int | None = None
    """Calendar days to an option's expiration."""
    bid: int | None = None
    """What a sale brings at this moment, where that is known to differ from the price seen."""

    def brings(self, price: int) -> int:
        """Return what a sale brings at `price` or at the bid, whichever is worse."""
        return price if self.bid is None else min(price, self.bid)

    @classmethod
    def of_price(cls, price: int, at: datetime, hold_days: int = 0) -> Sighting:
        """Return the sighting of one price."""
        return cls(low=price, high=price, at=at, is_range=False, hold_days=hold_days)

    @classmethod
    def of_range(cls, bar: Bar) -> Sighting:
        """Return the sighting of all that a bar traded at."""
        return cls(low=bar.low, high=bar.high, at=bar.end, is_range=True)


RulesT = TypeVar("RulesT", bound=ExitRules)

Rule = Callable[[Holding, Sighting, RulesT], tuple[Holding, Exit | None]]
"""Returns the holding after the rule, and the sale if there is one."""

Outcome = tuple[Holding, list[Exit]]


def after_bar(holding: Holding, bar: Bar, rules: StockRules) -> Outcome:
    """Apply the range rules (1 to 3) to one complete bar that began at or after the entry."""
    holding, at_open = apply(RANGE_RULES, holding, Sighting.of_price(bar.open, bar.start), rules)
    holding, later = apply(RANGE_RULES, holding, Sighting.of_range(bar), rules)
    return holding, at_open + later


def at_price(holding: Holding, price: int, at: datetime, hold_days: int, rules: StockRules) -> Outcome:
    """Apply all rules (1 to 7) to the current price."""
    return apply(RANGE_RULES + PRICE_RULES, holding, Sighting.of_price(price, at, hold_days), rules)


def apply(table: Sequence[Rule[RulesT]], holding: Holding, seen: Sighting, rules: RulesT) -> Outcome:
    """Apply a table's rules in their order, as long as something is held."""
    exits: list[Exit] = []
    for rule in table:
        if holding.units:
            holding, sale = rule(holding, seen, rules)
            exits += [sale] if sale else []
    return holding, exits


def stop_loss(holding: Holding, seen: Sighting, _rules: ExitRules) -> tuple[Holding, Exit | None]:
    """1: sell all at the stop."""
    if seen.low > holding.stop:
        return holding, None
    both = seen.is_range and not holding.took_profit and seen.high >= holding.target
    note = "the bar holds the stop and the target; the stop is taken to have come first" if both else None
    reason: ExitReason = "breakeven_stop" if holding.breakeven else "stop_loss"
    return _stopped(holding, seen, holding.stop, reason, note)


def take_profit(holding: Holding, seen: Sighting, rules: ExitRules) -> tuple[Holding, Exit | None]:
    """2: once, sell a part at the target (never better, even after a gap up) and let the rest trail."""
    if holding.took_profit or seen.brings(seen.high) < holding.target:
        return holding, None
    units = min(holding.units, max(1, int(holding.units * rules.take_profit_exit_pct)))
    holding, sale = sell(holding, units, "take_profit", holding.target, seen.at)
    return replace(holding, took_profit=True, trailing=True), sale


def raise_peak(holding: Holding, seen: Sighting, _rules: ExitRules) -> tuple[Holding, Exit | None]:
    """Move the peak up before the trailing stop is looked at."""
    return replace(holding, peak=max(holding.peak, seen.high)), None


def trailing_stop(holding: Holding, seen: Sighting, rules: ExitRules) -> tuple[Holding, Exit | None]:
    """3: sell the rest at a fixed share below the peak."""
    trigger = scaled(holding.peak, 1 - rules.trailing_stop_pct)
    if not holding.trailing or seen.low > trigger:
        return holding, None
    same_bar = seen.is_range and seen.high == holding.peak
    note = "the peak and the low are of one bar; the peak is taken to have come first" if same_bar else None
    return _stopped(holding, seen, trigger, "trailing_stop", note)


def promote_to_breakeven(holding: Holding, seen: Sighting, rules: StockRules) -> tuple[Holding, Exit | None]:
    """4: after some days with a gain, move the stop to the entry price."""
    if (
        holding.took_profit
        or seen.hold_days < rules.breakeven_min_days
        or not _gained(holding, seen, rules.breakeven_trigger_pct)
    ):
        return holding, None
    return replace(holding, stop=holding.entry_price, breakeven=True), None


def base_time_stop(holding: Holding, seen: Sighting, rules: StockRules) -> tuple[Holding, Exit | None]:
    """5: sell what has gained too little in time."""
    if seen.hold_days < rules.time_stop_base_days or _gained(holding, seen, rules.time_stop_base_min_gain):
        return holding, None
    return _out_of_time(holding, seen, "base")


def extended_time_stop(holding: Holding, seen: Sighting, rules: StockRules) -> tuple[Holding, Exit | None]:
    """6: sell what has gained something, but not reached the target in the longer time."""
    if (
        holding.took_profit
        or seen.hold_days < rules.time_stop_extended_days
        or not _gained(holding, seen, rules.time_stop_base_min_gain)
        or _gained(holding, seen, rules.take_profit_pct)
    ):
        return holding, None
    return _out_of_time(holding, seen, "extended")


def max_time_stop(holding: Holding, seen: Sighting, rules: StockRules) -> tuple[Holding, Exit | None]:
    """7: sell whatever is left at the longest time."""
    if seen.hold_days < rules.time_stop_max_days:
        return holding, None
    return _out_of_time(holding, seen, "longest")


RANGE_RULES: Final[tuple[Rule[StockRules], ...]] = (stop_loss, take_profit, raise_peak, trailing_stop)
PRICE_RULES: Final[tuple[Rule[StockRules], ...]] = (
    promote_to_breakeven,
    base_time_stop,
    extended_time_stop,
    max_time_stop,
)


def _gained(holding: Holding, seen: Sighting, share: Decimal) -> bool:
    return seen.low >= holding.entry_price * (1 + share)


def _stopped(
    holding: Holding, seen: Sighting, trigger: int, reason: ExitReason, note: str | None
) -> tuple[Holding, Exit]:
    """Sell all at a stop; a single price below it is a gap, and then the fill."""
    price = trigger if seen.is_range else seen.brings(min(seen.low, trigger))
    if price < trigger:
        note = f"gap: the first price seen was {usd(price):.2f}, below the trigger {usd(trigger):.2f}"
    return sell(holding, holding.units, reason, price, seen.at, note)


def _out_of_time(holding: Holding, seen: Sighting, stage: str) -> tuple[Holding, Exit]:
    note = f"{stage} time stop after {seen.hold_days} days"
    return sell(holding, holding.units, "time_stop", seen.brings(seen.low), seen.at, note)


def sell(
    holding: Holding, units: int, reason: ExitReason, price: int, at: datetime, note: str | None = None
) -> tuple[Holding, Exit]:
    """Return the holding without `units`, and their sale."""
    sale = Exit(reason=reason, price=price, units=units, at=at, note=note)
    return replace(holding, units=holding.units - units), sale
