"""What the engine says when it refuses, word for word: a person reads it, and has to know what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from statemachine.clock import SystemClock
from statemachine.connection import connect, connect_read_only, transaction
from statemachine.contract import RunAbandoned, RunCancelled, RunStopping
from statemachine.errors import DatabaseUnusable, ForbiddenStatement, RegistryError, StoreBusy
from statemachine.registry import Registry
from tests.statemachine.conftest import Gate, MakeRunner, check_point, drive, history, writes


def said_by(make_runner: MakeRunner, phase: Callable[[sqlite3.Connection, Any], object]) -> str | None:
    """Return what a run's row says of the phase that raised."""
    runner = make_runner(phase)
    runner.create({})
    return drive(runner).error_message


# --- a phase ---


@pytest.mark.parametrize(
    ("meddles", "sentence"),
    [
        (
            lambda conn: conn.executescript(""),
            "executescript commits first; use execute() for each statement",
        ),
        (
            lambda conn: conn.cursor().executescript(""),
            "executescript commits first; use execute() for each statement",
        ),
        (lambda conn: conn.commit(), "commit() is the driver's: return, or call ctx.checkpoint()"),
        (
            lambda conn: conn.rollback(),
            "rollback() is the driver's: raise an exception and it rolls back",
        ),
        (lambda conn: conn.__enter__(), "`with conn:` would commit; the driver does, at the boundary"),
        (lambda conn: conn.close(), "the connection is the run's; the driver closes it"),
        (lambda conn: conn.set_authorizer(None), "the authorizer is the engine's"),
        (
            lambda conn: conn.blobopen("items", "item", 1),
            "blob handles are not for phases; use a parameter",
        ),
        (
            lambda conn: conn.cursor(sqlite3.Cursor),
            "<class 'sqlite3.Cursor'> makes cursors that go round the guard; leave it out",
        ),
    ],
)
def test_what_a_phase_is_told_that_meddles_with_the_transaction(
    make_runner: MakeRunner, meddles: Callable[[sqlite3.Connection], object], sentence: str
) -> None:
    def phase(conn: sqlite3.Connection, _ctx: Any) -> None:
        with pytest.raises(ForbiddenStatement) as refused:
            meddles(conn)
        raise refused.value

    assert said_by(make_runner, phase) == sentence


def test_what_a_phase_is_told_that_counts_below_zero(make_runner: MakeRunner) -> None:
    assert said_by(make_runner, lambda _, ctx: ctx.progress(-3)) == "progress can't be -3; count from 0"


def test_what_a_phase_is_told_that_takes_a_warning_back(make_runner: MakeRunner) -> None:
    def phase(_conn: sqlite3.Connection, ctx: Any) -> None:
        ctx.warn("odd", "said")
        del ctx.warnings[0]

    assert said_by(make_runner, phase) == "warnings are append-only: what was said stays said"


def test_what_a_phase_is_told_whose_transaction_was_ended_under_it(make_runner: MakeRunner) -> None:
    def phase(conn: sqlite3.Connection, ctx: Any) -> None:
        writes(1)(conn, ctx)
        with pytest.raises(sqlite3.IntegrityError):
            conn.execute("INSERT OR ROLLBACK INTO items VALUES (1)")
        writes(2)(conn, ctx)

    assert said_by(make_runner, phase) == (
        "the transaction was ended under the phase (an I/O error, ON CONFLICT ROLLBACK, an interrupt or a "
        "check point that failed): its earlier rows are gone, so its later rows are refused"
    )


@pytest.mark.parametrize("ask", [lambda ctx: ctx.raise_if_stopping(), lambda ctx: ctx.checkpoint()])
def test_what_a_phase_is_told_that_was_cancelled(
    make_runner: MakeRunner, ask: Callable[[Any], object]
) -> None:
    heard: list[str] = []

    def phase(_conn: sqlite3.Connection, ctx: Any) -> None:
        runner.cancel(ctx.run_id)
        with pytest.raises(RunCancelled) as refused:
            ask(ctx)
        heard.append(str(refused.value))

    runner = make_runner(phase)
    runner.create({})
    drive(runner)

    assert heard[0] in {
        "run 1 was cancelled",
        "run 1 was cancelled; the rows since the last check point are discarded",
    }


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda ctx: ctx.raise_if_stopping(), "the process is stopping"),
        (lambda ctx: ctx.checkpoint(), "the process is stopping; what was check pointed is kept"),
    ],
)
def test_what_a_phase_is_told_whose_process_wants_to_end(
    make_runner: MakeRunner, ask: Callable[[Any], object], sentence: str
) -> None:
    heard: list[str] = []

    def look(_conn: sqlite3.Connection, ctx: Any) -> None:
        with pytest.raises(RunStopping) as refused:
            ask(ctx)
        heard.append(str(refused.value))

    gate = Gate(after=look)
    runner = make_runner(gate)
    runner.start({})
    gate.until_entered()
    runner.request_stop()
    gate.go.set()

    assert runner.wait()
    assert heard == [sentence]


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (
            lambda _conn, ctx: ctx.raise_if_stopping(),
            "this phase was cut off; its run goes on, or has ended, without it",
        ),
        (check_point, "this phase was cut off; it can't use the database any more"),
        (writes(1), "this phase was cut off; it can't use the database any more"),
    ],
)
def test_what_a_phase_is_told_that_was_cut_off(
    make_runner: MakeRunner, clock: Any, ask: Callable[[sqlite3.Connection, Any], object], sentence: str
) -> None:
    heard: list[str] = []

    def look(conn: sqlite3.Connection, ctx: Any) -> None:
        with pytest.raises(RunAbandoned) as refused:
            ask(conn, ctx)
        heard.append(str(refused.value))

    gate = Gate(after=look)
    runner = make_runner(gate)
    runner.start({})
    gate.until_entered()
    clock.advance(10_000)
    runner.keep()
    gate.go.set()
    (thread,) = runner._roster._abandoned
    thread.join()

    assert heard == [sentence]


# --- a list of phases ---


@pytest.mark.parametrize(
    ("phases", "sentence"),
    [
        ([], "the list of phases is empty; it needs at least one (number, label, callable)"),
        ("abc", "the phases must be a list of (number, label, callable), not str"),
        (7, "the phases must be a list of (number, label, callable), not int"),
    ],
)
def test_what_is_wrong_with_a_list_of_phases(phases: Any, sentence: str) -> None:
    with pytest.raises(RegistryError) as refused:
        Registry.of(phases)

    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("phases", "sentence"),
    [
        ([(1, "A")], "(1, 'A'), is not a tuple (number, label, callable)"),
        ([[1, "A", "f"]], "[1, 'A', 'f'], is not a tuple (number, label, callable)"),
        ([(1.5, "A", "f")], "(1.5, 'A', 'f'), has the number 1.5; it must be a whole number"),
        ([(True, "A", "f")], "(True, 'A', 'f'), has the number True; it must be a whole number"),
        (
            [(2**63, "A", "f")],
            "(9223372036854775808, 'A', 'f'), has the number 9223372036854775808; it must be a whole number",
        ),
        (
            [(2, "A", len), (2, "B", "f")],
            "(2, 'B', 'f'), has the number 2; it must be greater than 2 before it",
        ),
        ([(1, " ", "f")], "(1, ' ', 'f'), has the label ' '; it must be a line of text"),
        ([(1, "a\nb", "f")], "(1, 'a\\nb', 'f'), has the label 'a\\nb'; it must be a line of text"),
        ([(1, 5, "f")], "(1, 5, 'f'), has the label 5; it must be a line of text"),
        ([(1, "A", len), (2, "A", "f")], "(2, 'A', 'f'), repeats the label 'A'"),
        ([(1, "A", "f")], "(1, 'A', 'f'), has no callable, but str"),
        (
            [(1, "failed", len)],
            f"(1, 'failed', {len}), has the state 'failed', which is taken; choose another label",
        ),
        (
            [(1, "A b", len), (2, "a B", len)],
            f"(2, 'a B', {len}), has the state 'a_b', which is taken; choose another label",
        ),
    ],
)
def test_what_is_wrong_with_an_entry_of_the_list(phases: Any, sentence: str) -> None:
    with pytest.raises(RegistryError) as refused:
        Registry.of(phases)

    assert str(refused.value) == f"entry {len(phases)} of the phases, {sentence}"


# --- a file ---


def unusable(use: Callable[[], object]) -> str:
    with pytest.raises(DatabaseUnusable) as refused:
        use()
    return str(refused.value)


def test_what_is_wrong_with_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("no database at all " * 100)

    said = f"the database {path} can't be used: it is not a SQLite database; name another file"
    assert unusable(lambda: connect(path, sqlite3.Connection)) == said
    assert unusable(lambda: connect_read_only(path)) == said


def test_what_is_wrong_with_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "nothing"

    assert unusable(lambda: connect_read_only(path)) == (
        f"the database {path} can't be used: it can't be opened; check that it exists, its permissions and "
        "ulimit -n"
    )


def test_what_is_wrong_with_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "runs.db"

    assert unusable(lambda: connect(path, sqlite3.Connection)) == (
        f"can't write the database {path}: its folder is a file; choose another place with PHASELINE_DB"
    )


def test_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    assert unusable(lambda: connect(tmp_path, sqlite3.Connection)) == (
        f"can't open the database {tmp_path}: unable to open database file"
    )


class Failing(sqlite3.Connection):
    """A connection whose settings fail with the error of this name, or aren't taken."""

    error: sqlite3.Error | None = None

    def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
        if self.error is not None and "synchronous" in sql:
            raise self.error
        return super().execute(sql.replace("PRAGMA foreign_keys = 1", "SELECT 1"), *given)


def test_what_is_wrong_with_a_file_that_takes_no_settings(tmp_path: Path) -> None:
    assert unusable(lambda: connect(tmp_path / "runs.db", Failing)) == (
        f"the database {tmp_path}/runs.db did not take "
        "{'synchronous': 2, 'journal_mode': 'wal', 'foreign_keys': 1}, but has "
        "{'synchronous': 2, 'journal_mode': 'wal', 'foreign_keys': 0}; is it on a network drive?"
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("SQLITE_CORRUPT", "it is damaged; restore it from a backup"),
        ("SQLITE_READONLY", "it can't be written; check its permissions"),
        ("SQLITE_BUSY", "another process holds it; try again in a moment"),
        ("SQLITE_FULL", "the disk is full; make room and try again"),
        ("SQLITE_IOERR", "what SQLite says"),
    ],
)
def test_what_sqlite_names_is_said_in_plain_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    error = sqlite3.DatabaseError("what SQLite says")
    error.sqlite_errorname = name
    monkeypatch.setattr(Failing, "error", error)

    said = unusable(lambda: connect(tmp_path / "runs.db", Failing))

    assert said == f"the database {tmp_path}/runs.db can't be used: {hint}"


def test_what_a_request_is_told_while_somebody_else_writes(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with closing(connect(path, sqlite3.Connection)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with (
            closing(connect(path, sqlite3.Connection, busy_timeout_s=0)) as other,
            pytest.raises(
                StoreBusy, match=r"^the database is busy with another write; try again in a moment$"
            ),
            transaction(other),
        ):
            pass


# --- a run ---


def test_what_is_said_of_a_run_whose_process_died(make_runner: MakeRunner, db: Path) -> None:
    first = make_runner(writes(1), recovery="fail")
    first.create({})
    first._owner.close()  # as if its process had died

    (run,) = make_runner(writes(1), recovery="fail").recover()

    assert run.error_code == "interrupted"
    assert run.error_message == "Process restart detected; previous run did not complete"
    assert history(db)[-1].detail == {"owner_died": True}


def test_the_time_of_day_is_that_of_greenwich() -> None:
    assert SystemClock().now().tzinfo is UTC
