"""Another source's prices while the first one fails, labelled as such."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from phases.prices.breaker import Breaker
from phases.tools import Bar, NoPrice, Prices, PricesUnavailable, Quote, Remark, Split

_log = logging.getLogger(__name__)

AnswerT = TypeVar("AnswerT")


class Fallback:
    """A source's prices, or where that fails those of its stand-in; as `Prices` and `SplitSource`.

    Prices of both are raw, so they can follow each other. A ticker that the first source answers for without
    having a price (`NoPrice`) is not asked for elsewhere. Splits come from both.
    """

    def __init__(self, first: Prices, stand_in: Prices) -> None:
        self.name = first.name
        self._first = Breaker(first)
        self._stand_in = Breaker(stand_in)
        self._stood_in: dict[str, str] = {}

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        """Return the quote; its basis names the stand-in where it comes from there."""
        return self._ask(
            ticker,
            lambda: self._first.quote(ticker, at),
            lambda: self._labelled(self._stand_in.quote(ticker, at)),
        )

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:
        """Return the bars, all of one source."""
        return self._ask(
            ticker,
            lambda: self._first.bars(ticker, after, until),
            lambda: self._stand_in.bars(ticker, after, until),
        )

    def splits(self, ticker: str, after: datetime, until: datetime) -> Sequence[Split]:
        """Return the splits that either source knows; none of the one that fails."""
        known: dict[datetime, Split] = {}
        for source in (self._stand_in, self._first):
            try:
                known |= {one.at: one for one in source.splits(ticker, after, until)}
            except PricesUnavailable as error:
                _log.info("no splits", extra={"action": "splits_missing", "why": str(error)})
        return [known[at] for at in sorted(known)]

    def remarks(self) -> Sequence[Remark]:
        """Say which prices are the stand-in's, and what both sources have to say themselves."""
        own: list[Remark] = []
        if self._stood_in:
            why = next(iter(self._stood_in.values()))
            own.append(
                Remark(
                    type=f"{self.name}_stock_unavailable",
                    message=f"{self._stand_in.name} stands in for {self.name}, which failed: {why}",
                    context={"tickers": sorted(self._stood_in), "stand_in": self._stand_in.name},
                )
            )
        return [*own, *self._first.remarks(), *self._stand_in.remarks()]

    def _labelled(self, quote: Quote | None) -> Quote | None:
        return quote and replace(quote, basis=f"{self._stand_in.name} instead of {self.name}: {quote.basis}")

    def _ask(self, ticker: str, question: Callable[[], AnswerT], instead: Callable[[], AnswerT]) -> AnswerT:
        try:
            return question()
        except NoPrice:
            raise
        except PricesUnavailable as error:
            answer = instead()
            self._stood_in.setdefault(ticker, str(error))
            return answer
