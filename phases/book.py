"""The paper book in the database: portfolios, open stock positions, and how a sale is written down.

Rows hold US dollars, everything here counts ticks. Each writer is conditional on what its caller read, so a
person's manual close and a running phase never sell the same share twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from phases.exits import Exit, Holding
from phases.money import ticks, usd
from phases.stamps import instant, stamp
from phases.tools import Calendar


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """One paper account."""

    id: int
    name: str
    cash: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One open stock position."""

    id: int
    portfolio_id: int
    ticker: str
    confidence: Decimal
    cost: int
    """What was really paid for it."""
    entry_date: date
    """The exchange's date."""
    last_checked_at: datetime
    """Everything known up to here has been looked at; never before the entry."""
    last_price: int
    last_price_at: datetime
    holding: Holding


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The newest price of a position, and how far it has been looked at."""

    price: int
    price_at: datetime
    checked_at: datetime


_OPEN_STOCKS: Final = """
SELECT id, portfolio_id, ticker, confidence, position_size, entry_date, entered_at, last_checked_at,
       coalesce(last_price, entry_price) AS last_price, coalesce(last_price_at, entered_at) AS last_price_at,
       entry_price, shares_remaining, stop_loss_price, take_profit_price,
       coalesce(peak_price, entry_price) AS peak_price, trailing_stop_active, took_profit, breakeven
FROM positions WHERE instrument_type = 'stock' AND status = 'open'
"""


def lock_portfolio(conn: sqlite3.Connection, portfolio_id: int) -> Portfolio:
    """Return a portfolio that nobody else can change before the transaction ends (this write opens it)."""
    name, cash_usd = conn.execute(
        "UPDATE portfolios SET cash_available = cash_available WHERE id = ? RETURNING name, cash_available",
        (portfolio_id,),
    ).fetchone()
    return Portfolio(id=portfolio_id, name=name, cash=ticks(cash_usd))


def open_stocks(conn: sqlite3.Connection, portfolio_id: int | None = None) -> list[Position]:
    """Return the open stock positions, of one portfolio or of all, oldest first."""
    cursor = conn.execute(
        f"{_OPEN_STOCKS} AND (? IS NULL OR portfolio_id = ?) ORDER BY id", (portfolio_id, portfolio_id)
    )
    names = [column[0] for column in cursor.description]
    return [_position(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def open_stock(conn: sqlite3.Connection, position_id: int) -> Position | None:
    """Return one open stock position as it is now, `None` where it is closed."""
    return next((one for one in open_stocks(conn) if one.id == position_id), None)


def _position(row: dict[str, Any]) -> Position:
    return Position(
        id=row["id"],
        portfolio_id=row["portfolio_id"],
        ticker=row["ticker"],
        confidence=Decimal(str(row["confidence"])),
        cost=ticks(row["position_size"]),
        entry_date=date.fromisoformat(row["entry_date"]),
        last_checked_at=max(instant(row["last_checked_at"]), instant(row["entered_at"])),
        last_price=ticks(row["last_price"]),
        last_price_at=instant(row["last_price_at"]),
        holding=Holding(
            entry_price=ticks(row["entry_price"]),
            units=row["shares_remaining"],
            stop=ticks(row["stop_loss_price"]),
            target=ticks(row["take_profit_price"]),
            peak=ticks(row["peak_price"]),
            trailing=bool(row["trailing_stop_active"]),
            took_profit=bool(row["took_profit"]),
            breakeven=bool(row["breakeven"]),
        ),
    )


def settle(
    conn: sqlite3.Connection,
    position: Position,
    holding: Holding,
    exits: Sequence[Exit],
    mark: Mark,
    *,
    calendar: Calendar,
    now: datetime,
) -> bool:
    """Write what became of a position: its state, its sales, the cash they brought, the portfolio's value.

    Returns `False`, with nothing written, when the shares held are no longer those of `position`: somebody
    else sold in between, and what was decided for them is void.
    """
    columns = _state(holding, mark)
    if not holding.units:
        columns |= _closing(conn, position, exits, calendar)
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    changed = conn.execute(
        f"UPDATE positions SET {assignments} WHERE id = :id AND status = 'open' AND shares_remaining = :held",
        {**columns, "id": position.id, "held": position.holding.units},
    ).rowcount
    if not changed:
        return False
    _record_exits(conn, position, exits, calendar, now)
    proceeds = sum(sale.price * sale.units for sale in exits)
    move_cash(conn, lock_portfolio(conn, position.portfolio_id), proceeds)
    return True


def move_cash(conn: sqlite3.Connection, portfolio: Portfolio, amount: int) -> None:
    """Add to the cash of a locked portfolio (take from it, where negative) and value the portfolio anew."""
    cash = portfolio.cash + amount
    held = sum(one.last_price * one.holding.units for one in open_stocks(conn, portfolio.id))
    conn.execute(
        "UPDATE portfolios SET cash_available = ?, current_value = ? WHERE id = ?",
        (usd(cash), usd(cash + held), portfolio.id),
    )


def _state(holding: Holding, mark: Mark) -> dict[str, Any]:
    return {
        "shares_remaining": holding.units,
        "stop_loss_price": usd(holding.stop),
        "peak_price": usd(holding.peak),
        "trailing_stop_active": int(holding.trailing),
        "took_profit": int(holding.took_profit),
        "breakeven": int(holding.breakeven),
        "time_extension": holding.time_extension,
        "last_price": usd(mark.price),
        "last_price_at": stamp(mark.price_at),
        "last_checked_at": stamp(mark.checked_at),
    }


def _closing(
    conn: sqlite3.Connection, position: Position, exits: Sequence[Exit], calendar: Calendar
) -> dict[str, Any]:
    """Return the columns of a closed position; the return is a share of one, of what was really paid."""
    gained = realized(conn, position.id) + sum(_pnl(position, sale) for sale in exits)
    day = calendar.trading_date(exits[-1].at)
    return {
        "status": "closed",
        "exit_date": day.isoformat(),
        "exit_reason": exits[-1].reason,
        "hold_days": (day - position.entry_date).days,
        "realized_return_pct": gained / position.cost,
    }


def realized(conn: sqlite3.Connection, position_id: int) -> int:
    """Return what the sales and splits of a position have gained so far."""
    rows = conn.execute(
        """
        SELECT realized_pnl FROM position_exits WHERE position_id = :id
        UNION ALL SELECT realized_pnl FROM position_splits WHERE position_id = :id
        """,
        {"id": position_id},
    ).fetchall()
    return sum(ticks(pnl_usd) for (pnl_usd,) in rows)


def _record_exits(
    conn: sqlite3.Connection, position: Position, exits: Sequence[Exit], calendar: Calendar, now: datetime
) -> None:
    held = position.holding.units
    for sale in exits:
        insert(
            conn,
            "position_exits",
            position_id=position.id,
            exit_date=calendar.trading_date(sale.at).isoformat(),
            exited_at=stamp(sale.at),
            exit_price=usd(sale.price),
            exit_reason=sale.reason,
            note=sale.note,
            quantity_pct=sale.units / held,
            shares_exited=sale.units,
            realized_pnl=usd(_pnl(position, sale)),
            created_at=stamp(now),
        )
        held -= sale.units


def insert(conn: sqlite3.Connection, table: str, **columns: Any) -> None:
    """Insert one row into a table of the book."""
    names, values = ", ".join(columns), ", ".join(f":{name}" for name in columns)
    conn.execute(f"INSERT INTO {table} ({names}) VALUES ({values})", columns)


def _pnl(position: Position, sale: Exit) -> int:
    return (sale.price - position.holding.entry_price) * sale.units
