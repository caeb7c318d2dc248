"""Each invariant, violated on purpose in a copy of a good database, is found and named."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from statemachine.errors import DatabaseUnusable, RunNotFound
from statemachine.registry import Registry
from statemachine.runner import Runner
from statemachine.verify import Violation, verify
from tests.fakes import FakeClock
from tests.statemachine.conftest import Body, drive, raises, registered, without_guards, writes

COMPLETED, FAILED, RUNNING = 1, 2, 3


def runner_of(db: Path, *phases: Body) -> Runner:
    schema = {"test": ("CREATE TABLE items (item INTEGER PRIMARY KEY) STRICT;\n",)}
    registry = Registry.of([(10 * number, label, body) for number, label, body in registered(phases)])
    return Runner(db, registry, clock=FakeClock(), schema=schema, executor="threads")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A completed run that had crashed once, one that failed in its second phase, and one that is active."""
    db = tmp_path_factory.mktemp("good") / "good.db"
    dead = runner_of(db, writes(1), writes(2))
    dead.create({})
    dead.step(1)
    dead.close()
    runner = runner_of(db, writes(1), writes(2))
    runner.recover()
    assert runner.wait()
    runner.close()
    for bodies, steps in (([writes(3), raises(ValueError("x"))], 2), ([writes(4), writes(5)], 1)):
        runner = runner_of(db, *bodies)
        run = runner.create({})
        for _ in range(steps):
            runner.step(run.id)
        runner.close()
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("INSERT INTO idempotency_keys VALUES ('key', 'hash', 1)")
    assert verify(db) == []
    return db


@pytest.fixture
def copy(good: Path, folder: Path) -> Iterator[sqlite3.Connection]:
    """A copy to spoil, by somebody whom no CHECK, no guard and no foreign key stops."""
    place = folder / "spoilt"
    with closing(sqlite3.connect(good)) as source:
        source.execute("VACUUM INTO ?", (str(place),))
    with closing(sqlite3.connect(place, isolation_level=None)) as conn:
        conn.execute("PRAGMA ignore_check_constraints = 1")
        yield conn


SPOILING = [
    ("status_is_the_state's", COMPLETED, "UPDATE analysis_runs SET status = 'failed' WHERE id = 1"),
    ("status_is_the_state's", FAILED, "UPDATE analysis_runs SET status = 'running' WHERE id = 2"),
    ("completed_has_its_time", COMPLETED, "UPDATE analysis_runs SET completed_at = NULL WHERE id = 1"),
    ("completed_has_its_time", RUNNING, "UPDATE analysis_runs SET completed_at = updated_at WHERE id = 3"),
    ("failure_has_its_reason", FAILED, "UPDATE analysis_runs SET error_message = '' WHERE id = 2"),
    ("failure_has_its_reason", FAILED, "UPDATE analysis_runs SET error_message = NULL WHERE id = 2"),
    ("failure_has_its_reason", FAILED, "UPDATE analysis_runs SET error_code = NULL WHERE id = 2"),
    ("failure_has_its_reason", COMPLETED, "UPDATE analysis_runs SET error_message = 'x' WHERE id = 1"),
    ("progress_is_the_phase's", COMPLETED, "UPDATE analysis_runs SET progress_current = 1 WHERE id = 1"),
    ("progress_is_the_phase's", RUNNING, "UPDATE analysis_runs SET progress_current = 1 WHERE id = 3"),
    ("progress_is_the_phase's", RUNNING, "UPDATE analysis_runs SET progress_total = 9 WHERE id = 3"),
    ("an_ended_run_has_no_owner", FAILED, "UPDATE analysis_runs SET owner = 'f' WHERE id = 2"),
    ("time_goes_forward", COMPLETED, "UPDATE analysis_runs SET completed_at = '2000' WHERE id = 1"),
    ("time_goes_forward", RUNNING, "UPDATE analysis_runs SET updated_at = '2000' WHERE id = 3"),
    ("json_is_readable", RUNNING, "UPDATE analysis_runs SET params = '{' WHERE id = 3"),
    ("json_is_readable", RUNNING, "UPDATE analysis_runs SET results = 'no' WHERE id = 3"),
    ("json_is_readable", RUNNING, "UPDATE analysis_runs SET warnings = '[' WHERE id = 3"),
    ("keys_point_to_runs", 99, "UPDATE idempotency_keys SET run_id = 99"),
    ("foreign_keys", None, "UPDATE idempotency_keys SET run_id = 99"),
    ("foreign_keys", None, "UPDATE run_events SET run_id = 99 WHERE run_id = 1"),
    # the history says something else than the row
    ("history", COMPLETED, "UPDATE run_events SET run_id = 2 WHERE run_id = 1"),
    ("history", COMPLETED, "DELETE FROM run_events WHERE run_id = 1"),
    ("history", COMPLETED, "DELETE FROM run_events WHERE run_id = 1 AND trigger = 'start'"),
    ("history", COMPLETED, "DELETE FROM run_events WHERE run_id = 1 AND dest = 'phase_2'"),
    ("history", COMPLETED, "DELETE FROM run_events WHERE run_id = 1 AND dest = 'completed'"),
    ("history", FAILED, "UPDATE run_events SET trigger = 'advance' WHERE run_id = 2 AND trigger = 'fail'"),
    ("history", FAILED, "UPDATE run_events SET dest = 'completed' WHERE run_id = 2 AND trigger = 'fail'"),
    ("history", FAILED, "UPDATE run_events SET phase = 10 WHERE run_id = 2 AND trigger = 'fail'"),
    ("history", RUNNING, "UPDATE run_events SET attempt = 2 WHERE run_id = 3 AND trigger = 'start'"),
    ("history", RUNNING, "UPDATE run_events SET phase = 7 WHERE run_id = 3 AND trigger = 'start'"),
    ("history", RUNNING, "UPDATE analysis_runs SET state = 'phase_1' WHERE id = 3"),
    ("history", RUNNING, "UPDATE analysis_runs SET current_phase = 10 WHERE id = 3"),
    ("history", RUNNING, "UPDATE analysis_runs SET attempt = 4 WHERE id = 3"),
    ("history", RUNNING, "UPDATE analysis_runs SET registry = 'unknown' WHERE id = 3"),
    (
        "history",
        RUNNING,
        (
            "INSERT INTO run_events (run_id, at, trigger, source, dest, phase, attempt, detail)"
            " VALUES (3, 'x', 'cancel', 'phase_1', 'phase_2', 20, 1, '{\"refused\": \"no\"}')"
        ),
    ),
    (
        "history",
        RUNNING,
        (
            "INSERT INTO run_events (run_id, at, trigger, source, dest, phase, attempt, detail)"
            " VALUES (3, 'x', 'resume', 'phase_2', 'phase_2', 20, 3, '{\"owner_died\": true}')"
        ),
    ),
    (
        "history",
        FAILED,
        (
            "INSERT INTO run_events (run_id, at, trigger, source, dest, phase, attempt)"
            " VALUES (2, 'x', 'resume', 'failed', 'phase_1', 10, 1)"
        ),
    ),
]


@pytest.mark.parametrize(("invariant", "run_id", "spoil"), SPOILING)
def test_a_violation_is_named_with_its_run(
    copy: sqlite3.Connection, invariant: str, run_id: int | None, spoil: str
) -> None:
    with without_guards(copy):
        copy.execute(spoil)

    found = verify(copy)

    assert (invariant, run_id) in {(each.invariant, each.run_id) for each in found}
    assert "guards" not in {each.invariant for each in found}
    assert all(each.message for each in found)


@pytest.mark.parametrize(
    ("invariant", "run_id", "spoil"), [each for each in SPOILING if each[1] in {COMPLETED, FAILED, RUNNING}]
)
def test_a_violation_of_one_run_is_found_when_that_run_is_asked_for_and_no_other(
    copy: sqlite3.Connection, invariant: str, run_id: int, spoil: str
) -> None:
    with without_guards(copy):
        copy.execute(spoil)

    assert invariant in {each.invariant for each in verify(copy, run_id)}
    untouched = {COMPLETED, FAILED, RUNNING} - {each.run_id for each in verify(copy)}
    for other in untouched:
        assert all(each.run_id is None for each in verify(copy, other))


def test_a_history_that_is_right_in_itself_is_told_from_one_that_is_not(copy: sqlite3.Connection) -> None:
    with without_guards(copy):
        copy.execute("UPDATE run_events SET trigger = 'advance' WHERE run_id = 2 AND trigger = 'fail'")

    (violation,) = verify(copy)

    assert violation.message.endswith("takes advance from 'phase_2' to 'failed', which is no edge")


AN_EVENT = "INSERT INTO run_events (run_id, at, trigger, source, dest, phase, attempt, detail) VALUES "


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            [
                AN_EVENT + "(2, 'x', 'resume', 'failed', 'phase_1', 10, 1, NULL)",
                (
                    "UPDATE analysis_runs SET state = 'phase_1', status = 'running', current_phase = 10,"
                    " progress_current = 1, error_code = NULL, error_message = NULL WHERE id = 2"
                ),
            ],
            "resumes in 'phase_1', not where the run failed",
        ),
        (
            [
                AN_EVENT + "(3, 'x', 'resume', 'phase_2', 'phase_2', 20, 3, '{\"owner_died\": true}')",
                "UPDATE analysis_runs SET attempt = 3 WHERE id = 3",
            ],
            "counts attempt 3, not 2",
        ),
        (
            [
                AN_EVENT + "(3, 'x', 'resume', 'phase_2', 'phase_2', 20, 2, '{\"stopped\": true}')",
                "UPDATE analysis_runs SET attempt = 2 WHERE id = 3",
            ],
            "counts attempt 2, not 1",
        ),
        (
            [AN_EVENT + "(3, 'x', 'cancel', 'phase_1', 'phase_2', 20, 1, '{\"refused\": \"no\"}')"],
            "was refused and yet moved from 'phase_1' to 'phase_2'",
        ),
        (
            ["UPDATE run_events SET attempt = 2 WHERE run_id = 2 AND trigger = 'fail'"],
            "counts attempt 2, not 1",
        ),
        (["UPDATE run_events SET phase = 10 WHERE run_id = 2 AND trigger = 'fail'"], "names phase 10"),
        (["UPDATE analysis_runs SET attempt = 2 WHERE id = 2"], "but the row says 2"),
    ],
)
def test_each_wrong_turn_of_a_history_is_said_even_if_the_row_agrees(
    copy: sqlite3.Connection, spoil: list[str], message: str
) -> None:
    with without_guards(copy):
        for statement in spoil:
            copy.execute(statement)

    assert any(message in each.message for each in verify(copy))


def test_a_guard_that_is_missing_or_not_as_it_was_made_is_named(copy: sqlite3.Connection) -> None:
    copy.execute("DROP TRIGGER runs_are_kept_1")
    copy.execute("DROP TRIGGER runs_that_ended_are_sealed")
    copy.execute(
        "CREATE TRIGGER runs_that_ended_are_sealed BEFORE UPDATE ON analysis_runs BEGIN SELECT 1; END"
    )

    assert {(each.invariant, each.message) for each in verify(copy)} == {
        ("guards", "the guard runs_are_kept_1 is missing"),
        ("guards", "the guard runs_that_ended_are_sealed is not as it was made"),
    }


def test_a_damaged_file_is_named_as_that(copy: sqlite3.Connection, folder: Path) -> None:
    copy.execute("CREATE INDEX seen ON run_events (at)")
    copy.execute("PRAGMA writable_schema = 1")
    copy.execute(
        "UPDATE sqlite_master SET sql = 'CREATE INDEX seen ON run_events (detail)' WHERE name = 'seen'"
    )
    copy.close()

    found = verify(folder / "spoilt")

    assert {each.invariant for each in found} == {"file_is_intact"}
    assert found[0].run_id is None


def test_text_that_can_not_be_read_is_a_violation_and_no_accident(copy: sqlite3.Connection) -> None:
    with without_guards(copy):
        copy.execute("UPDATE analysis_runs SET phase_label = CAST(x'ff80' AS TEXT) WHERE id = 3")

    assert [each.invariant for each in verify(copy)] == ["history"]


def test_many_runs_are_verified_page_by_page(folder: Path) -> None:
    db = folder / "many"
    runner = runner_of(db, writes())
    for run_id in range(1, 203):
        runner.create({})
        drive(runner, run_id)
    runner.close()
    with closing(sqlite3.connect(db, isolation_level=None)) as conn:
        with without_guards(conn):
            conn.execute("DELETE FROM run_events WHERE run_id IN (1, 202)")
        found = verify(conn)

    assert {each.run_id for each in found} == {1, 202}


def test_what_is_good_has_no_violation_as_a_file_or_a_connection(good: Path) -> None:
    assert verify(good) == []
    assert verify(good, RUNNING) == []
    with closing(sqlite3.connect(good)) as conn:
        assert verify(conn) == []


def test_a_run_that_does_not_exist_is_not_verified(good: Path) -> None:
    with pytest.raises(RunNotFound):
        verify(good, 99)


def test_a_file_without_runs_is_refused(folder: Path) -> None:
    other = folder / "other.sqlite"
    with closing(sqlite3.connect(other)) as conn:
        conn.execute("CREATE TABLE letters (id)")

    with pytest.raises(DatabaseUnusable, match="no table of runs"):
        verify(other)
    letter = folder / "letter.txt"
    letter.write_text("Dear reader, this is no database. " * 100)
    with closing(sqlite3.connect(letter)) as conn, pytest.raises(DatabaseUnusable, match="can't be read"):
        verify(conn)
    with pytest.raises(DatabaseUnusable):
        verify(folder / "nowhere")


def test_a_violation_says_where_what_and_why(copy: sqlite3.Connection) -> None:
    with without_guards(copy):
        copy.execute("UPDATE analysis_runs SET owner = 'f' WHERE id = 2")

    assert verify(copy) == [
        Violation(2, "an_ended_run_has_no_owner", "run 2 has ended and still has the owner f")
    ]
