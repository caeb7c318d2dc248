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

from phases.book import Position, open_positions, settle
from phases.config import read_config
from phases.money import usd
from phases.prices.circuit import BreakerOpen
from phases.stamps import stamp
from phases.tools import Bar, Calendar, Context, PricesUnavailable
from phases.watch import Watch, walk, watches

_log = logging.getLogger(__name__)


def monitor_prices(conn: sqlite3.Connection, ctx: Context) -> None:
    """Check every open position against its prices; each is committed by itself."""
    ctx.results.setdefault("exits_triggered", 0)
    watch = watches(ctx, read_config(conn))
    positions = [one for one in open_positions(conn) if one.last_checked_at < ctx.tools.as_of]
    for done, position in enumerate(positions, start=1):
        ctx.raise_if_stopping()
        _check(conn, ctx, watch[position.instrument.name], position)
        ctx.progress(done, len(positions), "position")
    for one in watch.values():
        one.warn_if_open(ctx.warn)


def _check(conn: sqlite3.Connection, ctx: Context, watch: Watch, position: Position) -> None:
    try:
        look = watch.look(position, ctx.tools.as_of)
    except BreakerOpen:
        return
    except PricesUnavailable as error:
        _warn(ctx, position, watch.warning, f"no price for {position.symbol}: {error}", reason=str(error))
        return
    if look.missing:
        said = f"no price for {position.symbol}: {look.missing}"
        _warn(ctx, position, watch.warning, said, reason=look.missing)
    holding, exits, mark = walk(position, look.steps)
    if mark.checked_at == position.last_checked_at:
        return
    _remember(conn, position.ticker, look.bars, ctx)
    if settle(conn, position, holding, exits, mark, calendar=ctx.tools.calendar, now=ctx.clock.now()):
        ctx.results["exits_triggered"] += len(exits)
        if exits and exits[-1].at == look.ends:
            _warn(ctx, position, "option_expired", f"{position.symbol} ended unsold: {exits[-1].note}")
    else:
        _log.info("position was sold by somebody else", extra={"action": "position_moved", "id": position.id})
    ctx.checkpoint()


def _warn(ctx: Context, position: Position, kind: str, message: str, **context: str) -> None:
    ctx.warn(kind, message, ticker=position.ticker, position_id=position.id, **context)


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
