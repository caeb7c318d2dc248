"""Stops asking a dead source, so that an outage costs a few calls instead of the run's budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from phases.tools import NoPrice, PricesUnavailable

MAX_FAILURES: Final = 3
"""Failures in a row after which the source is not asked again by this phase."""

ResultT = TypeVar("ResultT")


class BreakerOpen(PricesUnavailable):
    """The source failed too often in a row, so it was not asked."""


class Circuit:
    """Passes questions on until the source has failed `max_failures` times in a row; one object a phase.

    A ticker without a usable price (`NoPrice`) is an answer, not a failure.
    """

    def __init__(self, name: str, kind: str, max_failures: int = MAX_FAILURES) -> None:
        self.name = name
        self.refused: list[str] = []
        """Tickers that were not asked for, each once."""
        self._kind = kind
        self._max_failures = max_failures
        self._failures = 0

    def ask(self, ticker: str, question: Callable[[], ResultT]) -> ResultT:
        """Return the answer; raises `BreakerOpen` without asking once the source has failed too often."""
        if self._failures >= self._max_failures:
            if ticker not in self.refused:
                self.refused.append(ticker)
            raise BreakerOpen(f"the {self._kind} {self.name} failed {self._failures} times in a row")
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

    def warn_if_open(self, warn: Callable[..., None]) -> None:
        """Say in one warning which tickers were not asked for, if there are any."""
        if self.refused:
            warn(
                f"{self._kind.replace(' ', '_')}_down",
                f"the {self._kind} {self.name} failed {self._failures} times in a row; "
                f"{len(self.refused)} more tickers were left for the next run",
                source=self.name,
                skipped=self.refused,
            )
