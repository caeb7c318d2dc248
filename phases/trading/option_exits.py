"""When an option is sold: the same machinery as for shares, with a table of its own.

A premium is judged by its mark and sold at the bid, where the source tells one. So a wide spread stops nobody
out, and nobody sells at a price that nobody offers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from phases.config import Config
from phases.tools import OptionQuote
from phases.trading.exits import (
    Exit,
    ExitRules,
    Holding,
    Outcome,
    Rule,
    Sighting,
    apply,
    exactly,
    raise_peak,
    sell,
    stop_loss,
    take_profit,
    trailing_stop,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionRules(ExitRules):
    """The numbers for options: shares of one, and days."""

    time_stop_days: int
    expiration_protection_dte: int

    @classmethod
    def of(cls, config: Config) -> OptionRules:
        """Return the rules that `system_config` says."""
        return cls(
            stop_loss_pct=exactly(config.option_stop_loss_pct),
            take_profit_pct=exactly(config.option_take_profit_pct),
            take_profit_exit_pct=exactly(config.option_take_profit_exit_pct),
            trailing_stop_pct=exactly(config.option_trailing_stop_pct),
            time_stop_days=config.option_time_stop_days,
            expiration_protection_dte=config.option_expiration_protection_dte,
        )


def at_premium(holding: Holding, quote: OptionQuote, hold_days: int, dte: int, rules: OptionRules) -> Outcome:
    """Apply all option rules to one quote; without a premium, or with nobody who bids, nothing happens.

    Days are calendar days on the exchange: since the entry, and to the expiration.
    """
    premium = quote.premium
    if premium is None or quote.bid == 0:
        return holding, []
    seen = Sighting(
        low=premium,
        high=premium,
        at=quote.at,
        is_range=False,
        hold_days=hold_days,
        dte=dte,
        bid=quote.bid,
    )
    return apply(OPTION_RULES, holding, seen, rules)


def expiration(holding: Holding, seen: Sighting, rules: OptionRules) -> tuple[Holding, Exit | None]:
    """1: sell all when the expiration is near."""
    if seen.dte is None or seen.dte > rules.expiration_protection_dte:
        return holding, None
    note = f"{seen.dte} days before it expires"
    return sell(holding, holding.units, "expiration", seen.brings(seen.low), seen.at, note)


def time_stop(holding: Holding, seen: Sighting, rules: OptionRules) -> tuple[Holding, Exit | None]:
    """5: sell whatever is left at the longest time."""
    if seen.hold_days < rules.time_stop_days:
        return holding, None
    note = f"time stop after {seen.hold_days} days"
    return sell(holding, holding.units, "time_stop", seen.brings(seen.low), seen.at, note)


OPTION_RULES: Final[tuple[Rule[OptionRules], ...]] = (
    expiration,
    stop_loss,
    take_profit,
    raise_peak,
    trailing_stop,
    time_stop,
)
