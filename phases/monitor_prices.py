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

from phases.config import read_config
from phases.money import usd
from phases.prices.circuit import BreakerOpen
from phases.scoring.follow_predictions import follow_predictions
from phases.stamps import stamp
from phases.tools import Bar, Calendar, Context, PricesUnavailable, Split
from phases.trading.book import Position, open_one, open_positions, settle
from phases.trading.expiry import last_session
from phases.trading.splits import Jump, apply_split, last_moment, pending, restates
from phases.trading.watch import Step, Watch, walk, watches
from statemachine.contract import Json

_log = logging.getLogger(__name__)


def monitor_prices(conn: sqlite3.Connection, ctx: Context) -> None:
    """Check every open position, then every tracked prediction; each position is committed by itself."""
    ctx.results.setdefault("exits_triggered", 0)
    watch = watches(ctx, read_config(conn))
    positions = [one for one in open_positions(conn) if one.last_checked_at < ctx.tools.as_of]
    for done, position in enumerate(positions, start=1):
        ctx.raise_if_stopping()
        _check(conn, ctx, watch[position.instrument.name], position)
        ctx.progress(done, len(positions), "position")
    for one in watch.values():
        one.warn_if_open(ctx.warn)
    follow_predictions(conn, ctx)


def _check(conn: sqlite3.Connection, ctx: Context, watch: Watch, position: Position) -> None:
    """Look at a position, up to each split at the prices of the old shares; leave it where prices fail."""
    try:
        for split in _splits(conn, ctx, watch, position):
            if before := open_one(conn, position.id):
                _look(conn, ctx, watch, before, last_moment(split))
            if old := open_one(conn, position.id):
                apply_split(conn, old, split, calendar=ctx.tools.calendar, now=ctx.clock.now())
                ctx.checkpoint()
        if current := open_one(conn, position.id):
            _look(conn, ctx, watch, current, ctx.tools.as_of)
    except (BreakerOpen, UnadjustedContract):
        return
    except PricesUnavailable as error:
        _warn(ctx, position, watch.warning, f"no price for {position.symbol}: {error}", reason=str(error))


class UnadjustedContract(Exception):
    """A contract that is for another number of shares since a split; it is left alone until its end."""


def _splits(conn: sqlite3.Connection, ctx: Context, watch: Watch, position: Position) -> list[Split]:
    """Return the splits to apply; raises `UnadjustedContract`, with a warning, where a contract can't follow.

    A contract is looked at even where the shares' source fails: under another name it has no quote.
    """
    try:
        splits = pending(conn, watch.prices, position, ctx.tools.as_of)
    except PricesUnavailable:
        if position.contract is None:
            raise
        return []
    odd = next((one for one in splits if not restates(position, one)), None)
    if odd and not _has_ended(position, ctx):
        said = (
            f"{position.symbol} is not sold automatically: by a split of {position.ticker} the exchange has "
            "changed its contracts; close it by hand, or it is settled when it ends"
        )
        _warn(ctx, position, "contract_split", said, split=str(odd.ratio))
        raise UnadjustedContract
    return [one for one in splits if restates(position, one)]


def _has_ended(position: Position, ctx: Context) -> bool:
    if position.contract is None:
        return False
    return last_session(position.contract, ctx.tools.calendar).closes <= ctx.tools.as_of


def _look(conn: sqlite3.Connection, ctx: Context, watch: Watch, position: Position, until: datetime) -> None:
    """Take a position through what is known until an instant, and write what became of it."""
    look = watch.look(position, until)
    if look.missing and until == ctx.tools.as_of:
        said = f"no price for {position.symbol}: {look.missing}"
        _warn(ctx, position, watch.warning, said, reason=look.missing)
    if look.jump:
        _warn_of_jump(ctx, position, look.jump)
    holding, exits, mark = walk(position, look.steps)
    if mark.checked_at == position.last_checked_at:
        return
    _remember(conn, position.ticker, look.bars, ctx)
    _remember_marks(conn, position, [step for step in look.steps if step.at <= mark.checked_at])
    if settle(conn, position, holding, exits, mark, calendar=ctx.tools.calendar, now=ctx.clock.now()):
        ctx.results["exits_triggered"] += len(exits)
        if exits and exits[-1].at == look.ends:
            _warn(ctx, position, "option_expired", f"{position.symbol} ended unsold: {exits[-1].note}")
    else:
        _log.info("position was sold by somebody else", extra={"action": "position_moved", "id": position.id})
    ctx.checkpoint()


def _warn_of_jump(ctx: Context, position: Position, jump: Jump) -> None:
    said = (
        f"{position.ticker} is not sold automatically: {jump}, and the price source knows of no split; tell "
        "it of the split, or close the position by hand if the move is real"
    )
    _warn(ctx, position, "split_suspected", said, before=usd(jump.before), after=usd(jump.after))


def _warn(ctx: Context, position: Position, kind: str, message: str, **context: Json) -> None:
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


def _remember_marks(conn: sqlite3.Connection, position: Position, steps: Sequence[Step]) -> None:
    """Keep what was seen of an option, up to its sale, for its chart."""
    if position.contract is None:
        return
    conn.executemany(
        """
        INSERT INTO option_marks (position_id, at, premium, underlying_price) VALUES (?, ?, ?, ?)
        ON CONFLICT (position_id, at) DO NOTHING
        """,
        [
            (position.id, stamp(step.at), usd(step.price), usd(step.underlying) if step.underlying else None)
            for step in steps
            if step.at > position.last_checked_at
        ],
    )


def _is_daily(bar: Bar, calendar: Calendar) -> bool:
    session = calendar.session(calendar.trading_date(bar.start))
    return session is not None and (bar.start, bar.end) == (session.opens, session.closes)
