"""A paper desk that trades options too, in November 2026: the 26th is a holiday, the 27th a half-day."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from phases.calendar import ExchangeCalendar
from phases.chains.occ import contract
from phases.manage_positions import manage_positions
from phases.money import ticks
from phases.monitor_prices import monitor_prices
from phases.tools import Bar, OptionQuote, OptionType, PricesUnavailable, Quote, Tools

CALENDAR = ExchangeCalendar()
EXPIRES = date(2026, 11, 27)
"""The half-day; 18 days after the 9th."""


def november(day: int, hour: int = 18, minute: int = 0) -> datetime:
    """Return an instant of November 2026; the exchange is open from 14:30 to 21:00, on the 27th to 18:00."""
    return datetime(2026, 11, 1, hour, minute, tzinfo=UTC) + timedelta(days=day - 1)


def option(
    at: datetime,
    bid_usd: float | None = 1.9,
    ask_usd: float | None = 2.1,
    *,
    mark_usd: float | None = None,
    kind: OptionType = "call",
    strike_usd: float = 27.5,
    ticker: str = "GME",
    underlying_usd: float | None = 25.0,
    **more: Any,
) -> OptionQuote:
    """Return a quote that the strike rules would choose; the mark is the middle unless it is said."""
    bid, ask, mark, underlying = (
        None if price is None else ticks(price) for price in (bid_usd, ask_usd, mark_usd, underlying_usd)
    )
    plain = OptionQuote(
        contract=contract(ticker, EXPIRES, kind, ticks(strike_usd)),
        at=at,
        bid=bid,
        ask=ask,
        mark=mark,
        delta=0.3 if kind == "call" else -0.3,
        iv=0.8,
        underlying=underlying,
    )
    return replace(plain, **more)


@dataclass
class Chains:
    """Knows the quotes that a test names, each from its own instant on; some tickers fail."""

    quotes: list[OptionQuote] = field(default_factory=list[OptionQuote])
    failing: set[str] = field(default_factory=set[str])
    name: str = "fake"
    asked: list[str] = field(default_factory=list[str])

    def chain(self, ticker: str, at: datetime) -> Sequence[OptionQuote]:
        self.asked.append(ticker)
        if ticker in self.failing:
            raise PricesUnavailable("no answer")
        known = [one for one in self.quotes if one.contract.ticker == ticker and one.at <= at]
        newest = {one.contract: one for one in sorted(known, key=lambda one: one.at)}
        return list(newest.values())


@dataclass
class Shares:
    """One price a ticker for ever, and daily closes that a test names."""

    prices_usd: dict[str, float] = field(default_factory=lambda: {"GME": 25.0})
    closes_usd: dict[date, float] = field(default_factory=dict[date, float])
    name: str = "shares"

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        known = self.prices_usd.get(ticker)
        return (
            None if known is None else Quote(price=ticks(known), at=at - timedelta(minutes=1), basis="last")
        )

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:  # noqa: ARG002  # any ticker
        found: list[Bar] = []
        for day, close_usd in sorted(self.closes_usd.items()):
            session, close = CALENDAR.session(day), ticks(close_usd)
            if session and session.opens >= after and session.closes <= until:
                found.append(
                    Bar(
                        start=session.opens,
                        end=session.closes,
                        open=close,
                        high=close,
                        low=close,
                        close=close,
                    )
                )
        return found


@dataclass
class Desk:
    """Signals go in, runs happen, rows come out."""

    conn: sqlite3.Connection
    make_ctx: Callable[..., Any]
    tools: Callable[..., Tools]
    chains: Chains = field(default_factory=Chains)
    shares: Shares = field(default_factory=Shares)
    runs: int = 0

    def signal(self, ticker: str = "GME", confidence: float = 0.8, day: int = 9, **columns: Any) -> int:
        row = {
            "signal_date": november(day).date().isoformat(), "created_at": "", "updated_at": "",
            "ticker": ticker, "signal_type": "quality", "sentiment_score": 1.0, "prediction": "bullish",
            "confidence": confidence, "comment_count": 5, "has_reasoning": 1, "prior_7d_mentions": 0,
            "distinct_users": 5, **columns,
        }  # fmt: skip
        return self.insert("signals", row)

    def insert(self, table: str, row: Mapping[str, Any]) -> int:
        names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
        rowid = self.conn.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", row).lastrowid
        self.conn.commit()
        assert rowid
        return rowid

    def configure(self, **values: object) -> None:
        rows = [(key, str(value)) for key, value in values.items()]
        self.conn.executemany("INSERT INTO system_config VALUES (?, ?, '')", rows)
        self.conn.commit()

    def run(self, as_of: datetime, *phases: Callable[..., None], **more: Any) -> Any:
        self.runs += 1
        world = self.tools(as_of=as_of, prices=self.shares, chains=self.chains, calendar=CALENDAR)
        ctx = self.make_ctx(replace(world, **more), run_id=self.runs, conn=self.conn)
        try:
            for phase in phases or (manage_positions, monitor_prices):
                phase(self.conn, ctx)
            self.conn.commit()
        finally:
            self.conn.rollback()
        return ctx

    def bought(self, day: int = 9, **columns: Any) -> Desk:
        """Buy nine calls at 2.10 in the options portfolio, and nothing else."""
        self.chains.quotes.append(option(november(day, 17)))
        self.signal(day=day, **columns)
        self.run(november(day), manage_positions)
        self.conn.execute("DELETE FROM positions WHERE instrument_type = 'stock'")
        self.conn.execute("UPDATE portfolios SET cash_available = 100000 WHERE instrument_type = 'stock'")
        self.conn.commit()
        return self

    def all(self, sql: str) -> list[tuple[Any, ...]]:
        return self.conn.execute(sql).fetchall()

    def one(
        self, columns: str, rest: str = "FROM positions WHERE instrument_type = 'option'"
    ) -> tuple[Any, ...]:
        (row,) = self.all(f"SELECT {columns} {rest}")
        return row

    def exits(self) -> list[tuple[Any, ...]]:
        return self.all("SELECT exit_reason, exit_price, contracts_exited FROM position_exits ORDER BY id")

    def everything(self) -> list[list[tuple[Any, ...]]]:
        return [
            self.all(f"SELECT * FROM {table}")
            for table in ("positions", "position_exits", "portfolios", "signals")
        ]


def warned(ctx: Any) -> list[str]:
    """Return the types of a run's warnings."""
    return [one["type"] for one in ctx.warnings]


def each_session(first: int, last: int) -> Iterable[int]:
    """Yield the days of November with a session."""
    return (day for day in range(first, last + 1) if CALENDAR.session(november(day).date()))
