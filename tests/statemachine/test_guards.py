"""What SQL itself refuses, whoever asks: every move that the one table does not know."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from statemachine.connection import connect, transaction
from statemachine.registry import Registry
from statemachine.store import Run, RunStore, prepare
from statemachine.table import COMPLETED, FAILED, INITIAL, RESUME, START, TERMINAL, TRIGGERS
from tests.statemachine.conftest import without_guards

REGISTRY = Registry.of([(2, "One", print), (3, "Two", print), (7, "Three", print)])
OTHER = Registry.of([(1, "Alone", print)])
STATES = (*REGISTRY.states, COMPLETED, FAILED)
NUMBERS = {state: REGISTRY.phase_of(state).number for state in REGISTRY.states}


@pytest.fixture
def conn(folder: Path) -> Iterator[sqlite3.Connection]:
    """Rows are put into any state here, so what is left is no history: the file is not called `.db`."""
    db = folder / "guards"
    prepare(db, REGISTRY)
    prepare(db, OTHER)
    with closing(connect(db, sqlite3.Connection)) as made:
        yield made


def put(conn: sqlite3.Connection, state: str, phase: int | None = None) -> Run:
    """Put a run into a state (and phase), past the guards."""
    store = RunStore(conn)
    with transaction(conn):
        run = store.create(REGISTRY, {}, at="2025-03-12T18:00:00.000Z", owner="f")
        with without_guards(conn):
            conn.execute(
                f"UPDATE analysis_runs SET {settings(state)}, current_phase = ? WHERE id = ?",
                (phase or NUMBERS.get(state, 7), run.id),
            )
    return store.read(run.id)


def settings(state: str) -> str:
    """Return the columns that a state asks for, so that no CHECK but only a guard can object."""
    if state == COMPLETED:
        return (
            "state = 'completed', status = 'completed', owner = NULL, progress_current = progress_total,"
            " completed_at = updated_at, error_code = NULL, error_message = NULL"
        )
    if state == FAILED:
        return (
            "state = 'failed', status = 'failed', owner = NULL, completed_at = NULL,"
            " error_code = 'error', error_message = 'x'"
        )
    return (
        f"state = '{state}', status = 'running', owner = 'f', completed_at = NULL,"
        " error_code = NULL, error_message = NULL"
    )


# --- updates ---


@pytest.mark.parametrize("source", STATES)
@pytest.mark.parametrize("dest", STATES)
def test_an_update_moves_a_run_exactly_where_the_table_does(
    conn: sqlite3.Connection, source: str, dest: str
) -> None:
    is_edge = any(edge.source == source and edge.dest == dest for edge in REGISTRY.edges)
    moves = f"UPDATE analysis_runs SET {settings(dest)}, current_phase = ? WHERE id = ?"
    for was in [NUMBERS[source]] if source in NUMBERS else NUMBERS.values():
        for phase in [] if source == dest else [*NUMBERS.values(), 4]:
            run = put(conn, source, was)
            is_where_it_failed = source not in TERMINAL or phase == was
            if is_edge and phase == NUMBERS.get(dest, was) and is_where_it_failed:
                conn.execute(moves, (phase, run.id))
                assert RunStore(conn).read(run.id).state == dest
            else:
                with pytest.raises(sqlite3.IntegrityError, match="no edge of the table"):
                    conn.execute(moves, (phase, run.id))
                assert RunStore(conn).read(run.id) == run


@pytest.mark.parametrize("state", [COMPLETED, FAILED])
@pytest.mark.parametrize(
    "change",
    [
        *(
            "results = '{}'",
            "warnings = '[]'",
            "updated_at = '2030-01-01T00:00:00.000Z'",
            "version = version + 1",
        ),
        *("active_s = 9", "attempt = 2", "cancel_requested = 1", "step_current = 1", "phase_label = 'x'"),
        *("progress_current = 1", "current_phase = 2", "state = state"),
    ],
)
def test_a_run_that_has_ended_is_sealed(conn: sqlite3.Connection, state: str, change: str) -> None:
    run = put(conn, state)

    with pytest.raises(sqlite3.IntegrityError, match="a run that has ended changes only by an edge"):
        conn.execute(f"UPDATE analysis_runs SET {change} WHERE id = ?", (run.id,))


@pytest.mark.parametrize(
    "change",
    [
        *("id = 9", "registry = 'x'", "params = '{\"a\": 1}'", "progress_total = 4"),
        "started_at = '2020-01-01T00:00:00.000Z'",
    ],
)
@pytest.mark.parametrize("state", STATES)
def test_what_a_run_is_never_changes(conn: sqlite3.Connection, state: str, change: str) -> None:
    run = put(conn, state)

    with pytest.raises(sqlite3.IntegrityError, match=r"never changes|ended"):
        conn.execute(f"UPDATE analysis_runs SET {change} WHERE id = ?", (run.id,))


@pytest.mark.parametrize("change", ["current_phase = 2", "phase_label = 'Two'", "progress_current = 1"])
def test_the_boundary_figures_change_only_at_a_boundary(conn: sqlite3.Connection, change: str) -> None:
    run = put(conn, "three")
    with transaction(conn), without_guards(conn):
        conn.execute("UPDATE analysis_runs SET progress_current = 3, phase_label = 'Three'")

    with pytest.raises(sqlite3.IntegrityError, match="only at a boundary"):
        conn.execute(f"UPDATE analysis_runs SET {change} WHERE id = ?", (run.id,))


@pytest.mark.parametrize(
    "change",
    [
        *("status = 'completed'", "status = 'failed'", "status = 'pending'", "state = 'completed'"),
        *("completed_at = updated_at", "error_code = 'error'", "error_message = 'x'", "error_message = ''"),
        *("error_code = 'unheard of'", "progress_current = 0", "progress_current = 4", "step_current = -1"),
        *("step_current = 3, step_total = 2", "results = 'no json'", "warnings = '{'", "attempt = 0"),
        *("version = 0", "active_s = -1", "updated_at = '2000-01-01T00:00:00.000Z'", "cancel_requested = 2"),
        "step_current = 'many'",
    ],
)
def test_a_row_that_contradicts_itself_is_refused(conn: sqlite3.Connection, change: str) -> None:
    run = put(conn, "one")

    with pytest.raises(sqlite3.IntegrityError):
        conn.execute(f"UPDATE analysis_runs SET {change} WHERE id = ?", (run.id,))


def test_an_ended_run_has_no_owner(conn: sqlite3.Connection) -> None:
    run = put(conn, "three")

    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        conn.execute(f"UPDATE analysis_runs SET {settings(FAILED)}, owner = 'f' WHERE id = ?", (run.id,))


def test_a_completed_run_has_all_its_progress(conn: sqlite3.Connection) -> None:
    run = put(conn, "three")

    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        conn.execute(
            f"UPDATE analysis_runs SET {settings(COMPLETED)}, progress_current = 1 WHERE id = ?", (run.id,)
        )


# --- inserts ---


def inserted(run: Run, **changes: Any) -> tuple[str, list[Any]]:
    columns = (
        "status state current_phase phase_label progress_current progress_total params results started_at"
    )
    names = [*columns.split(), "updated_at", "attempt", "version", "active_s", "owner", "registry"]
    values = {name: getattr(run, name) for name in names} | {"params": "{}", "results": "{}"} | changes
    marks = ", ".join("?" * len(values))
    return f"INTO analysis_runs ({', '.join(values)}) VALUES ({marks})", list(values.values())


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("phase", [*NUMBERS.values(), 4])
def test_a_run_is_inserted_in_its_first_phase_only(conn: sqlite3.Connection, state: str, phase: int) -> None:
    model = put(conn, "one")
    sql, values = inserted(model, state=state, current_phase=phase)

    if (state, phase) == ("one", 2):
        conn.execute(f"INSERT {sql}", values)
    else:
        with pytest.raises(sqlite3.IntegrityError, match="no edge of the table starts"):
            conn.execute(f"INSERT {sql}", values)


def test_a_run_of_an_unknown_registry_is_refused(conn: sqlite3.Connection) -> None:
    sql, values = inserted(put(conn, "one"), registry="unheard of")

    with pytest.raises(sqlite3.IntegrityError, match="no edge of the table starts"):
        conn.execute(f"INSERT {sql}", values)


def test_a_run_obeys_the_edges_of_its_own_registry(conn: sqlite3.Connection) -> None:
    sql, values = inserted(put(conn, "one"), registry=OTHER.fingerprint)

    with pytest.raises(sqlite3.IntegrityError, match="no edge of the table starts"):
        conn.execute(f"INSERT {sql}", values)


@pytest.mark.parametrize("state", STATES)
def test_a_run_is_not_replaced_by_a_new_one(conn: sqlite3.Connection, state: str) -> None:
    """SQLite fires no DELETE trigger for a row that REPLACE removes."""
    run = put(conn, "one")
    sql, values = inserted(run, id=run.id)
    with transaction(conn), without_guards(conn):
        conn.execute(f"UPDATE analysis_runs SET {settings(state)}")
    before = RunStore(conn).read(run.id)

    for verb in ("INSERT OR REPLACE", "REPLACE"):
        with pytest.raises(sqlite3.IntegrityError):
            conn.execute(f"{verb} {sql}", values)

    assert RunStore(conn).read(run.id) == before


@pytest.mark.parametrize("state", STATES)
def test_a_run_is_never_deleted(conn: sqlite3.Connection, state: str) -> None:
    run = put(conn, state)

    with pytest.raises(sqlite3.IntegrityError, match="runs are kept"):
        conn.execute("DELETE FROM analysis_runs WHERE id = ?", (run.id,))


# --- the history ---


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("trigger", [*TRIGGERS, "jump"])
def test_an_event_is_an_edge_into_the_state_that_the_run_is_in(
    conn: sqlite3.Connection, state: str, trigger: str
) -> None:
    run = put(conn, state)
    for source, dest in itertools.product((INITIAL, *STATES), STATES):
        legal = dest == state and any(
            (edge.trigger, edge.source, edge.dest) == (trigger, source, dest) for edge in REGISTRY.edges
        )
        event = (run.id, run.updated_at, trigger, source, dest, run.current_phase)
        sql = (
            "INSERT INTO run_events (run_id, at, trigger, source, dest, phase, attempt)"
            " VALUES (?, ?, ?, ?, ?, ?, 1)"
        )
        if legal:
            conn.execute(sql, event)
        else:
            with pytest.raises(sqlite3.IntegrityError, match="no edge of the table is like this event"):
                conn.execute(sql, event)


def event(
    conn: sqlite3.Connection, run: Run, source: str, dest: str, detail: str | None, seq: int | None = None
) -> None:
    conn.execute(
        "INSERT OR REPLACE INTO run_events (seq, run_id, at, trigger, source, dest, phase, attempt, detail)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)",
        (seq, run.id, run.updated_at, RESUME, source, dest, run.current_phase, detail),
    )


def test_a_refused_step_is_an_event_that_stays_where_it_is(conn: sqlite3.Connection) -> None:
    run = put(conn, COMPLETED)

    event(conn, run, COMPLETED, COMPLETED, '{"refused": "no"}')
    for source, dest, detail in (
        (COMPLETED, "one", '{"refused": "no"}'),
        (COMPLETED, COMPLETED, None),
        (COMPLETED, COMPLETED, "{}"),
    ):
        with pytest.raises(sqlite3.IntegrityError, match="no edge of the table"):
            event(conn, run, source, dest, detail)


def test_an_event_of_no_run_is_refused(conn: sqlite3.Connection) -> None:
    run = put(conn, COMPLETED)
    conn.execute("PRAGMA foreign_keys = ON")

    with pytest.raises(sqlite3.IntegrityError):
        conn.execute(
            "INSERT INTO run_events (run_id, at, trigger, source, dest, phase, attempt)"
            " VALUES (99, ?, ?, '', 'one', 2, 1)",
            (run.updated_at, START),
        )


@pytest.mark.parametrize(
    "change",
    ["UPDATE run_events SET at = 'x'", "UPDATE run_events SET detail = NULL", "DELETE FROM run_events"],
)
def test_the_history_is_append_only(conn: sqlite3.Connection, change: str) -> None:
    put(conn, "one")

    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        conn.execute(change)


def test_an_event_is_not_replaced_by_another(conn: sqlite3.Connection) -> None:
    run = put(conn, "one")
    ((seq,),) = conn.execute("SELECT seq FROM run_events").fetchall()

    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        event(conn, run, "one", "one", None, seq)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE registry_edges SET dest = 'completed' WHERE trigger = 'fail'",
        "DELETE FROM registry_edges",
        "INSERT INTO registry_edges SELECT registry, source, 'completed', 'x', 9, 0 FROM registry_edges",
        "REPLACE INTO registry_edges SELECT registry, source, dest, trigger, 9, 0 FROM registry_edges",
    ],
)
def test_the_table_itself_does_not_change(conn: sqlite3.Connection, change: str) -> None:
    before = conn.execute("SELECT * FROM registry_edges").fetchall()

    with pytest.raises(sqlite3.IntegrityError, match="the table is fixed"):
        conn.execute(change)

    assert conn.execute("SELECT * FROM registry_edges").fetchall() == before
