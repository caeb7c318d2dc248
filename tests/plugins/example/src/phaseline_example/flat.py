"""Prices that never move."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from phases.tools import Bar, Calendar, Quote


class FlatPrices:
    """Every share costs the same, ever."""

    name = "flat"

    def __init__(self, argument: str, calendar: Calendar) -> None:
        self._ticks = int(argument) * 10_000

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        """Return the one price."""
        return Quote(price=self._ticks, at=at, basis="flat")

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:
        """Return nothing: it never moved."""
        return ()


def hollow(argument: str, calendar: Calendar) -> object:
    """Return what is no price source."""
    return object()
