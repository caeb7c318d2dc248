"""The Black-Scholes formula, for made-up chains only: no premium or delta of a real source is computed here.

Formulas as in Black and Scholes, "The Pricing of Options and Corporate Liabilities", 1973, without dividends
and interest. They hold for European options; American ones, which most are, may be worth more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from phases.tools import OptionType

DAYS_A_YEAR: Final = 365


@dataclass(frozen=True, slots=True)
class Theory:
    """What the formula says of one contract; the premium is in the share's unit."""

    premium: float
    delta: float


def theory(kind: OptionType, share: float, strike: float, volatility: float, days: float) -> Theory:
    """Return premium and delta; `volatility` is a share of one a year, `days` to the expiration.

    At the end, or without volatility, the premium is the intrinsic value.
    """
    spread = volatility * math.sqrt(max(days, 0) / DAYS_A_YEAR)
    if spread <= 0:
        call = Theory(max(0.0, share - strike), 1.0 if share > strike else 0.0)
    else:
        d1 = math.log(share / strike) / spread + spread / 2
        call = Theory(share * _normal(d1) - strike * _normal(d1 - spread), _normal(d1))
    if kind == "call":
        return call
    return Theory(call.premium - share + strike, call.delta - 1)


def _normal(x: float) -> float:
    """Return the standard normal distribution's share below `x`."""
    return math.erfc(-x / math.sqrt(2)) / 2
