"""Phase 6: look at what prices did since the last look, and sell what the exit rules say.

Each position has its own cursor, `last_checked_at`: the instant of the newest price that was looked at, never
before its entry and never later than that price. Where prices failed it stays, so nothing is skipped; what
lies before it is never looked at again, so a second run changes nothing.

A range (rules 1 to 3) is judged from complete bars, whenever the run comes. The current price (rules 4 to 7)
is judged only when a run looks, and counts days up to the moment at which that price was made: a run on
Sunday sees Friday's close on Friday. Runs at other times may therefore sell by rules 4 to 7 on other days; by
rules 1 to 3 they differ on the day of the entry only: its bar is unusable, its close is a current price.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from phases.book import Mark, Position, open_positions, settle
from phases.config import read_config
from phases.exits import Exit, Holding, StockRules, after_bar, at_price
from phases.money import usd
from phases.prices.breaker import Breaker
from phases.prices.circuit import BreakerOpen
from phases.stamps import stamp
from phases.tools import Bar, Calendar, Context, Prices, PricesUnavailable, Quote

_log = logging.getLogger(__name__)


def monitor_prices(conn: sqlite3.Connection, ctx: Context) -> None:
    """Check every open stock position against its prices; each is committed by itself."""
    ctx.results.setdefault("exits_triggered", 0)
    prices, rules = Breaker(ctx.tools.prices), StockRules.of(read_config(conn))
    positions = [one for one in open_positions(conn) if one.last_checked_at < ctx.tools.as_of]
    for done, position in enumerate(positions, start=1):
        ctx.raise_if_stopping()
        _check(conn, ctx, prices, position, rules)
        ctx.progress(done, len(positions), "position")
    prices.warn_if_open(ctx.warn)


def _check(
    conn: sqlite3.Connection, ctx: Context, prices: Prices, position: Position, rules: StockRules
) -> None:
    try:
        bars, quote = _look(prices, position, ctx.tools.calendar, ctx.tools.as_of)
    except BreakerOpen:
        return
    except PricesUnavailable as error:
        _warn_unpriced(ctx, position, str(error))
        return
    if quote is None:
        _warn_unpriced(ctx, position, "it is unknown, or its last price is stale")
    holding, exits, mark = walk(position, bars, quote, ctx.tools.calendar, rules)
    if mark.checked_at == position.last_checked_at:
        return
    _remember(conn, position.ticker, bars, ctx)
    if settle(conn, position, holding, exits, mark, calendar=ctx.tools.calendar, now=ctx.clock.now()):
        ctx.results["exits_triggered"] += len(exits)
    else:
        _log.info("position was sold by somebody else", extra={"action": "position_moved", "id": position.id})
    ctx.checkpoint()


def _look(
    prices: Prices, position: Position, calendar: Calendar, as_of: datetime
) -> tuple[Sequence[Bar], Quote | None]:
    """Return the bars since the beginning of the cursor's session, for the history too, and the quote."""
    session = calendar.session(calendar.trading_date(position.last_checked_at))
    after = min(session.opens, position.last_checked_at) if session else position.last_checked_at
    return prices.bars(position.ticker, after, as_of), prices.quote(position.ticker, as_of)


def _warn_unpriced(ctx: Context, position: Position, reason: str) -> None:
    ctx.warn(
        "price_unavailable",
        f"no price for {position.ticker}: {reason}",
        ticker=position.ticker,
        position_id=position.id,
        reason=reason,
    )


def walk(
    position: Position, bars: Sequence[Bar], quote: Quote | None, calendar: Calendar, rules: StockRules
) -> tuple[Holding, list[Exit], Mark]:
    """Take a position through what is new since its cursor: bars in order, then the current price.

    A bar that began before the cursor is not used: its low may lie before the entry. A quote is new when it
    was made after the cursor, and the bars' last word where it is older than they are.
    """
    holding, exits = position.holding, list[Exit]()
    mark = Mark(
        price=position.last_price, price_at=position.last_price_at, checked_at=position.last_checked_at
    )
    for bar in bars:
        if holding.units and bar.start >= position.last_checked_at:
            holding, sold = after_bar(holding, bar, rules)
            exits += sold
            mark = Mark(price=bar.close, price_at=bar.end, checked_at=bar.end)
    if quote and holding.units and position.last_checked_at < quote.at >= mark.checked_at:
        hold_days = (calendar.trading_date(quote.at) - position.entry_date).days
        holding, sold = at_price(holding, quote.price, quote.at, hold_days, rules)
        exits += sold
        mark = Mark(price=quote.price, price_at=quote.at, checked_at=quote.at)
    return holding, exits, mark


def _remember(conn: sqlite3.Connection, ticker: str, bars: Sequence[Bar], ctx: Context) -> None:
    """Keep complete daily bars for the charts; a bar that is known already is left alone."""
    now = stamp(ctx.clock.now())
    conn.executemany(
        """
        INSERT INTO price_history (ticker, date, open, high, low, close, fetched_at)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (ticker, date) DO UPDATE
        SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
            fetched_at = excluded.fetched_at
        WHERE (price_history.open, price_history.high, price_history.low, price_history.close)
           <> (excluded.open, excluded.high, excluded.low, excluded.close)
        """,
        [
            (ticker, day.isoformat(), usd(bar.open), usd(bar.high), usd(bar.low), usd(bar.close), now)
            for bar in bars
            for day in [ctx.tools.calendar.trading_date(bar.start)]
            if _is_daily(bar, ctx.tools.calendar)
        ],
    )


def _is_daily(bar: Bar, calendar: Calendar) -> bool:
    session = calendar.session(calendar.trading_date(bar.start))
    return session is not None and (bar.start, bar.end) == (session.opens, session.closes)
