"""The bundled sample's option chains: made up, like all of it, from its share prices and a formula."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from phases.chains.black_scholes import theory
from phases.chains.occ import contract
from phases.money import TICKS_PER_USD, ticks, usd
from phases.prices.sample import SamplePrices
from phases.tools import Calendar, OptionQuote, OptionType, Quote

VOLATILITY: Final[Mapping[str, float]] = {
    "GME": 0.85,
    "INTC": 0.55,
    "NVDA": 0.60,
    "PLTR": 0.75,
    "TSLA": 0.80,
}
"""The shares that have options, and their volatility a year."""
KINDS: Final[tuple[OptionType, ...]] = ("call", "put")
FRIDAY: Final = 4
EXPIRATIONS: Final = 5
"""So many Fridays are listed."""
STRIKES_EACH_WAY: Final = 8
STEPS_USD: Final = (0.5, 1.0, 2.5, 5.0, 10.0)
STEPS_A_SHARE: Final = 50
"""Strikes lie about a fiftieth of the share's price apart."""
HALF_SPREAD: Final = 0.03
"""From the mark to the bid or the ask, as a share of the mark."""
CENT: Final = TICKS_PER_USD // 100


class SampleChains:
    """Weekly options on a few of the sample's shares, at whatever the share costs."""

    name = "sample"

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._shares = SamplePrices(calendar)

    def chain(self, ticker: str, at: datetime) -> Sequence[OptionQuote]:
        """Return calls and puts around the share's last price; none for a share without options."""
        share = self._shares.quote(ticker, at)
        if share is None or ticker not in VOLATILITY:
            return ()
        today = self._calendar.trading_date(share.at)
        return [
            _quote(ticker, share, today, kind, strike, expiration)
            for expiration in _fridays(today)
            for strike in _strikes(share.price)
            for kind in KINDS
        ]


def _fridays(today: date) -> Iterator[date]:
    first = today + timedelta(days=(FRIDAY - today.weekday()) % 7)
    for week in range(EXPIRATIONS):
        yield first + timedelta(weeks=week)


def _strikes(share: int) -> Iterator[int]:
    step = next(
        (ticks(one) for one in STEPS_USD if ticks(one) * STEPS_A_SHARE >= share), ticks(STEPS_USD[-1])
    )
    middle = share // step
    for place in range(max(1, middle - STRIKES_EACH_WAY), middle + STRIKES_EACH_WAY + 1):
        yield place * step


def _quote(
    ticker: str, share: Quote, today: date, kind: OptionType, strike: int, expiration: date
) -> OptionQuote:
    volatility = VOLATILITY[ticker]
    told = theory(kind, usd(share.price), usd(strike), volatility, (expiration - today).days)
    mark = ticks(told.premium)
    return OptionQuote(
        contract=contract(ticker, expiration, kind, strike),
        at=share.at,
        bid=int(mark * (1 - HALF_SPREAD)) // CENT * CENT,
        ask=math.ceil(mark * (1 + HALF_SPREAD) / CENT) * CENT,
        mark=mark,
        delta=told.delta,
        iv=volatility,
        underlying=share.price,
    )
