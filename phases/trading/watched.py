"""What phase 6 looks at, told by what the look needs."""

from __future__ import annotations

from datetime import date, datetime
from typing import Protocol

from phases.tools import OptionContract
from phases.trading.exits import Holding


class Watched(Protocol):
    """What is looked at: a position, or what a comment predicted."""

    @property
    def ticker(self) -> str:
        """The share's."""
        ...

    @property
    def contract(self) -> OptionContract | None:
        """The option that is held; `None` for shares."""
        ...

    @property
    def entry_date(self) -> date:
        """The exchange's date."""
        ...

    @property
    def entered_at(self) -> datetime:
        """When it was bought."""
        ...

    @property
    def last_checked_at(self) -> datetime:
        """Up to here everything was looked at; never before the entry."""
        ...

    @property
    def last_price(self) -> int:
        """In ticks."""
        ...

    @property
    def last_price_at(self) -> datetime:
        """When that price was made."""
        ...

    @property
    def holding(self) -> Holding:
        """What the rules know of it."""
        ...
