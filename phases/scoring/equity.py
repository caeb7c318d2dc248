"""What each portfolio was worth when a run looked at it: its cash, and what it holds at the last known price.

A point is what was known at its instant, written down then; only a price of the benchmark may come later.
Between two looks there is no point: premiums of options, and the benchmark, are known at the instants of runs
only, and a curve through made-up days would look like knowledge.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from phases.money import ticks, usd
from phases.stamps import stamp
from phases.trading.book import Position, open_positions

_NOTE: Final = """
INSERT INTO portfolio_values (portfolio_id, valued_at, day, cash, held, oldest_price_at)
VALUES (:portfolio_id, :at, :day, :cash, :held, :oldest)
ON CONFLICT (portfolio_id, valued_at) DO UPDATE SET day = excluded.day, cash = excluded.cash,
  held = excluded.held, oldest_price_at = excluded.oldest_price_at
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equity:
    """What one portfolio is worth, in ticks."""

    cash: int
    held: int
    """The open positions, each at its last known price."""
    oldest_price_at: datetime | None
    """When the oldest of those prices was made; `None` where nothing is held."""


def equity_of(cash: int, positions: Sequence[Position]) -> Equity:
    """Return what cash and open positions are worth together."""
    return Equity(
        cash=cash,
        held=sum(one.worth(one.last_price) for one in positions),
        oldest_price_at=min((one.last_price_at for one in positions), default=None),
    )


def note_equity(conn: sqlite3.Connection, at: datetime, day: date) -> None:
    """Write down what each portfolio is worth at a run's instant, on that day of the exchange."""
    rows = conn.execute("SELECT id, cash_available FROM portfolios ORDER BY id").fetchall()
    for portfolio_id, cash_usd in rows:
        worth = equity_of(ticks(cash_usd), open_positions(conn, portfolio_id))
        conn.execute(
            _NOTE,
            {
                "portfolio_id": portfolio_id,
                "at": stamp(at),
                "day": day.isoformat(),
                "cash": usd(worth.cash),
                "held": usd(worth.held),
                "oldest": stamp(worth.oldest_price_at) if worth.oldest_price_at else None,
            },
        )
