"""Is everything in this database as the engine promises? The end of every crash test.

Each invariant is a function from a read-only connection to sentences about what violates it, in one table.
The history is folded through the one table as it was when the run was started (`registry_edges`), and what
comes out must be the row.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from statemachine.connection import UNREADABLE, connect_read_only
from statemachine.errors import DatabaseUnusable
from statemachine.store import SCHEMA, Event, Run, RunStore
from statemachine.table import INITIAL, RESUME, START, TERMINAL, status_of


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is not as it should be."""

    run_id: int | None
    invariant: str
    message: str


Finding = tuple[int | None, str]
Check = Callable[[sqlite3.Connection], Iterator[Finding]]
Edges = set[tuple[str, str, str]]


def verify(db: Path | sqlite3.Connection, run_id: int | None = None) -> list[Violation]:
    """Check every invariant that a database can show; of one run where `run_id` is given.

    Raises:
        DatabaseUnusable: The file can't be read at all.
        RunNotFound: There is no such run.
    """
    if isinstance(db, sqlite3.Connection):
        return _verify(db, run_id)
    conn = connect_read_only(db)
    try:
        return _verify(conn, run_id)
    finally:
        conn.close()


def _verify(conn: sqlite3.Connection, run_id: int | None) -> list[Violation]:
    _refuse_foreign(conn)
    damage = list(_asked(conn, "file_is_intact", _is_intact))
    if damage:
        return damage  # of rows on damaged pages nothing can be said, and to read them may take for ever
    found: list[Violation] = []
    for name, check in {**_TABLES, "history": _histories(run_id)}.items():
        found += [
            each for each in _asked(conn, name, check) if run_id is None or each.run_id in {None, run_id}
        ]
    return found


def _refuse_foreign(conn: sqlite3.Connection) -> None:
    try:
        ours = conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'analysis_runs'").fetchone()
    except UNREADABLE as error:
        raise DatabaseUnusable(f"the database can't be read: {error}; restore it from a backup") from error
    if ours is None:
        raise DatabaseUnusable("the database has no table of runs; name the file that phaseline has made")


def _asked(conn: sqlite3.Connection, name: str, check: Check) -> Iterator[Violation]:
    """Check one invariant; that it can't be checked is a violation as well."""
    try:
        for run_id, said in check(conn):
            yield Violation(run_id, name, said)
    except (sqlite3.Error, ValueError) as error:  # a damaged page, or bytes that are no text or no JSON
        yield Violation(None, name, f"this can't be checked: {error}")


# --- the file ---


def _is_intact(conn: sqlite3.Connection) -> Iterator[Finding]:
    for (said,) in conn.execute("PRAGMA integrity_check"):
        if said != "ok":
            yield None, said


def _keeps_foreign_keys(conn: sqlite3.Connection) -> Iterator[Finding]:
    for table, row, parent, _ in conn.execute("PRAGMA foreign_key_check").fetchall():
        yield None, f"row {row} of {table} points to a row of {parent} that does not exist"


def _has_guards(conn: sqlite3.Connection) -> Iterator[Finding]:
    there = _guards(conn)
    with closing(sqlite3.connect(":memory:")) as model:
        model.executescript("".join(SCHEMA))
        for name, sql in _guards(model).items():
            if there.get(name) != sql:
                yield None, f"the guard {name} is {'not as it was made' if name in there else 'missing'}"


def _guards(conn: sqlite3.Connection) -> dict[str, str]:
    return dict(conn.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall())


# --- what one query can judge ---


def _query(sql: str, sentence: str) -> Callable[[sqlite3.Connection], Iterator[Finding]]:
    def check(conn: sqlite3.Connection) -> Iterator[Finding]:
        for row in conn.execute(sql).fetchall():
            yield row[0], sentence.format(*row)

    return check


_TABLES: Final[Mapping[str, Check]] = {
    "foreign_keys": _keeps_foreign_keys,
    "guards": _has_guards,
    "status_is_the_state's": _query(
        "SELECT id, status, state FROM analysis_runs WHERE status <>"
        " CASE WHEN state IN ('completed', 'failed') THEN state ELSE 'running' END",
        "run {0} has the status {1} in the state {2}",
    ),
    "completed_has_its_time": _query(
        "SELECT id FROM analysis_runs WHERE (status = 'completed') <> (completed_at IS NOT NULL)",
        "run {0} is completed without completed_at, or the other way round",
    ),
    "failure_has_its_reason": _query(
        "SELECT id FROM analysis_runs WHERE (status = 'failed') <> (coalesce(error_message, '') <> '')"
        " OR (status = 'failed') <> (error_code IS NOT NULL)",
        "run {0} is failed without a reason, or the other way round",
    ),
    "progress_is_the_phase's": _query(
        "SELECT r.id, r.progress_current, r.progress_total, r.state FROM analysis_runs AS r"
        " WHERE r.progress_total <> (SELECT count(DISTINCT dest) FROM registry_edges"
        "   WHERE registry = r.registry AND phase IS NOT NULL)"
        " OR r.progress_current <> CASE WHEN r.status = 'completed' THEN r.progress_total ELSE"
        "   (SELECT count(DISTINCT dest) FROM registry_edges"
        "    WHERE registry = r.registry AND phase <= r.current_phase) END",
        "run {0} shows {1} of {2} in {3}",
    ),
    "an_ended_run_has_no_owner": _query(
        "SELECT id, owner FROM analysis_runs WHERE status <> 'running' AND owner IS NOT NULL",
        "run {0} has ended and still has the owner {1}",
    ),
    "time_goes_forward": _query(
        "SELECT id FROM analysis_runs WHERE updated_at < started_at OR completed_at < started_at",
        "run {0} was updated or completed before it started",
    ),
    "json_is_readable": _query(
        "SELECT id FROM analysis_runs WHERE NOT json_valid(params) OR NOT json_valid(results)"
        " OR (warnings IS NOT NULL AND NOT json_valid(warnings))",
        "run {0} holds JSON that can't be read",
    ),
    "keys_point_to_runs": _query(
        "SELECT k.run_id, k.key FROM idempotency_keys AS k LEFT JOIN analysis_runs AS r ON r.id = k.run_id"
        " WHERE r.id IS NULL",
        "the idempotency key {1!r} points to run {0}, which does not exist",
    ),
}


# --- histories ---


def _histories(run_id: int | None) -> Check:
    def check(conn: sqlite3.Connection) -> Iterator[Finding]:
        store = RunStore(conn)
        for run in _runs(store, run_id):
            for said in _folded(conn, run, store.events(run.id, limit=-1)):
                yield run.id, said

    return check


def _runs(store: RunStore, run_id: int | None) -> Iterator[Run]:
    if run_id is not None:
        yield store.read(run_id)
        return
    before: int | None = None
    while page := store.runs(before=before, limit=200):
        yield from page
        before = page[-1].id


def _folded(conn: sqlite3.Connection, run: Run, events: list[Event]) -> Iterator[str]:
    """Fold a history through the run's own table, and compare the outcome with the row."""
    rows = conn.execute(
        "SELECT trigger, source, dest, phase FROM registry_edges WHERE registry = ?", (run.registry,)
    ).fetchall()
    legal: Edges = {(trigger, source, dest) for trigger, source, dest, _ in rows}
    numbers = {dest: phase for _, _, dest, phase in rows}
    state, phase, attempt = INITIAL, 0, 1
    for event in events:
        where = f"event {event.seq}"
        if event.detail is not None and "refused" in event.detail:
            if event.source != event.dest:
                yield f"{where} was refused and yet moved from {event.source!r} to {event.dest!r}"
            continue
        if event.source != state:
            yield f"{where} leaves {event.source!r}, but the run was in {state!r}"
        if (event.trigger, event.source, event.dest) not in legal:
            yield f"{where} takes {event.trigger} from {event.source!r} to {event.dest!r}, which is no edge"
        if event.source in TERMINAL and event.trigger == RESUME and numbers.get(event.dest) != phase:
            yield f"{where} resumes in {event.dest!r}, not where the run failed"
        yield from _counted(event, where, attempt)
        state = event.dest
        phase = numbers[state] if numbers.get(state) is not None else phase
        if event.phase != phase:
            yield f"{where} names phase {event.phase}, but the run is in phase {phase}"
        attempt = event.attempt
    yield from _differences(run, state, phase, attempt)


def _counted(event: Event, where: str, attempt: int) -> Iterator[str]:
    crashed = (
        event.trigger == RESUME and event.source == event.dest and (event.detail or {}).get("owner_died")
    )
    expected: Any = {"advance": 1, START: 1}.get(event.trigger, attempt)
    if event.dest in TERMINAL:
        expected = attempt
    elif event.trigger == RESUME:
        expected = attempt + 1 if crashed else 1
    if event.attempt != expected:
        yield f"{where} counts attempt {event.attempt}, not {expected}"


def _differences(run: Run, state: str, phase: int, attempt: int) -> Iterator[str]:
    for name, folded, stored in (
        ("state", state, run.state),
        ("status", status_of(state), run.status),
        ("current_phase", phase, run.current_phase),
        ("attempt", attempt, run.attempt),
    ):
        if folded != stored:
            yield f"the history ends with {name} {json.dumps(folded)}, but the row says {json.dumps(stored)}"
