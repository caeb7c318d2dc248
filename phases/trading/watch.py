"""How a position is looked at: what is new of it, as steps in order of time, for each kind of instrument."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from functools import partial
from typing import Protocol

from phases.chains.breaker import ChainBreaker
from phases.config import Config
from phases.prices.breaker import Breaker
from phases.tools import Bar, Calendar, Context, OptionContract, OptionQuote, Prices, Quote, Session
from phases.trading.book import Mark
from phases.trading.exits import Exit, Holding, Outcome, StockRules, after_bar, at_price
from phases.trading.expiry import intrinsic, last_session, official_close, settled
from phases.trading.instruments import OPTION, STOCK
from phases.trading.option_exits import OptionRules, at_premium
from phases.trading.splits import Jump, before_jump, restates
from phases.trading.watched import Watched


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that became known, and what the rules make of it."""

    since: datetime
    """Its first moment: what began before the cursor may lie before the entry, and is not used."""
    at: datetime
    """Its last moment."""
    price: int
    """The price at its last moment, in ticks."""
    act: Callable[[Holding], Outcome]
    underlying: int | None = None
    """The share's price beside an option's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """All that is to be seen of a position."""

    steps: Sequence[Step]
    bars: Sequence[Bar] = ()
    """Of its share, for the price history too."""
    missing: str | None = None
    """Why there is no current price."""
    ends: datetime | None = None
    """When its contract ended, if it has."""
    jump: Jump | None = None
    """A night's move like that of a split which nobody announced; what came after it is no step."""


class Watch(Protocol):
    """Looks at the positions of one kind of instrument."""

    @property
    def prices(self) -> Prices:
        """Prices and splits of the shares."""
        ...

    @property
    def warning(self) -> str:
        """Type of the warning where there is no price."""
        ...

    def look(self, position: Watched, as_of: datetime) -> Look:
        """Return what there is to see up to `as_of`; raises `PricesUnavailable`."""
        ...

    def warn_if_open(self, warn: Callable[..., None]) -> None:
        """Say in one warning what was not asked for."""
        ...


def watches(ctx: Context, config: Config) -> Mapping[str, Watch]:
    """Return the watch of each kind of instrument."""
    prices, chains, calendar = Breaker(ctx.tools.prices), ChainBreaker(ctx.tools.chains), ctx.tools.calendar
    return {
        STOCK.name: StockWatch(prices, calendar, StockRules.of(config)),
        OPTION.name: OptionWatch(chains, prices, calendar, OptionRules.of(config)),
    }


def walk(position: Watched, steps: Sequence[Step]) -> tuple[Holding, list[Exit], Mark]:
    """Take a position through what is new since its cursor, until nothing is held any more."""
    holding, exits = position.holding, list[Exit]()
    mark = Mark(
        price=position.last_price, price_at=position.last_price_at, checked_at=position.last_checked_at
    )
    for step in steps:
        if holding.units and step.since >= mark.checked_at and step.at > position.last_checked_at:
            holding, sold = step.act(holding)
            exits += sold
            mark = Mark(price=step.price, price_at=step.at, checked_at=step.at)
    return holding, exits, mark


@dataclass(frozen=True, slots=True)
class StockWatch:
    """Looks at shares: complete bars, then the current price."""

    prices: Breaker
    calendar: Calendar
    rules: StockRules

    @property
    def warning(self) -> str:
        """Return the warning's type, which names a broker."""
        return "schwab_stock_unavailable" if self.prices.name == "schwab" else "price_unavailable"

    def look(self, position: Watched, as_of: datetime) -> Look:
        """Return the bars since the beginning of the cursor's session, for the history too, and the quote."""
        session = self.calendar.session(self.calendar.trading_date(position.last_checked_at))
        after = min(session.opens, position.last_checked_at) if session else position.last_checked_at
        bars = self.prices.bars(position.ticker, after, as_of)
        quote = self.prices.quote(position.ticker, as_of)
        seen, current, jump = before_jump(position, bars, quote, self.calendar)
        return Look(
            steps=stock_steps(position, seen, current, self.calendar, self.rules),
            bars=bars,
            missing=None if quote else "it is unknown, or its last price is stale",
            jump=jump,
        )

    def warn_if_open(self, warn: Callable[..., None]) -> None:
        """Say in one warning which tickers were not asked for, and pass on what the source remarks."""
        self.prices.warn_if_open(warn)
        for remark in self.prices.remarks():
            warn(remark.type, remark.message, **remark.context)


def stock_steps(
    position: Watched, bars: Sequence[Bar], quote: Quote | None, calendar: Calendar, rules: StockRules
) -> list[Step]:
    """Return a step a bar, and one for the current price."""
    steps = [
        Step(since=bar.start, at=bar.end, price=bar.close, act=partial(after_bar, bar=bar, rules=rules))
        for bar in bars
    ]
    if quote:
        hold_days = _hold_days(position, quote.at, calendar)
        act = partial(at_price, price=quote.price, at=quote.at, hold_days=hold_days, rules=rules)
        steps.append(Step(since=quote.at, at=quote.at, price=quote.price, act=act))
    return steps


@dataclass(frozen=True, slots=True)
class OptionWatch:
    """Looks at contracts: a quote a session, and the settlement when they have ended."""

    chains: ChainBreaker
    prices: Breaker
    calendar: Calendar
    rules: OptionRules

    @property
    def warning(self) -> str:
        """Return the warning's type, which names the source."""
        return f"{self.chains.name}_options_unavailable"

    def look(self, position: Watched, as_of: datetime) -> Look:
        """Return the quotes since the cursor, and the end of a contract that has expired."""
        contract = position.contract
        assert contract, "an option position has a contract, says the schema"
        end = last_session(contract, self.calendar)
        if as_of < end.closes:
            steps = [self._quoted(position, contract, one) for one in self._quotes(position, contract, as_of)]
            return Look(steps=steps, missing=None if steps else "it has no quote, or only an old trade")
        ratio = self._old_share(position, end.closes)
        quotes = self._quotes(position, contract, end.closes) if ratio == 1 else ()
        steps = [self._quoted(position, contract, one) for one in quotes if one.at < end.closes]
        close = official_close(self.prices, position.ticker, end)
        if close is None:
            return Look(steps=steps, missing=f"the official close of {end.day}, when it ended, is not known")
        return Look(steps=[*steps, _settlement(contract, round(close * ratio), end)], ends=end.closes)

    def _old_share(self, position: Watched, until: datetime) -> Fraction:
        """Return how many shares one share has become by splits that the contract didn't follow."""
        splits = self.prices.splits(position.ticker, position.entered_at, until)
        return math.prod((one.ratio for one in splits if not restates(position, one)), start=Fraction(1))

    def _quotes(self, position: Watched, contract: OptionContract, until: datetime) -> Iterator[OptionQuote]:
        """Yield the contract's quotes with a premium as each session since the cursor ended, and the last."""
        seen_at = set[datetime]()
        for at in [*self._closes(position.last_checked_at, until), until]:
            chain = self.chains.chain(position.ticker, at)
            quote = next((one for one in chain if one.contract.symbol == contract.symbol), None)
            if quote and quote.premium is not None and quote.at not in seen_at:
                seen_at.add(quote.at)
                yield quote

    def _closes(self, after: datetime, until: datetime) -> Iterator[datetime]:
        first, last = self.calendar.trading_date(after), self.calendar.trading_date(until)
        for ahead in range((last - first).days + 1):
            session = self.calendar.session(first + timedelta(days=ahead))
            if session and after < session.closes < until:
                yield session.closes

    def _quoted(self, position: Watched, contract: OptionContract, quote: OptionQuote) -> Step:
        assert quote.premium is not None, "as `_quotes` promises"
        act = partial(
            at_premium,
            quote=quote,
            hold_days=_hold_days(position, quote.at, self.calendar),
            dte=(contract.expiration - self.calendar.trading_date(quote.at)).days,
            rules=self.rules,
        )
        return Step(since=quote.at, at=quote.at, price=quote.premium, act=act, underlying=quote.underlying)

    def warn_if_open(self, warn: Callable[..., None]) -> None:
        """Say in one warning which chains were not asked for."""
        self.chains.warn_if_open(warn)


def _settlement(contract: OptionContract, close: int, end: Session) -> Step:
    def act(holding: Holding) -> Outcome:
        rest, sale = settled(holding, contract, close, end)
        return rest, [sale]

    price = intrinsic(contract, close)
    return Step(since=end.closes, at=end.closes, price=price, act=act, underlying=close)


def _hold_days(position: Watched, at: datetime, calendar: Calendar) -> int:
    return (calendar.trading_date(at) - position.entry_date).days
