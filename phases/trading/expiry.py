"""How an option ends that nobody sold: settled at its intrinsic value by the official close."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from phases.money import usd
from phases.tools import Calendar, OptionContract, Prices, Session
from phases.trading.exits import Exit, Holding

LONGEST_CLOSURE_DAYS: Final = 10
"""More than the exchange is ever closed; in September 2001 it was for six days."""


def last_session(contract: OptionContract, calendar: Calendar) -> Session:
    """Return the session with whose close a contract ends: 16:00 in New York, 13:00 on a half-day.

    Expirations on a day without a session (the Saturdays of monthly options before 2015, holidays) end with
    the session before.
    """
    days = (contract.expiration - timedelta(days=back) for back in range(LONGEST_CLOSURE_DAYS))
    found = next((session for day in days if (session := calendar.session(day))), None)
    if found is None:
        raise ValueError(f"{contract.symbol} expires on {contract.expiration}, with no session before it")
    return found


def official_close(prices: Prices, ticker: str, session: Session) -> int | None:
    """Return the close of a share's session in ticks, `None` where the source doesn't tell it.

    Raises `PricesUnavailable`.
    """
    bars = prices.bars(ticker, session.opens, session.closes)
    if bars and bars[-1].end == session.closes:
        return bars[-1].close
    quote = prices.quote(ticker, session.closes)
    return quote.price if quote and quote.at == session.closes else None


def intrinsic(contract: OptionContract, close: int) -> int:
    """Return what a contract is worth at its end, for one share.

    >>> from datetime import date
    >>> day = date(2025, 3, 28)
    >>> put = OptionContract(symbol="", ticker="GME", type="put", strike=250_000, expiration=day)
    >>> intrinsic(put, 240_000), intrinsic(put, 260_000)
    (10000, 0)
    """
    return max(0, close - contract.strike if contract.type == "call" else contract.strike - close)


def settled(holding: Holding, contract: OptionContract, close: int, session: Session) -> tuple[Holding, Exit]:
    """Return an empty holding, and the exit at the intrinsic value; early exercise is not modelled."""
    note = f"settled at intrinsic value: {contract.ticker} closed at {usd(close):.2f} on {session.day}"
    price = intrinsic(contract, close)
    sale = Exit(reason="expiration", price=price, units=holding.units, at=session.closes, note=note)
    return replace(holding, units=0), sale
