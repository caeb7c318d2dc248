"""Prices that stop asking a dead source."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from phases.prices.circuit import MAX_FAILURES, Circuit
from phases.tools import Bar, Prices, Quote, Remark, Remarking, Split, SplitSource


class Breaker(Circuit):
    """Another source's prices, until it has failed `max_failures` times in a row; one object a phase."""

    def __init__(self, prices: Prices, max_failures: int = MAX_FAILURES) -> None:
        super().__init__(prices.name, "price source", max_failures)
        self._prices = prices

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        """Return the source's quote; raises `BreakerOpen` without asking once it has failed too often."""
        return self.ask(ticker, lambda: self._prices.quote(ticker, at))

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:
        """Return the source's bars; raises `BreakerOpen` without asking once it has failed too often."""
        return self.ask(ticker, lambda: self._prices.bars(ticker, after, until))

    def splits(self, ticker: str, after: datetime, until: datetime) -> Sequence[Split]:
        """Return the splits that the source knows, none where it doesn't know of splits at all."""
        source = self._prices
        if not isinstance(source, SplitSource):
            return ()
        return self.ask(ticker, lambda: source.splits(ticker, after, until))

    def remarks(self) -> Sequence[Remark]:
        """Return what the source has to say."""
        return self._prices.remarks() if isinstance(self._prices, Remarking) else ()
