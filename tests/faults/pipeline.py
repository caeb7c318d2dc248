"""A small pipeline whose every lost, doubled or half-committed row shows, and the law that finds it.

Each phase writes items one by one: a row by natural key (`harvest`) and one without any key (`payments`, what
the item cost), and check points after each batch. How many items a phase has done is also among the run's
`results`, which the engine commits with the rows. So at *every* moment, whatever happened:

    rows of a phase == payments of that phase == the run's own count of them

Earlier phases are complete, later ones empty, and each value follows from the phase before.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from statemachine.contract import PhaseFunction, RunContext
from statemachine.registry import Registry
from statemachine.verify import verify

SCHEMA: Final = {
    "harvest": (
        """
CREATE TABLE harvest (
  run_id INTEGER NOT NULL REFERENCES analysis_runs (id), phase INTEGER NOT NULL, item INTEGER NOT NULL,
  value TEXT NOT NULL, PRIMARY KEY (run_id, phase, item)
) STRICT, WITHOUT ROWID;
CREATE TABLE payments (run_id INTEGER NOT NULL, phase INTEGER NOT NULL, item INTEGER NOT NULL) STRICT;
""",
    )
}
NUMBERS: Final = (1, 2, 5)
ITEMS: Final = 4
BATCH: Final = 2


@dataclass(frozen=True, slots=True)
class World:
    """The pipeline's tools: a place where every moment of a phase can be watched, and disturbed."""

    reached: Callable[[str], None]
    """Called with `run.phase.moment`, where a moment is `entered`, `written3`, `kept3` or `leaving`."""


def _value(run_id: int, phase: int, item: int, before: str, payload: int) -> str:
    digest = hashlib.sha256(f"{run_id}.{phase}.{item}.{before[:64]}".encode()).hexdigest()
    return digest + "x" * payload


def _before(conn: sqlite3.Connection, run_id: int, phase: int, item: int) -> str:
    """Return what the phase before made of an item; the first phase has none before."""
    at = NUMBERS.index(phase)
    if at == 0:
        return ""
    where = (run_id, NUMBERS[at - 1], item)
    sql = "SELECT value FROM harvest WHERE run_id = ? AND phase = ? AND item = ?"
    return str(conn.execute(sql, where).fetchone()[0])


def _phase(number: int) -> PhaseFunction:
    def work(conn: sqlite3.Connection, ctx: RunContext[World]) -> None:
        run_id, counter = ctx.run_id, f"phase_{number}"
        moment = f"{run_id}.{number}."
        items, batch = ctx.params.get("items", ITEMS), ctx.params.get("batch", BATCH)
        mine = conn.execute("SELECT count(*) FROM harvest WHERE run_id = ? AND phase = ?", (run_id, number))
        done = mine.fetchone()[0]
        if done != ctx.results.get(counter, 0):
            raise AssertionError(f"{moment} finds {done} rows, but counted {ctx.results.get(counter, 0)}")
        ctx.tools.reached(f"{moment}entered")
        for item in range(done, items):
            value = _value(
                run_id, number, item, _before(conn, run_id, number, item), ctx.params.get("payload", 0)
            )
            key = (run_id, number, item)
            conn.execute("INSERT INTO harvest VALUES (?, ?, ?, ?)", (*key, value))
            conn.execute("INSERT INTO payments VALUES (?, ?, ?)", key)
            ctx.progress(item + 1, items, "items")
            ctx.results[counter] = item + 1
            ctx.tools.reached(f"{moment}written{item}")
            if (item + 1) % batch == 0 and item + 1 < items:
                _check_point(ctx)
                ctx.tools.reached(f"{moment}kept{item}")
        ctx.tools.reached(f"{moment}leaving")

    return work


def _check_point(ctx: RunContext[World]) -> None:
    try:
        ctx.checkpoint()
    except Exception:
        if not ctx.params.get("stubborn"):
            raise


REGISTRY: Final = Registry.of(
    [(number, f"Phase {number}", _phase(number)) for number in NUMBERS],
)


# --- the law ---


def violations(db: Path) -> list[str]:
    """Return everything that is wrong with a database, by the engine's own check and by the law above."""
    found = [f"{each.invariant}: {each.message}" for each in verify(db)]
    conn = sqlite3.connect(f"{db.resolve().as_uri()}?mode=ro", uri=True)
    try:
        return found + list(_broken(conn))
    finally:
        conn.close()


def _broken(conn: sqlite3.Connection) -> Iterator[str]:
    sql = "SELECT id, status, current_phase, params, results FROM analysis_runs"
    for run_id, status, current, params, results in conn.execute(sql).fetchall():
        yield from _of_run(conn, run_id, status, current, json.loads(params), json.loads(results))
    sql = "SELECT count(*) FROM harvest WHERE run_id NOT IN (SELECT id FROM analysis_runs)"
    if (strays := conn.execute(sql).fetchone()[0]) > 0:
        yield f"{strays} rows belong to no run"


def _of_run(
    conn: sqlite3.Connection,
    run_id: int,
    status: str,
    current: int,
    params: Mapping[str, Any],
    results: Mapping[str, int],
) -> Iterator[str]:
    items = params.get("items", ITEMS)
    before = dict.fromkeys(range(items), "")
    for number in NUMBERS:
        where = f"run {run_id} phase {number} ({status} in {current})"
        sql = "SELECT item, value FROM harvest WHERE run_id = ? AND phase = ? ORDER BY item"
        rows = conn.execute(sql, (run_id, number)).fetchall()
        sql = "SELECT item FROM payments WHERE run_id = ? AND phase = ? ORDER BY item"
        paid = [item for (item,) in conn.execute(sql, (run_id, number))]
        counted = results.get(f"phase_{number}", 0)
        if not len(rows) == len(paid) == counted:
            yield f"{where}: {len(rows)} rows, {len(paid)} payments, {counted} counted"
        is_done = status == "completed" or number < current
        wanted = items if is_done else counted if number == current else 0
        if len(rows) != wanted or paid != list(range(wanted)):
            yield f"{where}: rows {[item for item, _ in rows]}, payments {paid}, wanted {wanted}"
        for item, value in rows:
            if value != _value(run_id, number, item, before.get(item, ""), params.get("payload", 0)):
                yield f"{where}: item {item} has the wrong value"
        before = dict(rows)
