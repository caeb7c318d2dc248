"""Prices that stop asking a dead source, so that an outage costs a few calls instead of the run's budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar

from phases.tools import Bar, CountsRefusals, NoPrice, Prices, PricesUnavailable, Quote, Split, SplitSource

MAX_FAILURES: Final = 3
"""Failures in a row after which the source is not asked again by this phase."""

ResultT = TypeVar("ResultT")


class BreakerOpen(PricesUnavailable):
    """The source failed too often in a row, so it was not asked."""


class Breaker:
    """Another source's prices, until it has failed `max_failures` times in a row; one object a phase.

    A ticker without a usable price (`NoPrice`) is an answer, not a failure.
    """

    def __init__(self, prices: Prices, max_failures: int = MAX_FAILURES) -> None:
        self.name = prices.name
        self.refused: list[str] = []
        """Tickers that were not asked for, each once."""
        self._prices = prices
        self._max_failures = max_failures
        self._failures = 0

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        """Return the source's quote; raises `BreakerOpen` without asking once it has failed too often."""
        return self._ask(ticker, lambda: self._prices.quote(ticker, at))

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:
        """Return the source's bars; raises `BreakerOpen` without asking once it has failed too often."""
        return self._ask(ticker, lambda: self._prices.bars(ticker, after, until))

    def splits(self, ticker: str, after: datetime, until: datetime) -> Sequence[Split]:
        """Return the splits that the source knows, none where it doesn't know of splits at all."""
        source = self._prices
        if not isinstance(source, SplitSource):
            return ()
        return self._ask(ticker, lambda: source.splits(ticker, after, until))

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

    def warn_if_open(self, warn: Callable[..., None]) -> None:
        """Say in one warning which tickers were not asked for, if there are any."""
        if self.refused:
            warn(
                "price_source_down",
                f"the price source {self.name} failed {self._failures} times in a row; "
                f"{len(self.refused)} more tickers were left for the next run",
                source=self.name,
                skipped=self.refused,
            )

    def _ask(self, ticker: str, question: Callable[[], ResultT]) -> ResultT:
        if self._failures >= self._max_failures:
            if ticker not in self.refused:
                self.refused.append(ticker)
            raise BreakerOpen(f"the price source {self.name} failed {self._failures} times in a row")
        try:
            answer = question()
        except NoPrice:
            self._failures = 0
            raise
        except PricesUnavailable:
            self._failures += 1
            raise
        self._failures = 0
        return answer
