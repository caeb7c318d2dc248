"""The two kinds of thing that a position holds, and the columns of `positions` that tell how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from phases.tools import CONTRACT_MULTIPLIER


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One kind."""

    name: Literal["stock", "option"]
    units: str
    """Column of the number bought, and first word of the columns of what remains and what was sold."""
    peak: str
    """Column of the highest price since the entry."""
    multiplier: int
    """Shares a unit: what a unit costs is its price times this."""


STOCK: Final = Instrument(name="stock", units="shares", peak="peak_price", multiplier=1)
OPTION: Final = Instrument(
    name="option", units="contracts", peak="peak_premium", multiplier=CONTRACT_MULTIPLIER
)
INSTRUMENTS: Final[Mapping[str, Instrument]] = {one.name: one for one in (STOCK, OPTION)}
