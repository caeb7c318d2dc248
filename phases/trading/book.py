"""The paper book in the database: portfolios, open positions, and how a purchase and a sale are written down.

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

from phases.money import ticks, usd
from phases.stamps import instant, stamp
from phases.tools import Calendar, OptionContract
from phases.trading.exits import Exit, Holding
from phases.trading.instruments import INSTRUMENTS, Instrument
from phases.trading.offers import Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """One paper account."""

    id: int
    name: str
    cash: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One open position."""

    id: int
    portfolio_id: int
    ticker: str
    instrument: Instrument
    contract: OptionContract | None
    """What an option position holds; `None` for shares."""
    confidence: Decimal
    cost: int
    """What was really paid for it."""
    entry_date: date
    """The exchange's date."""
    entered_at: datetime
    last_checked_at: datetime
    """Everything known up to here has been looked at; never before the entry."""
    last_price: int
    last_price_at: datetime
    holding: Holding

    @property
    def symbol(self) -> str:
        """The name under which its price is found: the ticker, or the contract's symbol."""
        return self.contract.symbol if self.contract else self.ticker

    def worth(self, price: int) -> int:
        """Return what all of it is worth at a price a share."""
        return price * self.holding.units * self.instrument.multiplier

    def proceeds(self, sale: Exit) -> int:
        """Return what a sale of it brings."""
        return sale.price * sale.units * self.instrument.multiplier

    def gain(self, sale: Exit) -> int:
        """Return what a sale of it brings beyond what was paid."""
        return (sale.price - self.holding.entry_price) * sale.units * self.instrument.multiplier


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The newest price of a position, and how far it has been looked at."""

    price: int
    price_at: datetime
    checked_at: datetime


_OPEN: Final = """
SELECT id, portfolio_id, ticker, instrument_type, confidence, position_size, entry_date, entered_at,
       last_checked_at, coalesce(last_price, entry_price) AS last_price,
       coalesce(last_price_at, entered_at) AS last_price_at, entry_price,
       coalesce(shares_remaining, contracts_remaining) AS units, stop_loss_price, take_profit_price,
       coalesce(peak_price, peak_premium, entry_price) AS peak, trailing_stop_active, took_profit, breakeven,
       contract_symbol, option_type, strike_price, expiration_date
FROM positions WHERE status = 'open'
"""


def lock_portfolio(conn: sqlite3.Connection, portfolio_id: int) -> Portfolio:
    """Return a portfolio that nobody else can change before the transaction ends (this write opens it)."""
    name, cash_usd = conn.execute(
        "UPDATE portfolios SET cash_available = cash_available WHERE id = ? RETURNING name, cash_available",
        (portfolio_id,),
    ).fetchone()
    return Portfolio(id=portfolio_id, name=name, cash=ticks(cash_usd))


def open_positions(conn: sqlite3.Connection, portfolio_id: int | None = None) -> list[Position]:
    """Return the open positions, of one portfolio or of all, oldest first."""
    cursor = conn.execute(
        f"{_OPEN} AND (? IS NULL OR portfolio_id = ?) ORDER BY id", (portfolio_id, portfolio_id)
    )
    names = [column[0] for column in cursor.description]
    return [_position(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def open_one(conn: sqlite3.Connection, position_id: int) -> Position | None:
    """Return one open position as it is now, `None` where it is closed."""
    return next((one for one in open_positions(conn) if one.id == position_id), None)


def _position(row: dict[str, Any]) -> Position:
    return Position(
        id=row["id"],
        portfolio_id=row["portfolio_id"],
        ticker=row["ticker"],
        instrument=INSTRUMENTS[row["instrument_type"]],
        contract=_contract(row) if row["contract_symbol"] else None,
        confidence=Decimal(str(row["confidence"])),
        cost=ticks(row["position_size"]),
        entry_date=date.fromisoformat(row["entry_date"]),
        entered_at=instant(row["entered_at"]),
        last_checked_at=max(instant(row["last_checked_at"]), instant(row["entered_at"])),
        last_price=ticks(row["last_price"]),
        last_price_at=instant(row["last_price_at"]),
        holding=Holding(
            entry_price=ticks(row["entry_price"]),
            units=row["units"],
            stop=ticks(row["stop_loss_price"]),
            target=ticks(row["take_profit_price"]),
            peak=ticks(row["peak"]),
            trailing=bool(row["trailing_stop_active"]),
            took_profit=bool(row["took_profit"]),
            breakeven=bool(row["breakeven"]),
        ),
    )


def _contract(row: dict[str, Any]) -> OptionContract:
    return OptionContract(
        symbol=row["contract_symbol"],
        ticker=row["ticker"],
        type=row["option_type"],
        strike=ticks(row["strike_price"]),
        expiration=date.fromisoformat(row["expiration_date"]),
    )


def open_position(
    conn: sqlite3.Connection,
    *,
    portfolio_id: int,
    signal_id: int,
    signal_type: str,
    confidence: Decimal,
    offer: Offer,
    holding: Holding,
    entered_at: datetime,
    calendar: Calendar,
) -> None:
    """Write a purchase down: the position, the cash that it cost, the portfolio's value."""
    now, instrument, cost = stamp(entered_at), offer.instrument, offer.unit_cost * holding.units
    insert(
        conn,
        "positions",
        portfolio_id=portfolio_id,
        signal_id=signal_id,
        ticker=offer.ticker,
        instrument_type=instrument.name,
        signal_type=signal_type,
        direction=offer.direction,
        confidence=float(confidence),
        position_size=usd(cost),
        entry_date=calendar.trading_date(entered_at).isoformat(),
        entered_at=now,
        entry_price=usd(holding.entry_price),
        entry_basis=offer.basis,
        status="open",
        last_checked_at=now,
        last_price=usd(offer.mark),
        last_price_at=stamp(offer.at),
        stop_loss_price=usd(holding.stop),
        take_profit_price=usd(holding.target),
        time_extension=holding.time_extension,
        **{
            instrument.units: holding.units,
            f"{instrument.units}_remaining": holding.units,
            instrument.peak: usd(holding.peak),
        },
        **_contract_columns(offer),
    )
    conn.execute("UPDATE signals SET position_opened = 1 WHERE id = ?", (signal_id,))
    move_cash(conn, lock_portfolio(conn, portfolio_id), -cost)


def _contract_columns(offer: Offer) -> dict[str, Any]:
    if offer.contract is None:
        return {}
    return {
        "option_type": offer.contract.type,
        "strike_price": usd(offer.contract.strike),
        "expiration_date": offer.contract.expiration.isoformat(),
        "contract_symbol": offer.contract.symbol,
        "premium_paid": usd(offer.price),
        "underlying_price_at_entry": None if offer.underlying is None else usd(offer.underlying),
    }


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

    Returns `False`, with nothing written, when the units held are no longer those of `position`: somebody
    else sold in between, and what was decided for them is void.
    """
    columns = _state(position.instrument, holding, mark)
    if not holding.units:
        columns |= _closing(conn, position, exits, calendar)
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    changed = conn.execute(
        f"UPDATE positions SET {assignments} WHERE id = :id AND status = 'open' "
        f"AND {position.instrument.units}_remaining = :held",
        {**columns, "id": position.id, "held": position.holding.units},
    ).rowcount
    if not changed:
        return False
    _record_exits(conn, position, exits, calendar, now)
    proceeds = sum(position.proceeds(sale) for sale in exits)
    move_cash(conn, lock_portfolio(conn, position.portfolio_id), proceeds)
    return True


def move_cash(conn: sqlite3.Connection, portfolio: Portfolio, amount: int) -> None:
    """Add to the cash of a locked portfolio (take from it, where negative) and value the portfolio anew."""
    cash = portfolio.cash + amount
    held = sum(one.worth(one.last_price) for one in open_positions(conn, portfolio.id))
    conn.execute(
        "UPDATE portfolios SET cash_available = ?, current_value = ? WHERE id = ?",
        (usd(cash), usd(cash + held), portfolio.id),
    )


def _state(instrument: Instrument, holding: Holding, mark: Mark) -> dict[str, Any]:
    return {
        f"{instrument.units}_remaining": holding.units,
        "stop_loss_price": usd(holding.stop),
        instrument.peak: usd(holding.peak),
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
    gained = realized(conn, position.id) + sum(position.gain(sale) for sale in exits)
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
            realized_pnl=usd(position.gain(sale)),
            created_at=stamp(now),
            **{f"{position.instrument.units}_exited": sale.units},
        )
        held -= sale.units


def insert(conn: sqlite3.Connection, table: str, **columns: Any) -> None:
    """Insert one row into a table of the book."""
    names, values = ", ".join(columns), ", ".join(f":{name}" for name in columns)
    conn.execute(f"INSERT INTO {table} ({names}) VALUES ({values})", columns)
