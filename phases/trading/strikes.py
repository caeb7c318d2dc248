"""Which option a prediction or a signal buys: a pure choice among the contracts of one chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from phases.config import Config
from phases.tools import OptionQuote, OptionType


@dataclass(frozen=True, slots=True, kw_only=True)
class StrikeRules:
    """The window: calendar days to expiration (DTE), and absolute deltas."""

    min_dte: int
    max_dte: int
    target_dte: int
    min_delta: float
    max_delta: float
    target_delta: float

    @classmethod
    def of(cls, config: Config) -> StrikeRules:
        """Return the rules that `system_config` says."""
        return cls(
            min_dte=config.option_min_dte,
            max_dte=config.option_max_dte,
            target_dte=config.option_target_dte,
            min_delta=config.option_min_delta,
            max_delta=config.option_max_delta,
            target_delta=config.option_target_delta,
        )


@dataclass(frozen=True, slots=True)
class NoStrike:
    """Why no contract of a chain may be bought."""

    reason: str
    expirations: tuple[date, ...]
    """The listed expirations of the window, the one that was looked at first."""


def choose_strike(
    chain: Sequence[OptionQuote], wanted: OptionType, today: date, rules: StrikeRules
) -> OptionQuote | NoStrike:
    """Return the contract to buy: first the expiration nearest the target, then in it the delta.

    Of two expirations equally near the later wins, of two deltas the larger (it is nearer the money). Only
    the chosen expiration is looked at. `today` is the exchange's date.
    """
    listed = [quote for quote in chain if quote.contract.type == wanted]
    days = {quote.contract.expiration: (quote.contract.expiration - today).days for quote in listed}
    window = [one for one, dte in days.items() if rules.min_dte <= dte <= rules.max_dte]
    window.sort(key=lambda one: (abs(days[one] - rules.target_dte), -days[one]))
    if not window:
        between = f"{rules.min_dte} to {rules.max_dte} days"
        return NoStrike(f"no {wanted} expires in {between}", ())
    fitting = [one for one in listed if one.contract.expiration == window[0] and _fits(one, rules)]
    if not fitting:
        span = f"{rules.min_delta:g} to {rules.max_delta:g}"
        return NoStrike(f"no {wanted} of {window[0]} is for sale with a delta of {span}", tuple(window))
    return min(fitting, key=lambda one: _distance(one, rules))


def _fits(quote: OptionQuote, rules: StrikeRules) -> bool:
    """Return whether the contract can be bought: a known delta in range, a price, and somebody who bids.

    Chains hold rows whose greeks are all 0, for contracts that nobody trades or that are deep in the money.
    """
    right_way = (quote.delta or 0.0) * (1 if quote.contract.type == "call" else -1)
    for_sale = (quote.ask or quote.premium or 0) > 0 and quote.bid != 0
    known = right_way > 0 and quote.iv != 0
    return for_sale and known and rules.min_delta <= right_way <= rules.max_delta


def _distance(quote: OptionQuote, rules: StrikeRules) -> tuple[float, float, int]:
    delta = abs(quote.delta or 0.0)
    return round(abs(delta - rules.target_delta), 9), -delta, quote.contract.strike
