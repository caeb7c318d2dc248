"""The floor: what the bare `sqlite3` module takes for the same durable work.

The same columns and secondary indexes as the engine's tables, the same widths of rows, WAL, synchronous=FULL,
one transaction a boundary: BEGIN IMMEDIATE, the phase's rows, UPDATE of the run, INSERT of the event, COMMIT.
What it leaves out is what the engine adds: reading the row, the state machine, the guards (CHECK, foreign
keys, triggers, authorizer), the owner's condition, limits, warnings and results.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

STAMP = "2020-12-01T18:00:00.000Z"
TOKEN = "0123456789abcdef"
ROW = "x" * 80
"""What a phase writes, here and in ours."""
NOTES = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"
WRITE_NOTE = "INSERT INTO notes (text) VALUES (?)"

_UPDATE = (
    "UPDATE analysis_runs SET state = ?, current_phase = ?, phase_label = ?, progress_current = ?,"
    " results = ?, updated_at = ?, active_s = ?, version = ? WHERE id = ?"
)
_EVENT = (
    "INSERT INTO run_events (run_id, at, trigger, source, dest, phase, attempt, detail)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


def bare_copy(model: Path, path: Path) -> sqlite3.Connection:
    """Open a new file with the columns and indexes of `model`'s tables, and none of their guards."""
    conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    conn.execute("PRAGMA journal_mode = WAL")
    conn.execute("PRAGMA synchronous = FULL")
    engine = sqlite3.connect(model)
    for table in ("analysis_runs", "run_events"):
        columns = engine.execute(f"PRAGMA table_info({table})").fetchall()
        fields = ", ".join(
            f"{name} {kind}{' PRIMARY KEY' if key else ''}" for _, name, kind, _, _, key in columns
        )
        conn.execute(f"CREATE TABLE {table} ({fields})")
    indexes = (
        "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ('analysis_runs', 'run_events')"
    )
    for (index,) in engine.execute(indexes).fetchall():
        conn.execute(index)
    engine.close()
    conn.execute(NOTES)
    return conn


def label(number: int) -> str:
    """Return a phase's label, as long as those of the real pipeline on average."""
    return f"Analyzing part {number}"


def state(number: int) -> str:
    """Return the state of that phase."""
    return f"analyzing_part_{number}"


class Floor:
    """Runs of bare SQL, one boundary at a time."""

    def __init__(self, conn: sqlite3.Connection, *, phases: int, rows: int) -> None:
        """Use `conn`; each boundary writes `rows` rows of the phase, each run has so many `phases`."""
        self._execute = conn.execute
        self._phases = phases
        self._notes = [(ROW,)] * rows
        self._run_id = 0

    def start(self) -> None:
        """Create a run in its first phase: its row and its event, one commit."""
        self._run_id += 1
        self._phase = 1
        self._execute("BEGIN IMMEDIATE")
        self._execute(
            "INSERT INTO analysis_runs (id, status, state, current_phase, phase_label, progress_current,"
            " progress_total, params, results, started_at, updated_at, attempt, version, active_s, owner,"
            " registry, cancel_requested) VALUES (?, 'running', ?, 1, ?, 1, ?, '{}', '{}',"
            " ?, ?, 1, 1, 0.0, ?, ?, 0)",
            (self._run_id, state(1), label(1), self._phases, STAMP, STAMP, TOKEN, TOKEN),
        )
        self._execute(_EVENT, (self._run_id, STAMP, "start", "", state(1), 1, 1, None))
        self._execute("COMMIT")

    def boundary(self) -> None:
        """Make one boundary durable."""
        here, self._phase = self._phase, self._phase + 1
        then = self._phase
        dest = state(then)
        self._execute("BEGIN IMMEDIATE")
        for note in self._notes:
            self._execute(WRITE_NOTE, note)
        values = (dest, then, label(then), then, "{}", STAMP, 0.001 * then, then, self._run_id)
        self._execute(_UPDATE, values)
        self._execute(_EVENT, (self._run_id, STAMP, "advance", state(here), dest, then, 1, None))
        self._execute("COMMIT")
