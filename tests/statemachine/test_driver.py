"""One step takes one edge: which one, what becomes durable with it, and what a phase can't get round."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from statemachine.clock import stamp
from statemachine.connection import engine_of
from statemachine.contract import RunAbandoned, RunCancelled, RunMovedOn, RunStopping
from statemachine.errors import (
    FailureUnrecorded,
    ForbiddenStatement,
    ForeignRegistry,
    IllegalTransition,
    RunNotFound,
    RunOwned,
    TransactionLost,
)
from tests.fakes import FakeClock
from tests.statemachine.conftest import (
    Body,
    MakeRunner,
    check_point,
    drive,
    history,
    items,
    raises,
    row,
    swallowing,
    then,
    writes,
)


def triggers(db: Path) -> list[str]:
    return [event.trigger for event in history(db)]


# --- one edge a step ---


def test_a_run_is_created_in_its_first_phase_with_its_start_event(make_runner: MakeRunner, db: Path) -> None:
    run = make_runner(writes(1), writes(2)).create({"subreddit": "stocks"})

    assert run == row(db)
    assert (run.status, run.state, run.current_phase, run.progress_current) == ("running", "phase_1", 1, 1)
    (event,) = history(db)
    assert (event.trigger, event.source, event.dest, event.attempt) == ("start", "", "phase_1", 1)


def test_each_step_takes_exactly_one_edge(make_runner: MakeRunner, db: Path) -> None:
    runner = make_runner(writes(1), writes(2))
    runner.create({})

    assert [runner.step(1).state for _ in range(2)] == ["phase_2", "completed"]
    assert triggers(db) == ["start", "advance", "advance"]
    assert items(db) == [1, 2]


def test_the_version_counts_the_commits_of_a_run(make_runner: MakeRunner, db: Path) -> None:
    runner = make_runner(then(check_point, check_point), writes(1))
    versions = [runner.create({}).version, runner.step(1).version, runner.step(1).version]

    assert versions == [1, 4, 5]


@pytest.mark.parametrize("ends", [writes(1), raises(ValueError())])
def test_a_step_after_the_end_raises_and_moves_nothing(make_runner: MakeRunner, db: Path, ends: Body) -> None:
    runner = make_runner(ends)
    runner.create({})
    before = drive(runner)

    with pytest.raises(IllegalTransition, match="can't advance run 1"):
        runner.step(1)

    assert row(db) == before


def test_a_step_of_a_run_that_does_not_exist_says_so(make_runner: MakeRunner) -> None:
    with pytest.raises(RunNotFound, match="there is no run 7"):
        make_runner(writes(1)).step(7)


def test_a_step_of_a_run_of_other_phases_is_refused(make_runner: MakeRunner, db: Path) -> None:
    make_runner(writes(1)).create({})
    before = row(db)

    with pytest.raises(ForeignRegistry, match="started with other phases"):
        make_runner((1, "Something else", writes(1))).step(1)

    assert row(db) == before


def test_a_step_of_a_run_that_another_living_owner_drives_is_refused(
    make_runner: MakeRunner, db: Path
) -> None:
    first, second = make_runner(writes(1)), make_runner(writes(1))
    first.create({})

    with pytest.raises(RunOwned, match="living process"):
        second.step(1)

    assert first.step(1).status == "completed"


def test_a_step_of_a_run_that_is_in_the_middle_of_a_step_is_refused(make_runner: MakeRunner) -> None:
    def again(_conn: sqlite3.Connection, _ctx: Any) -> None:
        with pytest.raises(RunOwned, match="a thread of this process"):
            runner.step(1)

    runner = make_runner(again)
    runner.create({})

    assert drive(runner).status == "completed"


# --- which edge: the first that applies ---


def late(clock: FakeClock) -> Body:
    return lambda _conn, _ctx: clock.advance(3600)


def cancels(make: Callable[[], Any]) -> Body:
    return lambda _conn, ctx: make().cancel(ctx.run_id)


@pytest.mark.parametrize(
    ("is_raising", "is_late", "is_cancelled", "trigger", "code"),
    [
        (True, True, True, "fail", "error"),
        (True, False, True, "fail", "error"),
        (True, True, False, "fail", "error"),
        (False, True, True, "time_out", "timeout"),
        (False, True, False, "time_out", "timeout"),
        (False, False, True, "cancel", "cancelled"),
        (False, False, False, "advance", None),
    ],
)
def test_the_first_of_raised_late_cancelled_decides(
    make_runner: MakeRunner,
    clock: FakeClock,
    db: Path,
    is_raising: bool,
    is_late: bool,
    is_cancelled: bool,
    trigger: str,
    code: str | None,
) -> None:
    bodies = [writes(1)]
    bodies += [late(clock)] if is_late else []
    bodies += [cancels(lambda: runner)] if is_cancelled else []
    bodies += [raises(ValueError("broken"))] if is_raising else []
    runner = make_runner(then(*bodies))
    runner.create({})

    run = runner.step(1)

    assert (triggers(db)[-1], run.error_code) == (trigger, code)
    assert items(db) == ([1] if trigger == "advance" else [])


def test_a_late_finish_of_the_last_phase_is_a_failure_too(
    make_runner: MakeRunner, clock: FakeClock, db: Path
) -> None:
    runner = make_runner(writes(1), then(writes(2), late(clock)))
    runner.create({})

    assert drive(runner).error_code == "timeout"
    assert items(db) == [1]


@pytest.mark.parametrize("stop", [RunStopping, RunMovedOn, RunAbandoned, RunCancelled])
def test_a_phase_that_raises_a_stop_of_its_own_accord_has_failed(
    make_runner: MakeRunner, stop: type[BaseException]
) -> None:
    runner = make_runner(raises(stop("just so")))
    runner.create({})

    run = drive(runner)
    assert (run.error_code, run.error_message) == ("error", "just so")


# --- a failing edge ---


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("no such ticker"), "no such ticker"),
        (ValueError(""), "ValueError"),
        (ValueError(" \n\t "), "ValueError"),
        (KeyError("GME"), "'GME'"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (SystemExit(3), "3"),
        (ValueError("nul \0 bell \a lone \ud83d"), "nul \ufffd bell \ufffd lone \ufffd"),
        (ValueError("x" * 5_000), "x" * 500 + "\n[...]\n" + "x" * 1_493),
    ],
    ids=[
        "words",
        "nothing",
        "only spaces",
        "a key",
        "no words",
        "a number",
        "what nobody can print",
        "too many",
    ],
)
def test_the_message_is_the_exceptions_text_or_else_its_type(
    make_runner: MakeRunner, error: BaseException, message: str
) -> None:
    runner = make_runner(raises(error))
    runner.create({})

    run = drive(runner)
    assert (run.status, run.error_code, run.error_message) == ("failed", "error", message)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_exception_that_can_not_be_put_into_words_fails_the_run_as_well(make_runner: MakeRunner) -> None:
    runner = make_runner(raises(Unspeakable()))
    runner.create({})

    assert drive(runner).error_message == "Unspeakable"


TELLING = "GET https://api.example/v1?api_key=SECRET1&q=GME with Bearer SECRET2xyz: hunter22"


def test_secrets_appear_neither_in_the_row_nor_in_the_history_nor_in_the_log(
    make_runner: MakeRunner, db: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def phase(_conn: sqlite3.Connection, _ctx: Any) -> None:
        raise ConnectionError(TELLING)

    runner = make_runner(phase, secrets=["hunter22", ""])
    runner.create({})
    message = drive(runner).error_message

    assert message == "GET https://api.example/v1?api_key=***&q=GME with Bearer ***: ***"
    for told in (str(history(db)), caplog.text):
        assert "q=GME" in told
        for secret in ("SECRET1", "SECRET2", "hunter22"):
            assert secret not in told


@pytest.mark.parametrize("how", ["boundary", "check point", "failure"])
def test_secrets_appear_neither_in_warnings_nor_in_results(
    make_runner: MakeRunner, db: Path, how: str
) -> None:
    def phase(_conn: sqlite3.Connection, ctx: Any) -> None:
        ctx.results["asked"] = [TELLING]
        ctx.warn("refused", TELLING, url=TELLING)
        if how != "boundary":
            ctx.checkpoint()
        if how == "failure":
            raise ValueError

    runner = make_runner(phase, secrets=["hunter22"])
    runner.create({})
    run = drive(runner)

    for told in (str(run.results), str(run.warnings)):
        assert "q=GME" in told
        for secret in ("SECRET1", "SECRET2", "hunter22"):
            assert secret not in told


def test_the_traceback_is_kept_with_the_event_and_logged_in_full(
    make_runner: MakeRunner, db: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def phase(_conn: sqlite3.Connection, _ctx: Any) -> None:
        raise ValueError("y" * 30_000)

    runner = make_runner(phase)
    runner.create({})
    drive(runner)

    detail = history(db)[-1].detail
    assert detail is not None
    assert detail["error"] == "ValueError"
    assert detail["traceback"].startswith("Traceback (most recent call last):")
    assert len(detail["traceback"]) == 16_000
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "y" * 30_000 in record.getMessage()


def test_on_failure_warnings_are_kept_and_results_and_steps_return_to_the_last_check_point(
    make_runner: MakeRunner, db: Path
) -> None:
    def phase(_conn: sqlite3.Connection, ctx: Any) -> None:
        ctx.results["comments"] = 5
        ctx.warn("slow", "before the check point")
        ctx.progress(5, 10, "comments")
        ctx.checkpoint()
        ctx.results["comments"] = 9
        ctx.warn("slow", "after it")
        ctx.progress(9, 10, "comments")
        raise ValueError

    runner = make_runner(phase)
    runner.create({})
    drive(runner)

    run = row(db)
    assert run.results == {"comments": 5}
    assert (run.step_current, run.step_total, run.step_unit) == (5, 10, "comments")
    assert [each["message"] for each in run.warnings or ()] == ["before the check point", "after it"]


def test_what_makes_the_tools_may_fail_and_fails_the_run(make_runner: MakeRunner) -> None:
    def no_tools(params: Any) -> None:
        raise ConnectionError(f"no source {params['source']}")

    runner = make_runner(writes(1), tools=no_tools)
    runner.create({"source": "reddit"})

    assert drive(runner).error_message == "no source reddit"


# --- the boundary ---


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "not JSON serializable"),
        (float("nan"), "not JSON compliant"),
        ({1: object()}, "not JSON serializable"),
        ({"a", "b"}, "not JSON serializable"),
    ],
    ids=["an object", "not a number", "an object as a value", "a set"],
)
def test_results_that_json_can_not_say_fail_the_run(
    make_runner: MakeRunner, db: Path, value: object, said: str
) -> None:
    def phase(conn: sqlite3.Connection, ctx: Any) -> None:
        writes(1)(conn, ctx)
        ctx.results["bad"] = value

    runner = make_runner(phase)
    runner.create({})

    assert said in (drive(runner).error_message or "")
    assert items(db) == []


def test_results_that_contain_themselves_fail_the_run(make_runner: MakeRunner) -> None:
    def phase(_conn: sqlite3.Connection, ctx: Any) -> None:
        ctx.results["self"] = ctx.results

    runner = make_runner(phase)
    runner.create({})

    assert drive(runner).error_message == "Circular reference detected"


def orphan(conn: sqlite3.Connection, _ctx: Any) -> None:
    """Leave a row that can't be committed."""
    conn.execute(
        "CREATE TABLE IF NOT EXISTS child (item REFERENCES items (item) DEFERRABLE INITIALLY DEFERRED)"
    )
    conn.execute("INSERT INTO child VALUES (99)")


def test_rows_that_can_not_be_committed_fail_the_run(make_runner: MakeRunner, db: Path) -> None:
    runner = make_runner(then(writes(1), orphan))
    runner.create({})

    run = drive(runner)
    assert (run.error_code, run.error_message) == ("error", "FOREIGN KEY constraint failed")
    assert items(db) == []


def test_open_cursors_and_factories_of_a_phase_hinder_neither_the_boundary_nor_the_next_phase(
    make_runner: MakeRunner, db: Path
) -> None:
    kept: list[Any] = []

    def untidy(conn: sqlite3.Connection, ctx: Any) -> None:
        writes(1, 2, 3)(conn, ctx)
        conn.row_factory, conn.text_factory = sqlite3.Row, bytes
        kept.append(conn.execute("SELECT item FROM items"))
        kept.append(kept[0].fetchone())

    def next_phase(conn: sqlite3.Connection, _ctx: Any) -> None:
        assert conn.execute("SELECT 'text'").fetchall() == [("text",)]

    runner = make_runner(untidy, next_phase)
    runner.create({})

    assert drive(runner).status == "completed"
    assert items(db) == [1, 2, 3]


def test_a_progress_handler_of_a_phase_does_not_stop_the_engine(
    make_runner: MakeRunner, clock: FakeClock, db: Path
) -> None:
    def impatient(conn: sqlite3.Connection, ctx: Any) -> None:
        conn.set_progress_handler(lambda: ctx.remaining_s() == 0, 1)
        writes(1)(conn, ctx)
        clock.advance(3600)

    runner = make_runner(impatient)
    runner.create({})

    assert drive(runner).error_code == "timeout"


# --- a transaction that ended under the phase ---


def loses_its_transaction(conn: sqlite3.Connection, ctx: Any) -> None:
    writes(1)(conn, ctx)
    with pytest.raises(sqlite3.IntegrityError):
        conn.execute("INSERT OR ROLLBACK INTO items VALUES (1)")


def test_a_lost_transaction_is_never_followed_by_a_silent_second_half(
    make_runner: MakeRunner, db: Path
) -> None:
    runner = make_runner(
        then(loses_its_transaction, swallowing(writes(2), check_point, writes(3), what=Exception))
    )
    runner.create({})

    assert "ended under the phase" in (drive(runner).error_message or "")
    assert items(db) == []


def test_a_lost_transaction_fails_the_run_even_if_nothing_is_written_after_it(
    make_runner: MakeRunner, db: Path
) -> None:
    runner = make_runner(loses_its_transaction)
    runner.create({})

    assert "ended under the phase" in (drive(runner).error_message or "")


def test_the_phase_itself_is_told_at_its_next_write(make_runner: MakeRunner) -> None:
    def phase(conn: sqlite3.Connection, ctx: Any) -> None:
        loses_its_transaction(conn, ctx)
        with pytest.raises(TransactionLost):
            writes(2)(conn, ctx)
        raise ValueError("told")

    runner = make_runner(phase)
    runner.create({})

    assert drive(runner).error_message == "told"


# --- check points ---


def test_a_check_point_makes_rows_progress_warnings_and_results_durable_together(
    make_runner: MakeRunner, db: Path
) -> None:
    def phase(conn: sqlite3.Connection, ctx: Any) -> None:
        writes(1)(conn, ctx)
        ctx.results["n"] = 1
        ctx.warn("odd", "one")
        ctx.progress(1, 3, "items")
        before = row(db)
        assert (items(db), before.results, before.warnings, before.step_current) == ([], {}, None, None)
        ctx.checkpoint()
        after = row(db)
        assert (items(db), after.results, after.step_current, after.step_total) == ([1], {"n": 1}, 1, 3)
        assert [each["message"] for each in after.warnings or ()] == ["one"]
        assert after.version == before.version + 1

    runner = make_runner(phase)
    runner.create({})

    run = drive(runner)
    assert (run.status, run.step_current, run.step_total, run.step_unit) == ("completed", None, None, None)


def test_a_phase_begins_without_the_progress_of_the_one_before(make_runner: MakeRunner, db: Path) -> None:
    def counting(_conn: sqlite3.Connection, ctx: Any) -> None:
        ctx.progress(3, 3, "items")
        ctx.checkpoint()

    runner = make_runner(counting, writes(1))
    runner.create({})

    runner.step(1)

    run = row(db)
    assert run.state == "phase_2"
    assert (run.step_current, run.step_total, run.step_unit) == (None, None, None)


def test_what_a_phase_changes_after_a_check_point_is_not_part_of_it(
    make_runner: MakeRunner, db: Path
) -> None:
    def phase(_conn: sqlite3.Connection, ctx: Any) -> None:
        ctx.results["list"] = inner = [1]
        ctx.checkpoint()
        inner.append(2)
        raise ValueError

    runner = make_runner(phase)
    runner.create({})

    assert drive(runner).results == {"list": [1]}


def test_writing_goes_on_after_a_check_point_in_a_transaction_of_its_own(
    make_runner: MakeRunner, db: Path
) -> None:
    runner = make_runner(then(writes(1), check_point, writes(2), raises(ValueError())))
    runner.create({})

    assert drive(runner).status == "failed"
    assert items(db) == [1]


def test_a_check_point_of_results_that_json_can_not_say_is_refused_and_may_be_tried_again(
    make_runner: MakeRunner, db: Path
) -> None:
    def phase(conn: sqlite3.Connection, ctx: Any) -> None:
        writes(1)(conn, ctx)
        ctx.results["bad"] = object()
        with pytest.raises(TypeError, match="not JSON serializable"):
            ctx.checkpoint()
        del ctx.results["bad"]
        ctx.checkpoint()

    runner = make_runner(phase)
    runner.create({})

    assert drive(runner).status == "completed"
    assert items(db) == [1]


def test_a_check_point_that_could_not_be_committed_is_not_followed_by_a_second_half(
    make_runner: MakeRunner, db: Path
) -> None:
    runner = make_runner(swallowing(then(writes(1), orphan), check_point, writes(2), check_point))
    runner.create({})

    run = drive(runner)
    assert (run.status, run.error_code) == ("failed", "error")
    assert "a check point that failed" in (run.error_message or "")
    assert items(db) == []


@pytest.mark.parametrize("factory", ["text_factory", "row_factory"])
def test_a_check_point_hears_a_cancel_whatever_factories_a_phase_has_set(
    make_runner: MakeRunner, db: Path, factory: str
) -> None:
    def phase(conn: sqlite3.Connection, ctx: Any) -> None:
        setattr(conn, factory, {"text_factory": bytes, "row_factory": sqlite3.Row}[factory])
        other.cancel(1)
        ctx.checkpoint()

    runner, other = make_runner(phase), make_runner(phase)
    runner.create({})

    assert drive(runner).error_code == "cancelled"


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        ((3,), (3, None, None)),
        ((3, 10), (3, 10, None)),
        ((3, 10, "comments"), (3, 10, "comments")),
        ((12, 10), (12, 12, None)),
        ((0, 0), (0, 0, None)),
    ],
)
def test_progress_is_stored_with_the_next_check_point(
    make_runner: MakeRunner, db: Path, step: tuple[Any, ...], shown: tuple[Any, ...]
) -> None:
    def phase(_conn: sqlite3.Connection, ctx: Any) -> None:
        ctx.progress(*step)
        ctx.checkpoint()
        run = row(db)
        assert (run.step_current, run.step_total, run.step_unit) == shown
        assert (run.progress_current, run.progress_total) == (1, 1)

    runner = make_runner(phase)
    runner.create({})

    assert drive(runner).status == "completed"


@pytest.mark.parametrize("wrong", [(-1,), (1.5,), ("2",), (1, 2.5)])
def test_progress_that_is_no_count_is_refused_where_it_is_said(
    make_runner: MakeRunner, wrong: tuple[Any, ...]
) -> None:
    def phase(_conn: sqlite3.Connection, ctx: Any) -> None:
        with pytest.raises((ValueError, TypeError)):
            ctx.progress(*wrong)

    runner = make_runner(phase)
    runner.create({})

    assert drive(runner).status == "completed"


# --- what a phase can't get round ---


@pytest.mark.parametrize(
    "attempt",
    [
        lambda conn: conn.execute("COMMIT"),
        lambda conn: conn.execute("ROLLBACK"),
        lambda conn: conn.execute("ATTACH ':memory:' AS x"),
        lambda conn: conn.execute("PRAGMA foreign_keys = 0"),
        lambda conn: conn.execute("UPDATE analysis_runs SET status = 'completed'"),
        lambda conn: conn.executescript("SELECT 1"),
        lambda conn: conn.commit(),
        lambda conn: conn.close(),
        lambda conn: conn.__enter__(),
    ],
)
@pytest.mark.parametrize("is_swallowed", [False, True])
def test_a_forbidden_statement_fails_the_phase_unless_it_is_swallowed_and_changes_nothing(
    make_runner: MakeRunner, db: Path, attempt: Callable[[sqlite3.Connection], object], is_swallowed: bool
) -> None:
    def forbidden(conn: sqlite3.Connection, _ctx: Any) -> None:
        attempt(conn)

    meddles = swallowing(forbidden, what=ForbiddenStatement) if is_swallowed else forbidden
    runner = make_runner(then(writes(1), meddles, writes(2)))
    runner.create({})

    assert drive(runner).status == ("completed" if is_swallowed else "failed")
    assert items(db) == ([1, 2] if is_swallowed else [])


@pytest.mark.parametrize("statement", ["COMMIT", "PRAGMA foreign_keys = 0"])
def test_what_is_forbidden_is_forbidden_on_any_thread(make_runner: MakeRunner, statement: str) -> None:
    refused: list[BaseException] = []

    def phase(conn: sqlite3.Connection, _ctx: Any) -> None:
        def meddle() -> None:
            with pytest.raises(ForbiddenStatement) as seen:
                conn.execute(statement)
            refused.append(seen.value)

        thread = threading.Thread(target=meddle)
        thread.start()
        thread.join()

    runner = make_runner(phase)
    runner.create({})

    assert drive(runner).status == "completed"
    assert len(refused) == 1


def test_a_check_point_says_when_it_was(make_runner: MakeRunner, clock: FakeClock, db: Path) -> None:
    seen: list[tuple[str, str]] = []

    def phase(conn: sqlite3.Connection, ctx: Any) -> None:
        clock.advance(5)
        check_point(conn, ctx)
        seen.append((row(db).updated_at, stamp(clock.now())))

    runner = make_runner(phase)
    runner.create({})
    drive(runner)

    assert seen[0][0] == seen[0][1]


# --- losing the run ---


def test_a_phase_whose_run_was_taken_by_another_owner_writes_nothing_more(
    make_runner: MakeRunner, db: Path
) -> None:
    def robbed(conn: sqlite3.Connection, ctx: Any) -> None:
        first._owner.close()
        second.recover()
        assert second.wait()
        writes(1)(conn, ctx)
        ctx.checkpoint()

    first, second = make_runner(robbed), make_runner(writes(2))
    first._recovery = second._recovery
    first.create({})

    with pytest.raises(RunMovedOn, match="no longer in 'phase_1' under this owner"):
        first.step(1)

    assert items(db) == [2]
    assert row(db).status == "completed"


def test_a_phase_that_swallows_the_loss_writes_nothing_at_its_end_either(
    make_runner: MakeRunner, db: Path
) -> None:
    def robbed(conn: sqlite3.Connection, ctx: Any) -> None:
        first._owner.close()
        second.recover()
        assert second.wait()
        swallowing(writes(1), check_point, writes(3))(conn, ctx)

    first, second = make_runner(robbed), make_runner(writes(2))
    first.create({})

    with pytest.raises(RunMovedOn):
        first.step(1)

    assert items(db) == [2]


def test_a_failure_that_can_not_be_written_is_said(make_runner: MakeRunner, db: Path) -> None:
    with closing(sqlite3.connect(db, isolation_level=None)) as holder:

        def locked_out(conn: sqlite3.Connection, _ctx: Any) -> None:
            with engine_of(conn):
                conn.execute("PRAGMA busy_timeout = 0")
            holder.execute("BEGIN IMMEDIATE")
            raise ValueError("the phase's own")

        runner = make_runner(locked_out)
        runner.create({})

        with pytest.raises(FailureUnrecorded, match=r"run 1 failed \(the phase's own\).*database is locked"):
            runner.step(1)

    assert row(db).status == "running"
