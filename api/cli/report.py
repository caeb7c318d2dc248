"""What a run found, for people: its figures, signals with how much evidence each has, positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from api.cli.follow import Status
from api.cli.text import clean, put, put_table
from api.problems import NotFound
from statemachine.store import RunReader

Row = Mapping[str, Any]
SIGNALS: Final = ("ticker", "signal", "direction", "confidence", "people", "evidence", "new")
POSITIONS: Final = ("ticker", "portfolio", "holds", "entry", "last", "return", "status", "exit")


def found_by(reader: RunReader, status: Status) -> dict[str, list[dict[str, Any]]]:
    """Return the signals of a run's day and the positions; empty for phases that find none."""
    from api import findings  # noqa: PLC0415  # only where there is something to show

    day = str(reader.run(status["run_id"]).params.get("as_of", ""))[:10]
    try:
        signals = findings.signals(reader, {"signal_date =": day}, portfolio_id=None, cursor=None, limit=500)
        positions = findings.positions(reader, {}, cursor=None, limit=100)
    except NotFound:
        return {"signals": [], "positions": []}
    return {"signals": signals, "positions": positions}


def put_report(status: Status, signals: Sequence[Row], positions: Sequence[Row]) -> None:
    """Write what was found to stdout."""
    figures = {name: value for name, value in status["results"].items() if isinstance(value, int | float)}
    counts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())
    put(clean(f"run {status['run_id']} {status['status']}: {counts or 'no figures'}"))
    warnings: list[dict[str, Any]] = status["warnings"] or []
    if warnings:
        many = "1 warning" if len(warnings) == 1 else f"{len(warnings)} warnings, the last"
        put(clean(f"{many}: {warnings[-1].get('message')}"))
    if signals:
        best_first = sorted(signals, key=lambda row: -row["confidence"])
        put_table("Signals", SIGNALS, map(_signal, best_first))
    if positions:
        put_table("Positions", POSITIONS, map(_position, positions))


def _signal(row: Row) -> tuple[object, ...]:
    return (
        row["ticker"],
        row["signal_type"],
        row["prediction"],
        f"{row['confidence']:.2f}",
        row["distinct_users"],
        row["comment_count"],
        "yes" if row["is_emergence"] else "",
    )


def _position(row: Row) -> tuple[object, ...]:
    gain = row["realized_return_pct"] if row["status"] == "closed" else row["unrealized_return_pct"]
    return (
        row["ticker"],
        f"{row['instrument_type']}s {row['signal_type']}",
        _bought(row),
        f"{row['entry_price']:.2f}",
        "" if row["current_price"] is None else f"{row['current_price']:.2f}",
        "" if gain is None else f"{gain:+.1%}",
        row["status"],
        row["exit_reason"] or "",
    )


def _bought(row: Row) -> str:
    if row["instrument_type"] == "stock":
        return f"{row['shares']} shares"
    return f"{row['contracts']} {row['option_type']}s {row['strike_price']:g} of {row['expiration_date']}"
