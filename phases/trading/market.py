"""What phase 5 asks of the outside world: each share and each chain once, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeVar

from phases.chains.breaker import ChainBreaker
from phases.prices.breaker import Breaker
from phases.prices.circuit import BreakerOpen
from phases.tools import Context, OptionQuote, PricesUnavailable, Quote
from phases.trading.book import Position
from phases.trading.offers import Price
from phases.trading.splits import before_jump

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class Market:
    """The answers by ticker; what is missing was warned of, if somebody wanted to buy it."""

    shares: dict[str, Quote]
    chains: dict[str, Sequence[OptionQuote]]
    restating: AbstractSet[str] = frozenset()
    """Shares that were split, or look like it, since their positions were looked at: phase 6 restates those
    first, and until then a price of the new shares is none of theirs."""

    def prices(self, held: Sequence[Position]) -> dict[str, Price]:
        """Return the current prices of what is held, by symbol."""
        found = {one.symbol: self._price(one) for one in held}
        return {symbol: price for symbol, price in found.items() if price}

    def _price(self, position: Position) -> Price | None:
        if position.ticker in self.restating:
            return None
        if position.contract is None:
            quote = self.shares.get(position.ticker)
            return Price.of_share(quote) if quote else None
        chain = self.chains.get(position.ticker, ())
        return next((Price.of_option(one) for one in chain if one.contract == position.contract), None)


def ask(
    ctx: Context, *, shares: AbstractSet[str], optionable: AbstractSet[str], held: Sequence[Position]
) -> Market:
    """Return the quotes of `shares`, the chains of `optionable`, and those of all that is held.

    A held ticker without an answer counts at its last known price, and phase 6 warns of it.
    """
    now = ctx.tools.as_of
    prices, chains = Breaker(ctx.tools.prices), ChainBreaker(ctx.tools.chains)
    held_shares = {one.ticker for one in held if one.contract is None}
    held_options = {one.ticker for one in held if one.contract}
    quotes = _each(
        ctx, "price_unavailable", "price", shares, held_shares, lambda ticker: prices.quote(ticker, now)
    )
    market = Market(
        shares=quotes,
        restating={one.ticker for one in held if _was_split(ctx, prices, one, quotes.get(one.ticker))},
        chains=_each(
            ctx,
            f"{chains.name}_options_unavailable",
            "option chain",
            optionable,
            held_options,
            lambda ticker: chains.chain(ticker, now),
        ),
    )
    prices.warn_if_open(ctx.warn)
    chains.warn_if_open(ctx.warn)
    return market


def _was_split(ctx: Context, prices: Breaker, position: Position, quote: Quote | None) -> bool:
    """Return whether a share is, or may be, no longer what it was at the position's last price."""
    if quote is None or position.contract:
        return False
    try:
        announced = prices.splits(position.ticker, position.last_price_at, ctx.tools.as_of)
    except PricesUnavailable:
        announced = ()
    return bool(announced) or before_jump(position, [], quote, ctx.tools.calendar)[2] is not None


def _each(
    ctx: Context,
    warning: str,
    noun: str,
    wanted: AbstractSet[str],
    held: AbstractSet[str],
    question: Callable[[str], AnswerT | None],
) -> dict[str, AnswerT]:
    answers: dict[str, AnswerT] = {}
    for ticker in sorted(wanted) + sorted(held - wanted):
        ctx.raise_if_stopping()
        try:
            answer, reason = question(ticker), f"it is unknown, or its last {noun} is stale"
        except BreakerOpen:
            continue
        except PricesUnavailable as error:
            answer, reason = None, str(error)
        if answer:
            answers[ticker] = answer
        elif ticker in wanted:
            ctx.warn(warning, f"no {noun} for {ticker}: {reason}", ticker=ticker, reason=reason)
    return answers
