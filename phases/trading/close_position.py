"""A person's sale of an open position, beside the runs.

The price is the stored one, of the last look: asking a source anew would make a click wait, and an archive
has no other. It is good until the exchange next opens after it was made; from then on it is refused, because
the market knows better. A run brings a newer one.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Final, Literal

from phases.stamps import stamp
from phases.tools import Calendar
from phases.trading.book import Mark, Position, open_one, settle
from phases.trading.exits import Exit

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The sale that was written."""

    exit_id: int
    price_at: datetime
    """When the price was made."""
    price_usable_until: datetime


@dataclass(frozen=True, slots=True)
class NotClosed:
    """Why nothing was sold."""

    reason: Literal["unknown", "closed", "no_price"]
    message: str


def close_position(
    conn: sqlite3.Connection,
    position_id: int,
    *,
    share: Decimal,
    note: str,
    at: datetime,
    now: datetime,
    calendar: Calendar,
) -> Closed | NotClosed:
    """Sell a part of what is left of a position, at least one unit, and all where `share` is 1.

    The caller holds the write lock, so that no phase sells at the same time.

    Args:
        conn: A connection inside a write transaction.
        position_id: Which position.
        share: How much of what is left, above 0 and at most 1; rounded down to whole units.
        note: The person's reason.
        at: The instant of the sale, in the time of the book (which an archive's is long ago).
        now: The wall clock, for the record.
        calendar: The exchange's.
    """
    position = open_one(conn, position_id)
    if position is None:
        return _absent(conn, position_id)
    until = usable_until(position.last_price_at, calendar)
    if at >= until:
        return _stale(position, at, until)
    units = max(1, int(position.holding.units * share))
    sale = Exit(
        reason="manual",
        price=position.last_price,
        units=units,
        at=max(at, position.last_checked_at),  # never before the entry
        note=note,
    )
    mark = Mark(
        price=position.last_price, price_at=position.last_price_at, checked_at=position.last_checked_at
    )
    left = replace(position.holding, units=position.holding.units - units)
    was_written = settle(conn, position, left, [sale], mark, calendar=calendar, now=now)
    assert was_written, "nobody else can sell while the write lock is held"
    (exit_id,) = conn.execute(
        "SELECT max(id) FROM position_exits WHERE position_id = ?", (position_id,)
    ).fetchone()
    return Closed(exit_id=exit_id, price_at=position.last_price_at, price_usable_until=until)


def usable_until(price_at: datetime, calendar: Calendar) -> datetime:
    """Return when the exchange next opens after a price was made."""
    first = calendar.trading_date(price_at)
    sessions = (calendar.session(first + ahead * _DAY) for ahead in count())
    return next(session.opens for session in sessions if session and session.opens > price_at)


def _absent(conn: sqlite3.Connection, position_id: int) -> NotClosed:
    known = conn.execute("SELECT exit_date FROM positions WHERE id = ?", (position_id,)).fetchone()
    if known is None:
        return NotClosed("unknown", f"there is no position {position_id}")
    return NotClosed("closed", f"position {position_id} was closed on {known[0]} already")


def _stale(position: Position, at: datetime, until: datetime) -> NotClosed:
    return NotClosed(
        "no_price",
        f"the last price of {position.ticker} is of {stamp(position.last_price_at)} and was good until "
        f"{stamp(until)}; it is {stamp(at)} now: start an analysis, which looks at prices anew",
    )
