"""The bundled sample's option chains: made up, like all of it, from its share prices and a formula."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from phases.chains.black_scholes import theory
from phases.chains.occ import contract
from phases.money import TICKS_PER_USD, ticks, usd
from phases.prices.sample import SamplePrices
from phases.tools import Calendar, OptionQuote, OptionType, Quote


@dataclass(frozen=True, slots=True)
class Listing:
    """How wild a share is, and which strikes are listed all the time, whatever it costs."""

    volatility: float
    """A year, a share of one."""
    lowest_usd: float
    highest_usd: float
    step_usd: float


LISTINGS: Final[Mapping[str, Listing]] = {
    "GME": Listing(0.85, 12, 36, 0.5),
    "INTC": Listing(0.55, 14, 30, 0.5),
    "NVDA": Listing(0.60, 85, 160, 2.5),
    "PLTR": Listing(0.75, 55, 130, 2.5),
    "TSLA": Listing(0.80, 160, 400, 5),
}
KINDS: Final[tuple[OptionType, ...]] = ("call", "put")
FRIDAY: Final = 4
EXPIRATIONS: Final = 5
"""So many Fridays are listed."""
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
        if share is None or ticker not in LISTINGS:
            return ()
        today = self._calendar.trading_date(share.at)
        return [
            _quote(ticker, share, today, kind, strike, expiration)
            for expiration in _fridays(today)
            for strike in _strikes(LISTINGS[ticker])
            for kind in KINDS
        ]


def _fridays(today: date) -> Iterator[date]:
    first = today + timedelta(days=(FRIDAY - today.weekday()) % 7)
    for week in range(EXPIRATIONS):
        yield first + timedelta(weeks=week)


def _strikes(listing: Listing) -> Iterator[int]:
    lowest, highest, step = map(ticks, (listing.lowest_usd, listing.highest_usd, listing.step_usd))
    return iter(range(lowest, highest + 1, step))


def _quote(
    ticker: str, share: Quote, today: date, kind: OptionType, strike: int, expiration: date
) -> OptionQuote:
    volatility = LISTINGS[ticker].volatility
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
