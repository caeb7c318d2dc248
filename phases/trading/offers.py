"""What a signal may buy, and at what price it is filled: pure choices from a quote or a chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from phases.config import Config
from phases.money import usd
from phases.stamps import stamp
from phases.tools import OptionContract, OptionQuote, OptionType, Quote
from phases.trading.exits import exactly
from phases.trading.instruments import OPTION, STOCK, Instrument
from phases.trading.strikes import NoStrike, StrikeRules, choose_strike

Direction = Literal["long", "call", "put"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why nothing is bought."""

    type: str
    message: str
    expected: bool = False
    """An everyday case: logged, no warning."""
    context: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one share of something held is worth now (for an option: of the premium), in ticks."""

    mark: int
    bid: int
    """What a sale brings."""
    at: datetime
    basis: str

    @classmethod
    def of_share(cls, quote: Quote) -> Price:
        """Return a share's price: paper trades have no spread."""
        return cls(mark=quote.price, bid=quote.price, at=quote.at, basis=quote.basis)

    @classmethod
    def of_option(cls, quote: OptionQuote) -> Price | None:
        """Return a premium, `None` where none is known or nobody bids. Without a bid the mark stands in."""
        if quote.premium is None or quote.bid == 0:
            return None
        bid = quote.premium if quote.bid is None else min(quote.bid, quote.premium)
        return cls(mark=quote.premium, bid=bid, at=quote.at, basis=_basis(quote, "bid", quote.bid))


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Something to buy, at a price a share."""

    ticker: str
    instrument: Instrument
    direction: Direction
    price: int
    """What the fill costs."""
    mark: int
    """What it is worth right after."""
    at: datetime
    basis: str
    contract: OptionContract | None = None
    underlying: int | None = None
    """The share's price beside an option."""

    @property
    def unit_cost(self) -> int:
        """What one share or contract costs."""
        return self.price * self.instrument.multiplier


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionBuying:
    """Which contract is chosen, and how well its chain must fit the share's price."""

    strikes: StrikeRules
    max_underlying_move: Decimal

    @classmethod
    def of(cls, config: Config) -> OptionBuying:
        """Return the rules that `system_config` says."""
        return cls(
            strikes=StrikeRules.of(config), max_underlying_move=exactly(config.option_max_underlying_move_pct)
        )


def offer_share(ticker: str, quote: Quote) -> Offer:
    """Return shares at their quote."""
    return Offer(
        ticker=ticker,
        instrument=STOCK,
        direction="long",
        price=quote.price,
        mark=quote.price,
        at=quote.at,
        basis=quote.basis,
    )


def offer_option(
    wanted: OptionType, chain: Sequence[OptionQuote], share: Quote, today: date, rules: OptionBuying
) -> Offer | Refusal:
    """Return the contract that the strike rules choose, filled at the ask, or why none is bought.

    Where nobody tells an ask the mark stands in, and the basis says so.
    """
    chosen = choose_strike(chain, wanted, today, rules.strikes)
    if isinstance(chosen, NoStrike):
        expirations = [day.isoformat() for day in chosen.expirations]
        return Refusal(
            type="strike_unavailable",
            message=chosen.reason,
            context={"option_type": wanted, "expirations_checked": expirations},
        )
    if misfit := _misfit(chosen, share, rules.max_underlying_move):
        return misfit
    price = chosen.ask or chosen.premium
    assert price is not None, "as `choose_strike` promises"
    return Offer(
        ticker=chosen.contract.ticker,
        instrument=OPTION,
        direction=wanted,
        price=price,
        mark=min(price, chosen.premium or price),
        at=chosen.at,
        basis=_basis(chosen, "ask", chosen.ask),
        contract=chosen.contract,
        underlying=share.price,
    )


def _misfit(quote: OptionQuote, share: Quote, most: Decimal) -> Refusal | None:
    """Return why a chain doesn't go with the share's price: it is of before a jump, or of a split share."""
    if quote.underlying is None or abs(share.price - quote.underlying) <= quote.underlying * most:
        return None
    return Refusal(
        type="option_chain_mismatch",
        message=f"the chain is of a share at {usd(quote.underlying):.2f}, which is now at "
        f"{usd(share.price):.2f}; its premiums say nothing of now",
        context={"underlying": usd(quote.underlying), "price": usd(share.price)},
    )


def _basis(quote: OptionQuote, side: str, price: int | None) -> str:
    """Return which price a fill used, with the whole quote beside it."""
    used = f"{side} of {stamp(quote.at)}" if price else f"mark of {stamp(quote.at)}, no {side} known"
    sides = [
        f"{name} {usd(value):.2f}"
        for name, value in (("bid", quote.bid), ("ask", quote.ask), ("mark", quote.mark))
        if value is not None
    ]
    greeks = [] if quote.delta is None else [f"delta {quote.delta:.2f}"]
    return f"{used} ({', '.join(sides + greeks)})"
