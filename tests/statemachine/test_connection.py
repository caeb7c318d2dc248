"""The connection that a phase is given: what it may do, what is refused, and how it is taken away."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.connection import (
    connect,
    connect_read_only,
    engine_of,
    naming_damage,
    transaction,
)
from statemachine.contract import RunAbandoned
from statemachine.errors import DatabaseUnusable, ForbiddenStatement, StoreBusy, TransactionLost
from statemachine.guard import ENGINE_TABLES, PhaseConnection
from statemachine.registry import Registry
from statemachine.sql import is_write
from statemachine.store import prepare

REGISTRY = Registry.of([(1, "Work", print)])
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"


@pytest.fixture
def conn(db: Path) -> Iterator[PhaseConnection]:
    """A phase's connection to a database with the engine's tables and one of its own."""
    own = "CREATE TABLE own (x INTEGER PRIMARY KEY); CREATE TABLE child (x REFERENCES own (x));"
    prepare(db, REGISTRY, {"test": (own.replace("; ", ";\n"),)})
    made = connect(db, PhaseConnection)
    yield made
    made.close_for_good()


@pytest.fixture
def other(db: Path, conn: PhaseConnection) -> Iterator[sqlite3.Connection]:
    """Somebody else's connection to the same database; it waits for nobody."""
    with closing(sqlite3.connect(db, timeout=0, isolation_level=None)) as made:
        yield made


def rows(conn: sqlite3.Connection) -> list[int]:
    return [x for (x,) in conn.execute("SELECT x FROM own ORDER BY x").fetchall()]


def as_engine(conn: PhaseConnection, how: str) -> None:
    """End the transaction as the driver does."""
    with conn.engine():
        conn.end(how)


def is_locked(other: sqlite3.Connection) -> bool:
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    other.execute("ROLLBACK")
    return False


# --- opening ---


@pytest.mark.parametrize("factory", [sqlite3.Connection, PhaseConnection])
def test_every_writing_connection_has_wal_foreign_keys_and_full_durability(
    db: Path, factory: type[sqlite3.Connection]
) -> None:
    conn = connect(db, factory)

    with engine_of(conn):
        found = [
            conn.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "foreign_keys", "synchronous")
        ]
    conn.close_for_good() if isinstance(conn, PhaseConnection) else conn.close()
    assert found == ["wal", 1, 2]


def test_the_file_and_its_folder_are_the_owners_alone(folder: Path) -> None:
    db = folder / "new" / "runs.db"

    connect(db, sqlite3.Connection).close()

    assert stat.S_IMODE(db.stat().st_mode) == 0o600
    assert stat.S_IMODE(db.parent.stat().st_mode) == 0o700


def test_only_a_connection_that_is_told_to_moves_the_log(db: Path) -> None:
    for checkpoints, pages in ((True, 1000), (False, 0)):
        with closing(connect(db, sqlite3.Connection, checkpoints=checkpoints)) as conn:
            assert conn.execute("PRAGMA wal_autocheckpoint").fetchone() == (pages,)


@pytest.mark.parametrize("opening", [lambda db: connect(db, PhaseConnection), connect_read_only])
def test_a_file_that_is_no_database_is_refused_with_what_to_do(
    folder: Path, opening: Callable[[Path], sqlite3.Connection]
) -> None:
    file = folder / "letter.txt"
    file.write_bytes(b"Dear reader, this is no database. " * 100)

    with pytest.raises(DatabaseUnusable, match=r"letter\.txt can't be used: it is not a SQLite database"):
        opening(file)


@pytest.mark.parametrize("name", ["a b", "a?mode=rwc", "a#b", "%41", "\N{SNOWMAN}", os.fsdecode(b"\xff")])
def test_a_file_of_any_name_can_be_read(folder: Path, name: str) -> None:
    with closing(connect(folder / name / "runs", sqlite3.Connection)) as conn:
        conn.execute("PRAGMA user_version = 7")

    with closing(connect_read_only(folder / name / "runs")) as reader:
        assert reader.execute("PRAGMA user_version").fetchone() == (7,)


def test_a_folder_in_place_of_the_file_is_refused(folder: Path) -> None:
    with pytest.raises(DatabaseUnusable, match="can't open the database"):
        connect(folder, sqlite3.Connection)


def test_a_place_that_can_not_be_written_is_refused(folder: Path) -> None:
    (folder / "file").touch()

    with pytest.raises(DatabaseUnusable, match="choose another place with PHASELINE_DB"):
        connect(folder / "file" / "runs.db", sqlite3.Connection)


def test_a_database_that_does_not_exist_is_not_made_for_reading(folder: Path) -> None:
    with pytest.raises(DatabaseUnusable, match="it can't be opened; check that it exists"):
        connect_read_only(folder / "nowhere.db")

    assert list(folder.iterdir()) == []


def test_a_database_that_refuses_write_ahead_logging_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class InMemory(sqlite3.Connection):
        def __init__(self, _path: Path, **settings: Any) -> None:
            super().__init__(":memory:", **settings)

    with pytest.raises(DatabaseUnusable, match=r"did not take .*'wal'.*is it on a network drive"):
        connect(Path("/dev/null"), InMemory)


class Contended(sqlite3.Connection):
    """A new file that other processes switch to WAL at the same moment."""

    reason = "SQLITE_BUSY"
    refusals = 0
    said: list[str] = []  # noqa: RUF012  # set by each test

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        Contended.said.append(sql)
        if "journal_mode = wal" in sql and Contended.refusals:
            Contended.refusals -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorname = self.reason
            raise error
        return super().execute(sql, *parameters)


@pytest.mark.parametrize("refusals", [1, 3, 1000])
def test_who_makes_the_file_beside_others_waits_for_them_and_tries_again_but_not_for_ever(
    db: Path, refusals: int
) -> None:
    Contended.refusals, Contended.said = refusals, []

    if refusals < 1000:
        connect(db, Contended).close()
    else:
        with pytest.raises(DatabaseUnusable, match="another process holds it; try again"):
            connect(db, Contended)

    waits = Contended.said.count("BEGIN IMMEDIATE")
    assert waits == Contended.said.count("ROLLBACK") == min(refusals, waits)
    assert waits < 100


def test_a_file_that_can_not_be_written_is_refused_without_another_try(db: Path) -> None:
    Contended.refusals, Contended.said = 1, []

    class ReadOnly(Contended):
        reason = "SQLITE_READONLY"

    with pytest.raises(DatabaseUnusable, match="it can't be written; check its permissions"):
        connect(db, ReadOnly)

    assert "BEGIN IMMEDIATE" not in Contended.said


@pytest.mark.parametrize("name", ["SQLITE_CORRUPT", "SQLITE_CORRUPT_INDEX", "SQLITE_NOTADB"])
def test_damage_that_is_found_in_mid_work_is_named(db: Path, name: str) -> None:
    error = sqlite3.DatabaseError("malformed")
    error.sqlite_errorname = name

    with pytest.raises(DatabaseUnusable, match=r"runs\.db can't be used"), naming_damage(db):
        raise error


def test_text_that_is_no_text_is_damage_too(db: Path) -> None:
    with pytest.raises(DatabaseUnusable, match="it is damaged; restore it"), naming_damage(db):
        b"\xff".decode()


def test_an_error_that_is_no_damage_is_named_as_it_is(db: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"), naming_damage(db):
        raise sqlite3.OperationalError("disk I/O error")


def test_a_reading_connection_can_not_write(conn: PhaseConnection, db: Path) -> None:
    with closing(connect_read_only(db)) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("INSERT INTO own VALUES (1)")


# --- the engine's transactions ---


def test_an_engine_transaction_commits_at_its_end_and_rolls_back_on_any_exception(db: Path) -> None:
    with closing(connect(db, sqlite3.Connection)) as conn:
        with transaction(conn):
            conn.execute("CREATE TABLE own (x)")
            conn.execute("INSERT INTO own VALUES (1)")
        with suppress(KeyboardInterrupt), transaction(conn):
            conn.execute("INSERT INTO own VALUES (2)")
            raise KeyboardInterrupt

        assert (rows(conn), conn.in_transaction) == ([1], False)


def test_an_engine_transaction_that_sqlite_ended_by_itself_shows_the_real_error(db: Path) -> None:
    with closing(connect(db, sqlite3.Connection)) as conn:
        with transaction(conn):
            conn.execute("CREATE TABLE own (x UNIQUE)")
        with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"), transaction(conn):
            conn.execute("INSERT OR ROLLBACK INTO own VALUES (1), (1)")

        assert not conn.in_transaction


def test_a_transaction_that_gets_no_lock_says_busy(db: Path) -> None:
    with (
        closing(connect(db, sqlite3.Connection)) as holder,
        closing(connect(db, sqlite3.Connection, busy_timeout_s=0)) as waiting,
    ):
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="try again in a moment"), transaction(waiting):
            pytest.fail("never entered")


def test_a_transaction_on_a_damaged_connection_shows_the_real_error(db: Path) -> None:
    with closing(connect(db, sqlite3.Connection)) as conn:
        conn.execute("BEGIN")
        with pytest.raises(sqlite3.OperationalError, match="within a transaction"), transaction(conn):
            pytest.fail("never entered")


# --- the lazy transaction of a phase ---

WAYS: dict[str, Callable[[PhaseConnection, str], object]] = {
    "conn.execute": lambda conn, sql: conn.execute(sql),
    "cursor.execute": lambda conn, sql: conn.cursor().execute(sql),
    "conn.executemany": lambda conn, sql: conn.executemany(sql, [()]),
    "cursor.executemany": lambda conn, sql: conn.cursor().executemany(sql, [()]),
}
FIRST_WRITES = [
    "INSERT INTO own VALUES (1)",
    "with x as (select 1) insert into own select * from x",
    "CREATE TABLE fresh (x)",
    "REPLACE INTO own VALUES (1)",
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sql", FIRST_WRITES)
def test_the_first_write_opens_the_transaction_and_nobody_sees_it_before_the_driver_commits(
    conn: PhaseConnection, other: sqlite3.Connection, way: str, sql: str
) -> None:
    before = other.execute(
        "SELECT (SELECT count(*) FROM own) + (SELECT count(*) FROM sqlite_master)"
    ).fetchone()
    WAYS[way](conn, sql)

    assert conn.in_transaction
    assert is_locked(other)
    after = other.execute(
        "SELECT (SELECT count(*) FROM own) + (SELECT count(*) FROM sqlite_master)"
    ).fetchone()
    assert after == before


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM own", "PRAGMA foreign_keys", "VALUES (1)", "EXPLAIN SELECT 1"]
)
def test_reading_opens_nothing(conn: PhaseConnection, other: sqlite3.Connection, sql: str) -> None:
    conn.execute(sql).fetchall()
    conn.cursor().execute(sql).fetchall()

    assert not conn.in_transaction
    assert not is_locked(other)


def test_a_savepoint_opens_the_transaction_first_so_that_its_release_commits_nothing(
    conn: PhaseConnection, other: sqlite3.Connection
) -> None:
    conn.execute("SAVEPOINT one")
    conn.execute("INSERT INTO own VALUES (1)")
    conn.execute("RELEASE one")

    assert conn.in_transaction
    assert rows(other) == []


def test_a_phase_may_undo_a_part_of_its_own_with_a_savepoint(conn: PhaseConnection) -> None:
    conn.execute("INSERT INTO own VALUES (1)")
    conn.execute("SAVEPOINT one")
    conn.execute("INSERT INTO own VALUES (2)")
    conn.execute("ROLLBACK TO one")
    as_engine(conn, "COMMIT")

    assert rows(conn) == [1]


def test_what_makes_the_rows_of_executemany_runs_before_the_transaction_opens(
    conn: PhaseConnection, other: sqlite3.Connection
) -> None:
    def slowly() -> Iterator[tuple[int]]:
        for x in range(3):
            assert not conn.in_transaction
            assert not is_locked(other)
            yield (x,)

    conn.executemany("INSERT INTO own VALUES (?)", slowly())

    assert rows(conn) == [0, 1, 2]


def test_a_commit_by_somebody_during_an_open_select_is_explained(
    conn: PhaseConnection, other: sqlite3.Connection
) -> None:
    other.execute("INSERT INTO own VALUES (1), (2)")
    reading = conn.execute("SELECT x FROM own")
    reading.fetchone()
    other.execute("INSERT INTO own VALUES (3)")

    with pytest.raises(sqlite3.OperationalError) as caught:
        conn.execute("INSERT INTO own VALUES (4)")

    assert caught.value.__notes__ == ["A SELECT is still open: fetch all its rows before the first write."]


def test_a_phase_that_finds_the_database_locked_gets_the_error_as_it_is(
    db: Path, conn: PhaseConnection, other: sqlite3.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    with closing_for_good(connect(db, PhaseConnection, busy_timeout_s=0)) as impatient:
        with pytest.raises(sqlite3.OperationalError, match="database is locked") as caught:
            impatient.execute("INSERT INTO own VALUES (4)")

        assert not hasattr(caught.value, "__notes__")


class closing_for_good:  # noqa: N801  # reads like contextlib.closing
    def __init__(self, conn: PhaseConnection) -> None:
        self._conn = conn

    def __enter__(self) -> PhaseConnection:
        return self._conn

    def __exit__(self, *_: object) -> None:
        self._conn.close_for_good()


# --- what is refused ---

TRANSACTIONS = [
    *(
        "COMMIT",
        "commit;",
        "END",
        "END TRANSACTION",
        "ROLLBACK",
        "BEGIN",
        "BEGIN IMMEDIATE",
        "BEGIN EXCLUSIVE",
    ),
    *("/* please */ COMMIT", "-- now\nROLLBACK"),
]
OTHERS = [
    *("ATTACH ':memory:' AS elsewhere", "DETACH main"),
    *(
        "PRAGMA foreign_keys = OFF",
        "PRAGMA foreign_keys(0)",
        "PRAGMA main.user_version = 7",
        "pragma query_only=1",
    ),
    *("PRAGMA journal_mode = DELETE", "PRAGMA synchronous = OFF", "PRAGMA wal_checkpoint", "PRAGMA optimize"),
    *("PRAGMA writable_schema = 1", "PRAGMA busy_timeout(0)", "PRAGMA defer_foreign_keys = 1"),
    "SELECT load_extension('./evil')",
]
MEDDLING = [
    sql.format(table)
    for table in sorted(ENGINE_TABLES)
    for sql in (
        "INSERT INTO {} DEFAULT VALUES",
        "DELETE FROM {}",
        "DROP TABLE {}",
        "DROP TABLE IF EXISTS main.{}",
        "CREATE TEMP TABLE {} (x)",
        "ALTER TABLE {} ADD COLUMN x",
        "ALTER TABLE {} RENAME TO mine",
        "CREATE INDEX mine ON {} (1)",
        "CREATE TRIGGER mine AFTER INSERT ON {} BEGIN SELECT 1; END",
        "CREATE TEMP TRIGGER mine AFTER INSERT ON main.{} BEGIN SELECT 1; END",
    )
] + [
    *("UPDATE analysis_runs SET status = 'completed'", 'update "main"."Analysis_Runs" set status = 1'),
    *("WITH x AS (SELECT 1) UPDATE [analysis_runs] SET status = 1", "UPDATE `run_events` SET at = 1"),
    *(
        "DROP TRIGGER runs_are_kept_1",
        "DROP INDEX active_runs",
        "INSERT OR REPLACE INTO run_events DEFAULT VALUES",
    ),
]


@pytest.mark.parametrize("way", ["conn.execute", "cursor.execute"])
@pytest.mark.parametrize("sql", TRANSACTIONS + OTHERS + MEDDLING)
def test_a_forbidden_statement_is_refused_in_words_and_changes_nothing(
    conn: PhaseConnection, other: sqlite3.Connection, way: str, sql: str
) -> None:
    conn.execute("INSERT INTO own VALUES (1)")
    schema = other.execute("SELECT type, name, sql FROM sqlite_master").fetchall()

    with pytest.raises(ForbiddenStatement, match=r"driver's|not for phases|only read PRAGMAs|the engine's"):
        WAYS[way](conn, sql)

    assert conn.in_transaction
    conn.execute("INSERT INTO own VALUES (2)")
    as_engine(conn, "COMMIT")
    assert rows(other) == [1, 2]
    assert other.execute("SELECT type, name, sql FROM sqlite_master").fetchall() == schema


@pytest.mark.parametrize("sql", TRANSACTIONS)
def test_ending_a_transaction_is_refused_as_well_where_none_is_open(conn: PhaseConnection, sql: str) -> None:
    with pytest.raises(ForbiddenStatement):
        conn.execute(sql)


@pytest.mark.parametrize("way", ["conn.executemany", "cursor.executemany"])
def test_a_forbidden_statement_is_refused_for_many_rows_too(conn: PhaseConnection, way: str) -> None:
    with pytest.raises(ForbiddenStatement):
        WAYS[way](conn, "DELETE FROM run_events")


def test_a_trigger_of_the_phase_can_not_write_to_the_engines_tables(conn: PhaseConnection) -> None:
    conn.execute("CREATE TRIGGER sneaky AFTER INSERT ON own BEGIN DELETE FROM run_events; END")

    with pytest.raises(ForbiddenStatement, match="run_events is the engine's"):
        conn.execute("INSERT INTO own VALUES (1)")


METHODS: dict[str, Callable[[PhaseConnection], object]] = {
    "commit": lambda conn: conn.commit(),
    "rollback": lambda conn: conn.rollback(),
    "with conn": lambda conn: conn.__enter__(),
    "close": lambda conn: conn.close(),
    "executescript": lambda conn: conn.executescript("COMMIT; DROP TABLE own"),
    "cursor.executescript": lambda conn: conn.cursor().executescript("COMMIT; DROP TABLE own"),
    "set_authorizer": lambda conn: conn.set_authorizer(None),
    "blobopen": lambda conn: conn.blobopen("own", "x", 1),
    "a cursor of another class": lambda conn: conn.cursor(sqlite3.Cursor),
}


@pytest.mark.parametrize("method", METHODS)
def test_a_forbidden_method_is_refused_and_the_transaction_stays_open(
    conn: PhaseConnection, other: sqlite3.Connection, method: str
) -> None:
    conn.execute("INSERT INTO own VALUES (1)")

    with pytest.raises(ForbiddenStatement):
        METHODS[method](conn)

    assert conn.in_transaction
    assert (rows(conn), rows(other)) == ([1], [])


def test_setting_the_isolation_level_commits_nothing_and_spoils_no_later_message(
    conn: PhaseConnection, other: sqlite3.Connection
) -> None:
    conn.execute("INSERT INTO own VALUES (1)")
    with suppress(sqlite3.Error):
        conn.isolation_level = None  # Python commits here, where nobody stops it

    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        conn.execute("INSERT INTO own VALUES (1)")
    assert conn.in_transaction
    assert rows(other) == []


@pytest.mark.parametrize("how", ["COMMIT", "ROLLBACK", "BEGIN IMMEDIATE"])
def test_a_statement_that_the_engine_has_executed_does_not_pass_for_the_phase(
    conn: PhaseConnection, how: str
) -> None:
    """Python caches prepared statements, and SQLite asks only when it prepares one."""
    for _ in range(2):
        conn.execute("INSERT INTO own VALUES (NULL)")
        with conn.engine():
            conn.end("COMMIT")
            conn.begin()
            conn.end("ROLLBACK")

    with pytest.raises(ForbiddenStatement):
        conn.execute(how)


@pytest.mark.parametrize(
    "sql",
    [
        *("PRAGMA foreign_keys", "PRAGMA journal_mode", "PRAGMA table_info(own)", "PRAGMA integrity_check"),
        *(
            "PRAGMA foreign_key_list('child')",
            "SELECT * FROM pragma_table_info('own')",
            "SELECT value FROM json_each('[1]')",
            "PRAGMA integrity_check(3)",
        ),
        *("SELECT * FROM analysis_runs", "SELECT count(*) FROM run_events", "EXPLAIN QUERY PLAN SELECT 1"),
    ],
)
def test_a_phase_may_look_at_everything(conn: PhaseConnection, sql: str) -> None:
    conn.execute(sql).fetchall()


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE mine (x)",
        "CREATE TEMP TABLE t (x)",
        "CREATE INDEX i ON own (x)",
        "DROP TABLE child",
        "ANALYZE own",
    ],
)
def test_a_phase_may_change_its_own_schema(conn: PhaseConnection, sql: str) -> None:
    conn.execute(sql)
    as_engine(conn, "COMMIT")


def test_an_ordinary_error_stays_an_ordinary_error(conn: PhaseConnection) -> None:
    with pytest.raises(ForbiddenStatement):
        conn.execute("COMMIT")

    with pytest.raises(sqlite3.OperationalError, match="no such table: nowhere"):
        conn.execute("SELECT * FROM nowhere")


# --- telling writes from reads ---

SPACE = st.lists(
    st.sampled_from([" ", "\n", "\t", "/* INSERT */", "-- SELECT\n"]), min_size=1, max_size=3
).map("".join)
NAMES = st.one_of(
    st.sampled_from(['"select"', "[insert]", "`values`", "replace", "a$select", "éselect", "x_1", '"a""b"']),
    st.from_regex(r"[a-z_é][a-z0-9_$é]{0,6}", fullmatch=True).map(lambda name: f"t{name}"),
)
CASES = st.sampled_from([str.upper, str.lower, str.title])
READING = ("SELECT * FROM {cte}", "SELECT 'INSERT INTO x' FROM {cte}", "VALUES (1), ((SELECT 2))")
WRITING = (
    "INSERT INTO own SELECT * FROM {cte}",
    "REPLACE INTO own SELECT 1",
    "UPDATE own SET x = (SELECT max(y) FROM {cte})",
    "DELETE FROM own WHERE x IN (SELECT y FROM {cte})",
    "INSERT INTO own VALUES (1) RETURNING x",
)
ALONE = (
    *(
        "SELECT 1",
        "VALUES (1)",
        "PRAGMA foreign_keys",
        "EXPLAIN QUERY PLAN DELETE FROM own",
        "EXPLAIN SELECT 1",
    ),
    *("INSERT INTO own VALUES (1)", "REPLACE INTO own VALUES (1)", "DELETE FROM own", "UPDATE own SET x = 1"),
    *(
        "CREATE TABLE fresh (x)",
        "DROP TABLE own",
        "CREATE INDEX i ON own (x)",
        "ALTER TABLE own ADD y",
        "REINDEX",
    ),
)


@st.composite
def statements(draw: st.DrawFn) -> str:
    case, lead = draw(CASES), draw(st.just("") | SPACE)
    if draw(st.booleans()):
        words = draw(st.sampled_from(ALONE)).split()
        return lead + draw(SPACE).join([case(words[0]), *words[1:]])
    names = draw(st.lists(NAMES, min_size=1, max_size=2, unique_by=str.lower))
    tables = ", ".join(f"{name} (y) AS{draw(SPACE)}(SELECT ')' || 1{draw(SPACE)})" for name in names)
    body = draw(st.sampled_from(READING + WRITING)).format(cte=names[0])
    return (
        f"{lead}{case('with')}{draw(SPACE)}{case(draw(st.sampled_from(['', 'recursive '])))}{tables} {body}"
    )


def writes_by_sqlite(sql: str) -> bool:
    """Whether SQLite's own program for a statement opens a write transaction."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        conn.execute("CREATE TABLE own (x UNIQUE)")
        if "explain" in sql.lower():
            return False
        program = conn.execute(f"EXPLAIN {sql}").fetchall()
    return any(opcode == "Transaction" and second for _, opcode, _, second, *_ in program)


@given(statements())
def test_writes_are_told_from_reads_as_sqlite_tells_them(sql: str) -> None:
    assert is_write(sql) == writes_by_sqlite(sql) or "replace (y)" in sql  # in doubt, a write


@pytest.mark.parametrize(
    "sql", ["", "   ", "-- nothing", "/* open", "VACUUM", "WITH", "nonsense", "SAVEPOINT a"]
)
def test_in_doubt_a_statement_is_a_write(sql: str) -> None:
    assert is_write(sql)


@pytest.mark.parametrize(
    "sql", ["-- DELETE\nSELECT 1", "/* DELETE */ VALUES (1)", "/**/--\n EXPLAIN SELECT 1"]
)
def test_a_comment_is_no_keyword(sql: str) -> None:
    assert not is_write(sql)


def test_a_write_that_were_taken_for_a_read_would_be_refused(
    conn: PhaseConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("statemachine.guard.is_write", lambda _sql: False)

    with pytest.raises(ForbiddenStatement, match="would commit itself"):
        conn.execute("INSERT INTO own VALUES (1)")
    assert rows(conn) == []


# --- a transaction that ends under the phase ---


def lose_the_transaction(conn: PhaseConnection) -> None:
    conn.execute("INSERT INTO own VALUES (1)")
    with pytest.raises(sqlite3.IntegrityError):
        conn.execute("INSERT OR ROLLBACK INTO own VALUES (1)")


@pytest.mark.parametrize("way", WAYS)
def test_after_a_lost_transaction_every_write_is_refused_and_reading_goes_on(
    conn: PhaseConnection, other: sqlite3.Connection, way: str
) -> None:
    lose_the_transaction(conn)

    assert conn.lost
    for _ in range(2):
        with pytest.raises(TransactionLost, match="its later rows are refused"):
            WAYS[way](conn, "INSERT INTO own VALUES (2)")
    assert rows(conn) == rows(other) == []
    assert not is_locked(other)


def test_after_a_lost_transaction_the_driver_can_not_commit_either(conn: PhaseConnection) -> None:
    lose_the_transaction(conn)

    with conn.engine(), pytest.raises(TransactionLost):
        conn.begin()


def test_once_the_driver_has_rolled_back_the_next_phase_starts_clean(conn: PhaseConnection) -> None:
    lose_the_transaction(conn)
    as_engine(conn, "ROLLBACK")

    conn.execute("INSERT INTO own VALUES (2)")
    as_engine(conn, "COMMIT")

    assert rows(conn) == [2]


# --- what a phase leaves behind ---


def test_open_cursors_and_factories_are_undone_before_the_next_phase(conn: PhaseConnection) -> None:
    conn.execute("INSERT INTO own VALUES (1), (2)")
    conn.row_factory, conn.text_factory = sqlite3.Row, bytes
    left = conn.execute("SELECT x FROM own")

    conn.reset()

    with pytest.raises(sqlite3.ProgrammingError):
        left.fetchone()
    assert conn.execute("SELECT 'text'").fetchall() == [("text",)]


def test_the_engine_reads_text_whatever_a_phase_has_set(conn: PhaseConnection) -> None:
    conn.row_factory, conn.text_factory = sqlite3.Row, bytes

    with conn.engine():
        assert conn.run("SELECT 'text'").fetchone() == ("text",)
    assert tuple(conn.execute("SELECT 'text'").fetchone()) == (b"text",)


def test_an_error_in_the_middle_of_the_rows_is_the_phases(conn: PhaseConnection) -> None:
    def picky(x: int) -> int:
        return [0, 0][x]

    conn.create_function("picky", 1, picky)
    cursor = conn.execute(f"SELECT picky(x) FROM ({ENDLESS})")

    with pytest.raises(sqlite3.OperationalError, match="user-defined function raised exception"):
        cursor.fetchall()


def test_rows_can_be_fetched_in_every_way(conn: PhaseConnection) -> None:
    conn.executemany("INSERT INTO own VALUES (?)", [(x,) for x in range(6)])
    cursor = conn.execute("SELECT x FROM own")
    cursor.arraysize = 2

    found = [[cursor.fetchone()], [next(cursor)], cursor.fetchmany(), cursor.fetchmany(1), cursor.fetchall()]

    assert found == [[(0,)], [(1,)], [(2,), (3,)], [(4,)], [(5,)]]
    assert cursor.fetchone() is None
    assert list(conn.execute("SELECT x FROM own")) == [(x,) for x in range(6)]


def test_a_closed_connection_holds_no_lock_though_a_phase_keeps_an_open_cursor(
    conn: PhaseConnection, other: sqlite3.Connection
) -> None:
    conn.execute("INSERT INTO own VALUES (1), (2)")
    kept = conn.execute("SELECT x FROM own")
    kept.fetchone()

    conn.close_for_good()

    assert not is_locked(other)
    assert rows(other) == []
    conn.close_for_good()


# --- helper threads of a phase ---


def in_a_thread(action: Callable[[], object]) -> BaseException | None:
    caught: list[BaseException] = []

    def body() -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001  # handed to the test
            caught.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    return caught[0] if caught else None


def test_a_helper_thread_writes_into_the_same_transaction(
    conn: PhaseConnection, other: sqlite3.Connection
) -> None:
    conn.execute("INSERT INTO own VALUES (1)")

    assert in_a_thread(lambda: conn.execute("INSERT INTO own VALUES (2)")) is None
    assert (rows(conn), rows(other)) == ([1, 2], [])


def test_a_helper_thread_is_a_phase_too(conn: PhaseConnection) -> None:
    assert isinstance(in_a_thread(lambda: conn.execute("COMMIT")), ForbiddenStatement)


def test_a_helper_thread_waits_while_the_engine_ends_the_transaction(conn: PhaseConnection) -> None:
    conn.execute("INSERT INTO own VALUES (1)")
    helper = threading.Thread(target=lambda: conn.execute("INSERT INTO own VALUES (2)"))
    with conn.engine():
        helper.start()
        conn.end("COMMIT")
        committed = conn.run("SELECT count(*) FROM own").fetchone()
    helper.join()

    assert committed == (1,)
    assert conn.in_transaction, "the helper's row waits for the next commit, instead of committing itself"


# --- taking the connection away ---


class Stuck:
    """A phase on a thread of its own, doing something with the connection until it is thrown out."""

    def __init__(
        self, conn: PhaseConnection, body: Callable[[PhaseConnection, threading.Event], object]
    ) -> None:
        self.ready = threading.Event()
        self.outcome: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(conn, body))
        self._thread.start()
        assert self.ready.wait(30)

    def _run(self, conn: PhaseConnection, body: Callable[[PhaseConnection, threading.Event], object]) -> None:
        try:
            body(conn, self.ready)
        except BaseException as error:  # noqa: BLE001  # handed to the test
            self.outcome = error

    def end(self) -> BaseException | None:
        self._thread.join()
        return self.outcome


def in_one_long_statement(conn: PhaseConnection, ready: threading.Event) -> None:
    conn.execute("INSERT INTO own VALUES (1)")
    conn.create_function("ready", 1, lambda x: ready.set() or x)
    conn.execute(f"SELECT max(ready(x)) FROM ({ENDLESS})")


def in_one_long_write(conn: PhaseConnection, ready: threading.Event) -> None:
    conn.create_function("ready", 1, lambda x: ready.set() or x)
    conn.execute(f"INSERT INTO own SELECT ready(x) FROM ({ENDLESS})")


def in_a_loop_over_rows(conn: PhaseConnection, ready: threading.Event) -> None:
    conn.execute("INSERT INTO own VALUES (1)")
    for _ in conn.execute(ENDLESS):
        ready.set()


def in_a_loop_of_statements(conn: PhaseConnection, ready: threading.Event) -> None:
    while True:
        with suppress(sqlite3.Error):
            conn.execute("INSERT INTO own VALUES (NULL)")
        ready.set()


def in_one_long_fetch(conn: PhaseConnection, ready: threading.Event) -> None:
    conn.execute("INSERT INTO own VALUES (1)")
    cursor = conn.execute("SELECT x, zeroblob(100) FROM own JOIN (SELECT 1) LIMIT 1")
    conn.create_function("ready", 1, lambda x: ready.set() or x)
    cursor = conn.execute(f"SELECT ready(x) FROM ({ENDLESS}) WHERE x % 1000 = 0")
    cursor.fetchall()


@pytest.mark.parametrize(
    "body",
    [
        in_one_long_statement,
        in_one_long_write,
        in_a_loop_over_rows,
        in_a_loop_of_statements,
        in_one_long_fetch,
    ],
)
def test_a_revoked_phase_is_thrown_out_of_whatever_it_does_and_its_rows_are_gone(
    conn: PhaseConnection,
    other: sqlite3.Connection,
    body: Callable[[PhaseConnection, threading.Event], object],
) -> None:
    phase = Stuck(conn, body)

    conn.revoke()

    assert not is_locked(other)
    assert isinstance(phase.end(), RunAbandoned)
    assert rows(other) == []


def test_an_interrupt_that_came_too_early_is_repeated(
    conn: PhaseConnection, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite forgets one that comes just before a statement begins."""
    interrupts: list[None] = []
    interrupt = conn.interrupt

    def lost_at_first() -> None:
        interrupts.append(None)
        if len(interrupts) > 1:
            interrupt()

    phase = Stuck(conn, in_one_long_write)
    monkeypatch.setattr(conn, "interrupt", lost_at_first)
    conn.revoke()

    assert not is_locked(other)
    assert isinstance(phase.end(), RunAbandoned)


def test_a_revoked_phase_that_comes_back_can_neither_read_nor_write(
    conn: PhaseConnection, other: sqlite3.Connection
) -> None:
    conn.execute("INSERT INTO own VALUES (1)")
    open_cursor = conn.execute("SELECT x FROM own")

    conn.revoke()

    for use in (
        lambda: conn.execute("INSERT INTO own VALUES (2)"),
        lambda: conn.execute("SELECT 1"),
        open_cursor.fetchone,
        lambda: next(open_cursor),
        conn.begin,
    ):
        with pytest.raises(RunAbandoned, match="can't use the database any more"):
            use()
    assert rows(other) == []
    assert not is_locked(other)


def test_a_revoked_phase_inside_a_function_of_its_own_is_rolled_back_when_that_ends(
    conn: PhaseConnection, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite can't be interrupted while it waits for Python."""
    monkeypatch.setattr("statemachine.guard._INTERRUPTS", 2)
    go = threading.Event()

    def in_a_function(conn: PhaseConnection, ready: threading.Event) -> None:
        conn.create_function("stuck", 0, lambda: ready.set() or (go.wait(30) and 7))
        conn.execute("INSERT INTO own VALUES (1)")
        conn.execute("INSERT INTO own SELECT stuck()")

    phase = Stuck(conn, in_a_function)
    conn.revoke()
    assert is_locked(other)

    go.set()

    assert isinstance(phase.end(), RunAbandoned)
    assert not is_locked(other)
    assert rows(other) == []


def test_a_phase_that_waits_for_a_lock_while_it_is_revoked_does_not_begin(
    conn: PhaseConnection, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("statemachine.guard._INTERRUPTS", 2)
    other.execute("BEGIN IMMEDIATE")
    entered = threading.Event()
    began = conn.begin
    monkeypatch.setattr(conn, "begin", lambda: entered.set() or began())
    phase = Stuck(conn, lambda conn, ready: (ready.set(), conn.execute("INSERT INTO own VALUES (1)")))
    assert entered.wait(30)

    conn.revoke()
    other.execute("ROLLBACK")

    assert isinstance(phase.end(), RunAbandoned)
    assert not is_locked(other)


def test_revoking_a_connection_that_was_just_closed_is_fine(db: Path) -> None:
    conn = connect(db, PhaseConnection)
    conn.close_for_good()

    conn.revoke()

    assert conn.revoked


RACE = """
import sqlite3, sys, threading
from pathlib import Path
from statemachine.connection import connect
from statemachine.guard import PhaseConnection

for _ in range(300):
    conn = connect(Path(sys.argv[1]), PhaseConnection)
    conn.execute("CREATE TEMP TABLE mine (a, b, c, d)")
    conn.executemany("INSERT INTO mine VALUES (1, 'a', 'b', ?)", [(x,) for x in range(50)])
    reading = threading.Event()

    def phase():
        try:
            while True:
                conn.execute("SELECT * FROM mine").fetchall()
                reading.set()
        except BaseException:
            pass

    thread = threading.Thread(target=phase)
    thread.start()
    reading.wait()
    conn.revoke()
    thread.join()
    conn.close_for_good()
"""


@pytest.mark.slow
def test_revoking_a_phase_that_reads_never_freezes_the_process(folder: Path) -> None:
    """SQLite's mutex and the interpreter lock, taken in opposite order by two threads, stop everything.

    In a process of its own: a frozen one can't even time out.
    """
    done = subprocess.run([sys.executable, "-c", RACE, folder / "race.db"], timeout=60, check=False)

    assert done.returncode == 0
