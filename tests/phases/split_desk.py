"""A paper desk in June 2014, when Apple split, for the tests of splits."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

from phases.calendar import ExchangeCalendar
from phases.money import ticks
from phases.monitor_prices import monitor_prices
from phases.prices.series import DailySeries
from phases.tools import Bar, PricesUnavailable, Quote, Split, Tools
from phases.trading.book import open_positions

CALENDAR = ExchangeCalendar()
OHLC = tuple[float, float, float, float]


@dataclass
class Market:
    """Daily prices in dollars by day of June 2014, and the splits that it announces."""

    days: Mapping[int, OHLC]
    announced: list[Split] = field(default_factory=list[Split])
    failing: bool = False
    name: str = "market"

    def quote(self, _ticker: str, at: datetime) -> Quote | None:
        return self._series().last_known(at, CALENDAR)

    def bars(self, _ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:
        return list(self._series().between(after, until, CALENDAR))

    def splits(self, _ticker: str, after: datetime, until: datetime) -> Sequence[Split]:
        return [one for one in self.announced if after < one.at <= until]

    def _series(self) -> DailySeries:
        if self.failing:
            raise PricesUnavailable("no answer")
        series = DailySeries()
        for day, prices in self.days.items():
            values = array("q", (*map(ticks, prices), -1))
            series.put(date(2014, 6, day).toordinal(), values)
        return series


def june(day: int, hour: int = 22, minute: int = 0) -> datetime:
    """Return an instant of June 2014; the exchange is open from 13:30 to 20:00."""
    return datetime(2014, 6, day, hour, minute, tzinfo=UTC)


def split(numerator: int, denominator: int = 1, day: int = 9) -> Split:
    return Split(at=june(day, 13, 30), ratio=Fraction(numerator, denominator))


@dataclass
class Desk:
    """One paper desk that holds what it is told to."""

    conn: sqlite3.Connection
    new_ctx: Callable[..., Any]
    tools: Callable[..., Tools]

    def hold(self, price_usd: float = 645.57, shares: int = 10, day: int = 6, ticker: str = "AAPL") -> int:
        """Buy at 15:00 in New York for stocks_quality, with a stop 10% below and a target 15% above."""
        at, price = june(day, 19), ticks(price_usd)
        now = at.isoformat().replace("+00:00", "Z")
        signal = {
            "signal_date": now[:10], "created_at": "", "updated_at": "", "ticker": ticker,
            "signal_type": "quality", "sentiment_score": 1.0, "prediction": "bullish", "confidence": 0.8,
            "comment_count": 5, "has_reasoning": 1, "prior_7d_mentions": 0, "distinct_users": 5,
        }  # fmt: skip
        row = {
            "portfolio_id": 1, "signal_id": self._insert("signals", signal), "ticker": ticker,
            "instrument_type": "stock", "signal_type": "quality", "direction": "long", "confidence": 0.8,
            "position_size": price * shares / 10_000, "entry_date": now[:10], "entered_at": now,
            "entry_price": price / 10_000, "entry_basis": "test", "status": "open", "last_checked_at": now,
            "last_price": price / 10_000, "last_price_at": now, "shares": shares, "shares_remaining": shares,
            "stop_loss_price": price * 9 // 10 / 10_000, "take_profit_price": price * 115 // 100 / 10_000,
            "peak_price": price / 10_000,
        }  # fmt: skip
        self.conn.execute(
            "UPDATE portfolios SET cash_available = cash_available - ?, current_value = 100000 WHERE id = 1",
            (row["position_size"],),
        )
        return self._insert("positions", row)

    def _insert(self, table: str, row: Mapping[str, Any]) -> int:
        names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
        rowid = self.conn.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", row).lastrowid
        self.conn.commit()
        assert rowid
        return rowid

    def run(self, prices: object, as_of: datetime, **more: Any) -> Any:
        ctx = self.new_ctx(
            self.conn, self.tools(as_of=as_of, prices=prices, calendar=CALENDAR), results={}, **more
        )
        try:
            monitor_prices(self.conn, ctx)
            self.conn.commit()
        finally:
            self.conn.rollback()
        return ctx

    def one(self, columns: str, table: str = "positions") -> tuple[Any, ...]:
        (row,) = self.conn.execute(f"SELECT {columns} FROM {table}").fetchall()
        found: tuple[Any, ...] = row
        return found

    def exits(self) -> list[tuple[Any, ...]]:
        return self.conn.execute(
            "SELECT exit_reason, exit_price, shares_exited FROM position_exits ORDER BY id"
        ).fetchall()

    def value(self) -> int:
        """Return all cash but the other portfolios', and what is held at its last prices, in ticks."""
        (cash,) = self.conn.execute("SELECT sum(cash_available) - 300000 FROM portfolios").fetchone()
        return ticks(cash) + sum(one.worth(one.last_price) for one in open_positions(self.conn))
