"""Money without float drift: whole ticks of 1/10,000 US dollar inside, dollars at the edges.

The database keeps dollars as REAL with at most four decimals (the names and units of the published
tables). Such a number below 10^11 survives the way to ticks and back unchanged, because a double
carries 15 significant digits, so sums are made in ticks and nothing is lost in between.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

TICKS_PER_USD: Final = 10_000


def ticks(usd: float | str | Decimal) -> int:
    """Return an amount of US dollars in ticks, rounded half to even at the fourth decimal.

    >>> ticks("584.76"), ticks(0.1 + 0.2), ticks(Decimal("0.00005"))
    (5847600, 3000, 0)
    """
    exact = usd if isinstance(usd, Decimal) else Decimal(str(usd))
    return int((exact * TICKS_PER_USD).to_integral_value(ROUND_HALF_EVEN))


def usd(amount: int) -> float:
    """Return ticks as US dollars, for a REAL column or a JSON answer.

    >>> usd(5847600)
    584.76
    """
    return amount / TICKS_PER_USD


def scaled(amount: int, factor: float | str | Decimal) -> int:
    """Return `amount * factor` in whole ticks, rounded half to even.

    >>> scaled(1_000_000, "0.93")
    930000
    """
    exact = factor if isinstance(factor, Decimal) else Decimal(str(factor))
    return int((amount * exact).to_integral_value(ROUND_HALF_EVEN))
