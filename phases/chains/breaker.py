"""Option chains, each asked for once, from a source that is not asked again when it is dead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from phases.prices.circuit import Circuit
from phases.tools import OptionChains, OptionQuote


class ChainBreaker(Circuit):
    """Another source's chains; one object a phase."""

    def __init__(self, chains: OptionChains) -> None:
        super().__init__(chains.name, "option source")
        self._chains = chains
        self._known: dict[tuple[str, datetime], Sequence[OptionQuote]] = {}

    def chain(self, ticker: str, at: datetime) -> Sequence[OptionQuote]:
        """Return the source's chain; raises `BreakerOpen` without asking once it has failed too often."""
        if (ticker, at) not in self._known:
            self._known[ticker, at] = self.ask(ticker, lambda: self._chains.chain(ticker, at))
        return self._known[ticker, at]
