"""Prices that stop asking a dead source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from phases.prices.circuit import MAX_FAILURES, Circuit
from phases.tools import Bar, CountsRefusals, Prices, Quote, Split, SplitSource


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

    def warn_of_refused(self, warn: Callable[..., None]) -> None:
        """Say in one warning how many prices of the source were not believed, if there are any."""
        source = self._prices
        refused = source.ignored.get("unusable_price", 0) if isinstance(source, CountsRefusals) else 0
        if refused:
            warn(
                "prices_refused",
                f"{refused} prices of {self.name} were not believed: a bar with a price that is missing, "
                "zero or negative, or outside of its own high and low",
                source=self.name,
                refused=refused,
            )
