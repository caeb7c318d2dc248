"""The file and its rows: made, brought up to date, refused, read and written."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.connection import connect, transaction
from statemachine.contract import RunMovedOn
from statemachine.driver import Recovery, take_over
from statemachine.errors import DatabaseUnusable, RunNotFound
from statemachine.registry import Registry
from statemachine.store import CancelWaiting, Run, RunReader, RunStore, dumps, prepare
from statemachine.table import ADVANCE

REGISTRY = Registry.of([(1, "One", print), (2, "Two", print)])
AT = "2025-03-12T18:00:00.000Z"


@pytest.fixture
def store(folder: Path) -> Iterator[RunStore]:
    """On a file that is not called `.db`, since these tests move rows without a word in the history."""
    db = folder / "store"
    prepare(db, REGISTRY)
    with closing(connect(db, sqlite3.Connection)) as conn:
        yield RunStore(conn)


def created(store: RunStore) -> Run:
    return store.create(REGISTRY, {"a": [1, "é"]}, at=AT, owner="f")


def tables(db: Path) -> set[str]:
    with closing(sqlite3.connect(db)) as conn:
        return {name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


# --- making and migrating ---


def test_a_new_file_gets_the_engines_tables_and_those_of_the_pipeline(db: Path) -> None:
    prepare(db, REGISTRY, {"pipeline": ("CREATE TABLE posts (id);", "CREATE TABLE prices (id);")})

    assert {"analysis_runs", "run_events", "posts", "prices"} <= tables(db)


def test_only_the_versions_that_are_missing_are_run(db: Path) -> None:
    prepare(db, REGISTRY, {"pipeline": ("CREATE TABLE posts (id);",)})
    prepare(db, REGISTRY, {"pipeline": ("CREATE TABLE posts (id);", "ALTER TABLE posts ADD COLUMN at;")})

    with closing(sqlite3.connect(db)) as conn:
        assert [name for _, name, *_ in conn.execute("PRAGMA table_info(posts)")] == ["id", "at"]


def test_a_migration_that_fails_leaves_the_file_as_it_was(db: Path) -> None:
    prepare(db, REGISTRY)
    before = tables(db)

    with pytest.raises(DatabaseUnusable, match="can't be prepared: no such table: nowhere"):
        prepare(db, REGISTRY, {"pipeline": ("CREATE TABLE posts (id);", "DROP TABLE nowhere;")})

    assert tables(db) == before
    prepare(db, REGISTRY, {"pipeline": ("CREATE TABLE posts (id);",)})


WITH_A_TRIGGER = """
CREATE TABLE posts (
  id
);
CREATE TABLE prices (id);
CREATE TRIGGER t AFTER INSERT ON posts BEGIN
  DELETE FROM prices;
  SELECT 1;
END;
"""


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE posts (id);\n-- and\nCREATE TABLE prices (id)",
        "CREATE TABLE posts (id);\nCREATE TABLE prices (id);\n\n-- the end",
        "CREATE TABLE posts (id);\nCREATE TABLE prices (id); -- it ends here\n",
        WITH_A_TRIGGER,
    ],
)
def test_a_script_is_run_to_its_last_statement(db: Path, script: str) -> None:
    prepare(db, REGISTRY, {"pipeline": (script,)})

    assert {"posts", "prices"} <= tables(db)


def test_a_file_of_a_newer_version_is_refused_and_not_touched(db: Path) -> None:
    prepare(db, REGISTRY, {"pipeline": ("CREATE TABLE posts (id);", "CREATE TABLE prices (id);")})

    with pytest.raises(DatabaseUnusable, match=r"newer version \(pipeline tables 2, this one knows 1\)"):
        prepare(db, REGISTRY, {"pipeline": ("CREATE TABLE posts (id);",)})


def test_a_file_of_a_newer_engine_is_refused(db: Path) -> None:
    prepare(db, REGISTRY)
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("UPDATE schema_versions SET version = 99 WHERE part = 'engine'")

    with pytest.raises(DatabaseUnusable, match="update phaseline"):
        prepare(db, REGISTRY)


def test_a_prepared_file_is_only_read(db: Path) -> None:
    schema = {"pipeline": ("CREATE TABLE posts (id);",)}
    prepare(db, REGISTRY, schema)
    with closing(sqlite3.connect(db, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")

        prepare(db, REGISTRY, schema)
        with closing(RunReader(db)) as reader:
            assert reader.runs() == []


def test_each_registry_is_taught_once(db: Path) -> None:
    other = Registry.of([(1, "Alone", print)])
    for registry in (REGISTRY, other, REGISTRY):
        prepare(db, registry)

    with closing(sqlite3.connect(db)) as conn:
        found = dict(conn.execute("SELECT registry, count(*) FROM registry_edges GROUP BY registry"))
    assert found == {each.fingerprint: len(each.edges) for each in (REGISTRY, other)}


def _prepare(db: Path) -> None:
    prepare(db, REGISTRY, {"pipeline": ("CREATE TABLE posts (id);",)})


@pytest.mark.slow
def test_processes_that_make_the_file_at_the_same_moment_make_it_once(db: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        pool.map(_prepare, [db] * 8)

    _prepare(db)
    assert "posts" in tables(db)


def test_a_process_that_is_older_than_the_one_before_it_at_the_lock_changes_nothing(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(db, REGISTRY)
    newer = {"pipeline": ("CREATE TABLE posts (id);", "CREATE TABLE prices (id);")}

    def after_a_newer_one(conn: sqlite3.Connection) -> object:
        monkeypatch.setattr("statemachine.store.transaction", transaction)
        prepare(db, REGISTRY, newer)
        return transaction(conn)

    monkeypatch.setattr("statemachine.store.transaction", after_a_newer_one)
    with pytest.raises(DatabaseUnusable, match="newer version"):
        prepare(db, REGISTRY, {"pipeline": ("CREATE TABLE posts (id);",)})

    prepare(db, REGISTRY, newer)


def test_a_process_that_comes_second_to_the_lock_finds_the_work_done(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {"pipeline": ("CREATE TABLE posts (id);",)}
    original = transaction

    def after_another(conn: sqlite3.Connection) -> object:
        monkeypatch.setattr("statemachine.store.transaction", original)
        prepare(db, REGISTRY, parts)
        return original(conn)

    monkeypatch.setattr("statemachine.store.transaction", after_another)
    prepare(db, REGISTRY, parts)
    assert "posts" in tables(db)

    other = Registry.of([(1, "Alone", print)])

    def taught_by_another(conn: sqlite3.Connection) -> object:
        monkeypatch.setattr("statemachine.store.transaction", original)
        prepare(db, other, parts)
        return original(conn)

    monkeypatch.setattr("statemachine.store.transaction", taught_by_another)
    prepare(db, other, parts)


# --- rows ---

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_json_survives_the_way_to_text_and_back(value: dict[str, object]) -> None:
    assert json.loads(dumps(value)) == value


@pytest.mark.parametrize(
    "wrong",
    [float("nan"), float("inf"), object(), {1, 2}, b"bytes"],
    ids=["nan", "infinity", "object", "set", "bytes"],
)
def test_what_json_can_not_say_is_refused(wrong: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        dumps({"a": wrong})


def test_a_row_is_read_as_it_was_written(store: RunStore) -> None:
    run = created(store)

    assert store.read(run.id) == run
    assert run.params == {"a": [1, "é"]}


@pytest.mark.parametrize("run_id", [0, -1, 2, 2**63, -(2**63), 10**30])
def test_a_run_that_does_not_exist_is_not_found(store: RunStore, run_id: int) -> None:
    created(store)

    with pytest.raises(RunNotFound) as caught:
        store.read(run_id)
    assert caught.value.run_id == run_id


def test_runs_are_listed_newest_first_by_status_and_in_pages(store: RunStore) -> None:
    for _ in range(5):
        created(store)

    assert [run.id for run in store.runs()] == [5, 4, 3, 2, 1]
    assert [run.id for run in store.runs(limit=2)] == [5, 4]
    assert [run.id for run in store.runs(before=4, limit=2)] == [3, 2]
    assert [run.id for run in store.runs(status="running", before=3)] == [2, 1]
    assert store.runs(status="failed") == []
    assert [run.id for run in store.active()] == [1, 2, 3, 4, 5]


def test_a_history_is_read_in_pages(store: RunStore) -> None:
    run = created(store)
    for number in range(3):
        store.record_refusal(run, state="one", trigger="resume", why=str(number), at=AT)

    first = store.events(run.id, limit=2)
    rest = store.events(run.id, after=first[-1].seq)

    assert [event.seq for event in first + rest] == [1, 2, 3, 4]
    assert [event.detail for event in rest] == [{"refused": "1"}, {"refused": "2"}]


@pytest.mark.parametrize(
    "moved",
    [
        "owner = 'e'",
        "owner = NULL",
        "version = version + 1",
        "state = 'two', current_phase = 2, progress_current = 2",
    ],
)
@pytest.mark.parametrize("even_if_cancelled", [True, False])
def test_a_row_that_somebody_has_moved_is_not_written_over(
    store: RunStore, moved: str, even_if_cancelled: bool
) -> None:
    run = created(store)
    store._execute(f"UPDATE analysis_runs SET {moved}, cancel_requested = 1")
    now = store.read(run.id)

    with pytest.raises(RunMovedOn, match="nothing was written"):
        store.save(
            run, dataclasses.replace(run, active_s=9.0, version=2), even_if_cancelled=even_if_cancelled
        )

    assert store.read(run.id) == now


def test_a_waiting_cancel_stops_an_advance_and_nothing_else(store: RunStore) -> None:
    run = created(store)
    assert store.request_cancel(run)
    saved = dataclasses.replace(run, active_s=9.0, version=2)

    with pytest.raises(CancelWaiting):
        store.save(run, saved, even_if_cancelled=False)
    store.save(run, saved, even_if_cancelled=True)

    assert store.read(run.id) == saved


def test_a_run_that_is_let_go_keeps_a_cancel_that_came_since_it_was_read(store: RunStore) -> None:
    run = created(store)
    assert store.request_cancel(run)

    store.let_go(run, at=AT, active_s=1.0, cancelling=False)

    now = store.read(run.id)
    assert (now.owner, now.active_s, now.cancel_requested) == (None, 1.0, True)


def test_a_run_that_is_taken_over_heeds_a_cancel_that_came_since_it_was_read(store: RunStore) -> None:
    run = created(store)
    assert store.request_cancel(run)

    taken = take_over(REGISTRY, store, run, owner="e", recovery=Recovery(), at=AT)

    assert (taken.state, taken.error_code) == ("failed", "cancelled")


def test_a_cancel_of_an_ended_run_changes_nothing(db: Path, store: RunStore) -> None:
    run = created(store)
    ended = dataclasses.replace(
        run, state="failed", status="failed", owner=None, error_code="error", error_message="x", version=2
    )
    store.save(run, ended, even_if_cancelled=True)
    store.record(ended, trigger="fail", source="one")

    assert not store.request_cancel(ended)
    assert store.read(run.id) == ended


def test_a_key_remembers_its_request_and_run(store: RunStore) -> None:
    run = created(store)
    assert store.keyed_run("key") is None

    store.remember_key("key", "hash", run.id)

    assert store.keyed_run("key") == ("hash", run.id)
    with pytest.raises(sqlite3.IntegrityError):
        store.remember_key("key", "other", run.id)


def test_an_event_that_the_table_does_not_know_is_not_recorded(store: RunStore) -> None:
    run = created(store)

    with pytest.raises(sqlite3.IntegrityError, match="no edge of the table"):
        store.record(run, trigger=ADVANCE, source="two")
