"""How the Options Clearing Corporation writes a contract's name."""

from __future__ import annotations

from datetime import date
from typing import Final

from phases.tools import OptionContract, OptionType

TICKS_PER_THOUSANDTH: Final = 10
"""The name counts strikes in thousandths of a dollar, a tick is a ten-thousandth."""


def contract(ticker: str, expiration: date, kind: OptionType, strike: int) -> OptionContract:
    """Return the standard contract with its name: root, date, C or P, strike.

    >>> contract("AAPL", date(2014, 6, 27), "call", 928_600).symbol
    'AAPL  140627C00092860'
    """
    root = "".join(letter for letter in ticker if letter.isalnum())
    name = f"{root:<6}{expiration:%y%m%d}{kind[0].upper()}{strike // TICKS_PER_THOUSANDTH:08d}"
    return OptionContract(symbol=name, ticker=ticker, type=kind, strike=strike, expiration=expiration)
