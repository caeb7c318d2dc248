"""What the pipeline found, read from its tables: signals with their evidence, portfolios, positions, prices.

Shares are of one, never percent. A position is valued at its last stored price, and days are counted up to
the last look at it, so that a replayed archive reads the same for ever; nothing here asks a price server.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from api.problems import NotFound
from statemachine.store import RunReader

Row = dict[str, Any]
Filters = Mapping[str, object]

_SAME: Final = 1e-9
"""Sums of shares that are nearer than this are the same."""
_SUMMARY: Final = (
    "status", "entry_date", "entry_price", "unrealized_return_pct", "realized_return_pct", "hold_days",
)  # fmt: skip
_FLAGS: Final = frozenset(
    {
        "has_reasoning",
        "is_emergence",
        "sarcasm_detected",
        "trailing_stop_active",
        "beat_benchmark",
        "is_correct",
    }
)
_SIGNAL: Final = """
    id, ticker, signal_type, signal_date, prediction, confidence, comment_count, sentiment_score,
    has_reasoning, is_emergence, prior_7d_mentions, distinct_users"""
_POSITION: Final = """
    id, portfolio_id, signal_id, ticker, instrument_type, signal_type, direction, confidence, position_size,
    entry_date, entered_at, entry_price, entry_basis, status, last_checked_at, last_price AS current_price,
    last_price_at, shares, shares_remaining, stop_loss_price, take_profit_price, peak_price,
    trailing_stop_active, took_profit, option_type, strike_price, expiration_date, contract_symbol,
    contracts, contracts_remaining, premium_paid, peak_premium, underlying_price_at_entry, exit_date,
    exit_reason, hold_days, realized_return_pct"""


# --- signals ---


def signals(
    reader: RunReader, filters: Filters, *, portfolio_id: int | None, cursor: int | None, limit: int
) -> list[Row]:
    """Return signals, newest first; with a portfolio also what became of each there."""
    found = _filtered(reader, f"SELECT {_SIGNAL} FROM signals", filters, cursor=cursor, limit=limit)
    return found if portfolio_id is None else _in_portfolio(reader, found, portfolio_id)


def signal(reader: RunReader, signal_id: int) -> Row:
    """Return one signal, with the parts of its confidence."""
    found = _one(reader, f"SELECT {_SIGNAL} FROM signals WHERE id = ?", signal_id, "signal")
    return {**found, "confidence_parts": _confidence_parts(reader, found)}


def _confidence_parts(reader: RunReader, signal: Row) -> Row | None:
    """Return what a confidence is the sum of; `None` where the rows of today make another."""
    from phases.config import read_config  # noqa: PLC0415  # other phases need no pipeline
    from phases.scoring.trust import UNKNOWN_AUTHOR  # noqa: PLC0415  # the same
    from phases.signal_rules import Evidence, confidence_parts  # noqa: PLC0415  # the same

    rows = _rows(
        reader,
        """SELECT c.id AS comment_id, c.author, t.sentiment, c.has_reasoning,
                  c.sarcasm_detected AS is_sarcastic, c.ai_confidence,
                  coalesce(c.author_trust_score, ?) AS author_trust
           FROM signal_comments AS s JOIN comments AS c ON c.id = s.comment_id
           JOIN comment_tickers AS t ON t.comment_id = c.id AND t.ticker = ?
           WHERE s.signal_id = ?""",
        (UNKNOWN_AUTHOR, signal["ticker"], signal["id"]),
    )
    if not rows:
        return None
    evidence = [Evidence(**row) for row in rows]
    config = read_config(reader.conn)
    parts = asdict(
        confidence_parts(signal["signal_type"], evidence, users=signal["distinct_users"], config=config)
    )
    return parts if abs(sum(parts.values()) - signal["confidence"]) < _SAME else None


def _in_portfolio(reader: RunReader, found: list[Row], portfolio_id: int) -> list[Row]:
    instrument = _one(
        reader, "SELECT instrument_type FROM portfolios WHERE id = ?", portfolio_id, "portfolio"
    )["instrument_type"]
    held = {position["signal_id"]: position for position in _positions_of(reader, portfolio_id)}
    return [{**each, **_outcome(each, held.get(each["id"]), instrument)} for each in found]


def _outcome(signal: Row, position: Row | None, instrument: str) -> Row:
    """Say what became of a signal in a portfolio: a position, or why there is none (never both)."""
    if position is None:
        bearish = signal["prediction"] == "bearish" and instrument == "stock"
        reason = "bearish_long_only" if bearish else "not eligible"
        return {"position_opened": False, "skip_reason": reason, "position_summary": None}
    names = (
        "status",
        "entry_date",
        "entry_price",
        "unrealized_return_pct",
        "realized_return_pct",
        "hold_days",
    )
    summary = {"position_id": position["id"], **{name: position[name] for name in names}}
    return {"position_opened": True, "skip_reason": None, "position_summary": summary}


def _positions_of(reader: RunReader, portfolio_id: int) -> list[Row]:
    rows = _rows(reader, f"SELECT {_POSITION} FROM positions WHERE portfolio_id = ?", (portfolio_id,))
    trails = _trails(reader)
    return [_valued(row, trails) for row in rows]


def signal_comments(reader: RunReader, signal_id: int) -> list[Row]:
    """Return the comments that a signal rests on, best first."""
    _one(reader, "SELECT id FROM signals WHERE id = ?", signal_id, "signal")
    found = _rows(
        reader,
        """SELECT c.id, body, author, created_utc, score, depth, parent_comment_id, sentiment,
                  sarcasm_detected, has_reasoning, ai_confidence, author_trust_score,
                  reasoning_summary, analyzer
           FROM signal_comments AS s JOIN comments AS c ON c.id = s.comment_id
           WHERE s.signal_id = ? ORDER BY score DESC, c.id""",
        (signal_id,),
    )
    stances = _rows(
        reader,
        """SELECT t.comment_id, ticker, sentiment
           FROM signal_comments AS s JOIN comment_tickers AS t ON t.comment_id = s.comment_id
           WHERE s.signal_id = ? ORDER BY t.comment_id, t.id""",
        (signal_id,),
    )
    by_comment = _grouped(stances, "comment_id")
    return [{**each, "ticker_sentiments": by_comment.get(each["id"], [])} for each in found]


def signal_history(
    reader: RunReader, ticker: str | None, signal_type: str, days: int
) -> dict[str, list[Row]]:
    """Return each ticker's daily confidence over the last `days` days on record."""
    found = _rows(
        reader,
        """SELECT ticker, signal_date AS date, confidence FROM signals
           WHERE signal_type = ? AND (? IS NULL OR ticker = ?)
             AND signal_date > date((SELECT max(signal_date) FROM signals), ?)
           ORDER BY ticker, signal_date""",
        (signal_type, ticker, ticker, f"-{days} days"),
    )
    return _grouped(found, "ticker")


# --- portfolios and positions ---


def portfolios(reader: RunReader) -> list[Row]:
    """Return the portfolios with their figures."""
    return [_with_totals(row) for row in _rows(reader, _PORTFOLIOS)]


_PORTFOLIOS: Final = """
    SELECT p.*, (SELECT count(*) FROM positions AS x WHERE x.portfolio_id = p.id AND x.status = 'open')
                AS open_position_count
    FROM portfolios AS p"""


def portfolio(reader: RunReader, portfolio_id: int) -> Row:
    """Return one portfolio, with what its open positions are worth."""
    found = _with_totals(_one(reader, f"{_PORTFOLIOS} WHERE p.id = ?", portfolio_id, "portfolio"))
    held = [position for position in _positions_of(reader, portfolio_id) if position["status"] == "open"]
    return {**found, "allocation": [_allocated(position, found["current_value"]) for position in held]}


def equity(reader: RunReader, portfolio_id: int, days: int) -> list[Row]:
    """Return what a portfolio was worth over the last `days` days on record: the last look of each day."""
    _one(reader, "SELECT id FROM portfolios WHERE id = ?", portfolio_id, "portfolio")
    found = _rows(
        reader,
        """SELECT day, max(valued_at) AS at, cash, held, oldest_price_at, benchmark FROM portfolio_values
           WHERE portfolio_id = :id
             AND day > date((SELECT max(day) FROM portfolio_values WHERE portfolio_id = :id), :days)
           GROUP BY day ORDER BY day""",  # the other columns are of the row with the maximum, says SQLite
        {"id": portfolio_id, "days": f"-{days} days"},
    )
    return [{**each, "value": round(each["cash"] + each["held"], 4)} for each in found]


def _with_totals(row: Row) -> Row:
    gained = round(row["current_value"] - row["starting_capital"], 4)
    return {**row, "total_pnl": gained, "total_pnl_pct": gained / row["starting_capital"]}


def _allocated(position: Row, total: float) -> Row:
    price = position["current_price"] or position["entry_price"]
    units = position["shares_remaining"] or (position["contracts_remaining"] or 0) * 100
    worth = round(price * units, 4)
    share = worth / total if total else 0.0
    return {
        "position_id": position["id"],
        "ticker": position["ticker"],
        "market_value": worth,
        "share_pct": share,
    }


def positions(reader: RunReader, filters: Filters, *, cursor: int | None, limit: int) -> list[Row]:
    """Return positions, newest first, with their sales."""
    found = _filtered(reader, f"SELECT {_POSITION} FROM positions", filters, cursor=cursor, limit=limit)
    return _with_exits(reader, found)


def position(reader: RunReader, position_id: int) -> Row:
    """Return one position with its sales."""
    found = _one(reader, f"SELECT {_POSITION} FROM positions WHERE id = ?", position_id, "position")
    return _with_exits(reader, [found])[0]


def _with_exits(reader: RunReader, found: Sequence[Row]) -> list[Row]:
    marks = ", ".join("?" * len(found))
    sales = _rows(
        reader,
        f"SELECT * FROM position_exits WHERE position_id IN ({marks}) ORDER BY position_id, id",
        [each["id"] for each in found],
    )
    by_position = _grouped(sales, "position_id")
    trails = _trails(reader)
    return [{**_valued(each, trails), "position_exits": by_position.get(each["id"], [])} for each in found]


def _trails(reader: RunReader) -> Mapping[str, float]:
    """Return how far below its peak a trailing position is sold, a share of one, by kind of instrument."""
    from phases.config import read_config  # noqa: PLC0415  # other phases need no pipeline

    config = read_config(reader.conn)
    return {"stock": config.stock_trailing_stop_pct, "option": config.option_trailing_stop_pct}


def _valued(row: Row, trails: Mapping[str, float]) -> Row:
    """Add what follows from a position's last price and last look."""
    is_open = row["status"] == "open"
    looked = date.fromisoformat(row["last_checked_at"][:10])
    price = row["current_price"]
    gain = _change(row["entry_price"], price) if is_open else None
    held = row["hold_days"] if row["hold_days"] is not None else _days(row["entry_date"], looked)
    expires = row["expiration_date"]
    return {
        **row,
        "unrealized_return_pct": gain,
        "nearest_exit_distance_pct": _nearest_exit(row, price, trails) if is_open and price else None,
        "hold_days": max(held, 0),
        "dte": (date.fromisoformat(expires) - looked).days if expires else None,
        "premium_change_pct": gain if row["instrument_type"] == "option" else None,
    }


def _change(before: float, now: float | None) -> float | None:
    return None if now is None or not before else (now - before) / before


def _days(start: str, end: date) -> int:
    return (end - date.fromisoformat(start)).days


def _nearest_exit(row: Row, price: float, trails: Mapping[str, float]) -> float | None:
    peak = row["peak_price"] or row["peak_premium"]
    levels = (
        row["stop_loss_price"],
        None if row["took_profit"] else row["take_profit_price"],
        peak * (1 - trails[row["instrument_type"]]) if row["trailing_stop_active"] and peak else None,
    )
    distances = [abs(level - price) / price for level in levels if level is not None]
    return min(distances, default=None)


def premiums(reader: RunReader, position_id: int) -> list[Row]:
    """Return what monitoring saw of an option position, oldest first; nothing for shares."""
    _one(reader, "SELECT id FROM positions WHERE id = ?", position_id, "position")
    return _rows(
        reader,
        "SELECT at, premium, underlying_price FROM option_marks WHERE position_id = ? ORDER BY at",
        (position_id,),
    )


# --- predictions ---


_PREDICTION: Final = """
    id, comment_id, ticker, sentiment, option_type, analysis_run_id, status, entry_date, strike_price,
    expiration_date, contract_symbol, entry_premium, entry_basis, entered_at, last_checked_at, contracts,
    contracts_remaining, current_premium, peak_premium, trailing_stop_active, simulated_return_pct,
    is_correct, resolved_at, hitl_override, hitl_override_at, created_at"""


def predictions(reader: RunReader, filters: Filters, *, cursor: int | None, limit: int) -> list[Row]:
    """Return predictions, newest first, with their daily premiums and their sales."""
    found = _filtered(reader, f"SELECT {_PREDICTION} FROM predictions", filters, cursor=cursor, limit=limit)
    return _followed(reader, found)


def prediction(reader: RunReader, prediction_id: int) -> Row:
    """Return one prediction with its daily premiums and its sales."""
    select = f"SELECT {_PREDICTION} FROM predictions WHERE id = ?"
    return _followed(reader, [_one(reader, select, prediction_id, "prediction")])[0]


def _followed(reader: RunReader, found: Sequence[Row]) -> list[Row]:
    ids = [each["id"] for each in found]
    outcomes = _parts(reader, "prediction_outcomes", ids, order="day_offset")
    exits = _parts(reader, "prediction_exits", ids, order="id")
    return [
        {**each, "outcomes": outcomes.get(each["id"], []), "exits": exits.get(each["id"], [])}
        for each in found
    ]


def _parts(reader: RunReader, table: str, ids: Sequence[int], *, order: str) -> dict[int, list[Row]]:
    marks = ", ".join("?" * len(ids))
    select = f"SELECT * FROM {table} WHERE prediction_id IN ({marks}) ORDER BY prediction_id, {order}"
    return _grouped(_rows(reader, select, ids), "prediction_id")


# --- the rest ---


def evaluation_periods(reader: RunReader, portfolio_id: int) -> list[Row]:
    """Return a portfolio's evaluation periods, newest first."""
    _one(reader, "SELECT id FROM portfolios WHERE id = ?", portfolio_id, "portfolio")
    return _rows(
        reader,
        "SELECT * FROM evaluation_periods WHERE portfolio_id = ? ORDER BY period_start DESC",
        (portfolio_id,),
    )


def graduated(reader: RunReader) -> Row:
    """Judge the completed periods of the stock portfolios by the rule of graduation."""
    from phases.scoring.graduation import Result, graduation  # noqa: PLC0415  # other phases need no pipeline

    found = _rows(
        reader,
        """SELECT period_start, signal_type, relative_performance FROM evaluation_periods
           WHERE status = 'completed' AND instrument_type = 'stock'""",
    )
    return asdict(graduation([Result(**each) for each in found]))


def prices(reader: RunReader, ticker: str, days: int) -> list[Row]:
    """Return the closes of a ticker over the last `days` days on record; none for an unknown ticker."""
    return _rows(
        reader,
        """SELECT date, close FROM price_history
           WHERE ticker = ? AND date > date((SELECT max(date) FROM price_history WHERE ticker = ?), ?)
           ORDER BY date""",
        (ticker, ticker, f"-{days} days"),
    )


# --- SQL ---


def _filtered(
    reader: RunReader, select: str, filters: Filters, *, cursor: int | None, limit: int
) -> list[Row]:
    """Run a SELECT with conditions, each `column operator` with its value; newest (highest id) first."""
    wanted = {**filters, "id <": cursor}
    given = {condition: value for condition, value in wanted.items() if value is not None}
    where = " AND ".join(f"{condition} ?" for condition in given) or "1"
    return _rows(reader, f"{select} WHERE {where} ORDER BY id DESC LIMIT ?", (*given.values(), limit))


def _one(reader: RunReader, select: str, row_id: int, kind: str) -> Row:
    found = _rows(reader, select, (row_id,))
    if not found:
        raise NotFound(f"there is no {kind} {row_id}")
    return found[0]


def _rows(reader: RunReader, sql: str, values: Sequence[object] | Mapping[str, object] = ()) -> list[Row]:
    try:
        cursor = reader.conn.execute(sql, values)
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            raise NotFound("the phases that run here keep no such records") from error
        raise
    names = [column[0] for column in cursor.description]
    return [_typed(names, row) for row in cursor.fetchall()]


def _typed(names: Iterable[str], row: Iterable[Any]) -> Row:
    return {
        name: bool(value) if name in _FLAGS and value is not None else value
        for name, value in zip(names, row, strict=True)
    }


def _grouped(rows: Iterable[Row], key: str) -> dict[Any, list[Row]]:
    """Group rows that are sorted by a column, and leave the column out."""
    return {
        group: [{name: value for name, value in row.items() if name != key} for row in members]
        for group, members in groupby(rows, key=itemgetter(key))
    }
