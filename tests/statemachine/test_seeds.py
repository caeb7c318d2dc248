"""The acceptance criteria of the two seeds, one test each, on real threads and a real database."""

from __future__ import annotations

import logging
import re
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from statemachine.clock import stamp
from tests.fakes import FakeClock
from tests.statemachine.conftest import Gate, MakeRunner, history, items, row, writes

MINUTE_S = 60.0


def ended(runner: Any, run_id: int = 1) -> Any:
    assert runner.wait()
    return row(runner.db, run_id)


def order(said: list[str]) -> list[str]:
    """Return the kinds of statement that were traced, each where it first came (triggers repeat them)."""
    return list(dict.fromkeys(re.sub(r"/\*.*?\*/", "", each).split()[0] for each in said))


# --- story 007-005 ---


def test_the_background_thread_uses_its_own_connection_with_wal_and_foreign_keys(
    make_runner: MakeRunner,
) -> None:
    seen: dict[str, Any] = {}

    def phase(conn: sqlite3.Connection, _ctx: Any) -> None:
        seen["pragmas"] = [
            conn.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "foreign_keys")
        ]
        seen["connection"], seen["thread"] = conn, threading.get_ident()
        conn.execute("CREATE TABLE child (item REFERENCES items (item))")
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            conn.execute("INSERT INTO child VALUES (7)")

    runner = make_runner(phase)
    runner.start({})

    assert ended(runner).status == "completed"
    assert seen["pragmas"] == ["wal", 1]
    assert seen["thread"] != threading.get_ident()
    assert seen["connection"] not in (runner._ledger._conn, runner._ledger._reader.conn)


def test_phases_are_callables_in_a_list_and_run_one_after_the_other(make_runner: MakeRunner) -> None:
    called_in_order: list[str] = []

    def called(name: str) -> Any:
        def phase(_conn: sqlite3.Connection, _ctx: Any) -> None:
            called_in_order.extend([f"{name} begins", f"{name} ends"])

        return phase

    runner = make_runner(
        (1, "First", called("first")), (2, "Second", called("second")), (7, "Third", called("third"))
    )
    runner.start({})

    assert ended(runner).status == "completed"
    assert called_in_order == [
        f"{name} {what}" for name in ("first", "second", "third") for what in ("begins", "ends")
    ]


@pytest.mark.parametrize("kind", [RuntimeError, SystemExit])
def test_any_unhandled_exception_sets_failed_with_its_message_and_the_full_trace_is_logged(
    make_runner: MakeRunner, caplog: pytest.LogCaptureFixture, kind: type[BaseException]
) -> None:
    def deep(depth: int) -> None:
        if depth == 0:
            raise kind("Reddit is down")
        deep(depth - 1)

    runner = make_runner(lambda _conn, _ctx: deep(3))
    runner.start({})

    run = ended(runner)
    assert (run.status, run.error_code, run.error_message) == ("failed", "error", "Reddit is down")
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.getMessage().count("in deep") == 4
    assert f"{kind.__name__}: Reddit is down" in record.getMessage()
    assert record.run_id == run.id  # type: ignore[attr-defined]  # from `extra`


def test_at_each_boundary_the_row_says_number_label_and_progress(make_runner: MakeRunner, db: Path) -> None:
    shown: list[tuple[Any, ...]] = []

    def look(_conn: sqlite3.Connection, _ctx: Any) -> None:
        run = row(db)
        shown.append((run.current_phase, run.phase_label, run.progress_current, run.progress_total))

    runner = make_runner((1, "Fetching Reddit", look), (2, "Analyzing comments", look), (6, "Prices", look))
    runner.start({})
    run = ended(runner)
    shown.append((run.current_phase, run.phase_label, run.progress_current, run.progress_total))

    assert shown == [
        (1, "Fetching Reddit", 1, 3),
        (2, "Analyzing comments", 2, 3),
        (6, "Prices", 3, 3),
        (6, "Prices", 3, 3),
    ]


def test_a_60_minute_hard_timeout_fails_the_run_with_the_exact_text(
    make_runner: MakeRunner, clock: FakeClock
) -> None:
    runner = make_runner(lambda _conn, _ctx: clock.advance(60 * MINUTE_S), writes(2))
    runner.start({})

    run = ended(runner)
    assert (run.status, run.error_code) == ("failed", "timeout")
    assert run.error_message == "Pipeline exceeded 60-minute timeout"


def test_a_30_minute_soft_warning_is_logged_once_in_mid_phase_and_stops_nothing(
    make_runner: MakeRunner, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    warned = threading.Event()

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno == logging.WARNING:
                warned.set()

    first, second = Gate(), Gate()
    runner = make_runner(first, second)
    logger, told = logging.getLogger("phaseline.run"), Told()
    logger.addHandler(told)
    try:
        runner.start({})
        first.until_entered()
        clock.until_somebody_waits()
        clock.advance(30 * MINUTE_S)

        assert warned.wait(60), "in the middle of the phase, by the keeper's own thread"
        assert row(runner.db).status == "running"
        first.go.set()
        second.until_entered()
        clock.advance(10 * MINUTE_S)
        second.go.set()
        run = ended(runner)
    finally:
        logger.removeHandler(told)

    assert run.status == "completed"
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("run 1 has passed its 30-minute soft limit")


def test_on_completion_the_status_is_completed_with_its_time(
    make_runner: MakeRunner, clock: FakeClock
) -> None:
    runner = make_runner(lambda _conn, _ctx: clock.advance(5), lambda _conn, _ctx: clock.advance(7))
    runner.start({})

    run = ended(runner)
    assert (run.status, run.state, run.error_message) == ("completed", "completed", None)
    assert run.completed_at == stamp(clock.now()) == "2025-03-12T18:00:12.000Z"


def test_a_timeout_during_a_transaction_rolls_it_back_before_failed_is_written(
    make_runner: MakeRunner, clock: FakeClock
) -> None:
    said: list[str] = []

    def phase(conn: sqlite3.Connection, ctx: Any) -> None:
        writes(1)(conn, ctx)
        clock.advance(61 * MINUTE_S)
        conn.set_trace_callback(said.append)

    runner = make_runner(phase)
    runner.start({})

    assert ended(runner).error_code == "timeout"
    assert items(runner.db) == []
    assert order(said) == ["ROLLBACK", "BEGIN", "UPDATE", "INSERT", "COMMIT"]


def test_the_phase_in_progress_may_finish_before_the_timeout_ends_the_run(
    make_runner: MakeRunner, clock: FakeClock
) -> None:
    done: list[str] = []

    def late(conn: sqlite3.Connection, ctx: Any) -> None:
        clock.advance(60 * MINUTE_S + 1)
        done.append("past the limit")
        writes(1)(conn, ctx)
        ctx.checkpoint()
        done.append("to its end")

    runner = make_runner(late, lambda _conn, _ctx: done.append("next"))
    runner.start({})

    assert ended(runner).error_code == "timeout"
    assert done == ["past the limit", "to its end"]
    assert items(runner.db) == [1], "what a check point made durable stays"


# --- task 007-005-01 ---


def test_the_registry_is_an_ordered_list_of_plain_tuples(make_runner: MakeRunner) -> None:
    runner = make_runner((1, "Fetching Reddit", writes(1)), (2, "Analyzing comments", writes(2)))

    assert [tuple(phase)[:2] for phase in runner.registry.phases] == [
        (1, "Fetching Reddit"),
        (2, "Analyzing comments"),
    ]
    assert runner.registry.states == ("fetching_reddit", "analyzing_comments")


def test_each_phase_receives_the_connection_and_the_run_context(make_runner: MakeRunner) -> None:
    def phase(conn: sqlite3.Connection, ctx: Any) -> None:
        assert isinstance(conn, sqlite3.Connection)
        assert (ctx.run_id, ctx.params) == (1, {"subreddit": "stocks"})
        ctx.warnings.append({"type": "a", "message": "of the phase's own making"})
        ctx.warn("rate_limited", "waited", seconds=3)
        ctx.results["comments"] = 12

    runner = make_runner(phase)
    runner.start({"subreddit": "stocks"})

    run = ended(runner)
    assert run.results == {"comments": 12}
    assert run.warnings == [
        {"type": "a", "message": "of the phase's own making"},
        {
            "type": "rate_limited",
            "message": "waited",
            "timestamp": "2025-03-12T18:00:00.000Z",
            "context": {"seconds": 3},
        },
    ]


def test_an_exception_during_a_transaction_rolls_back_before_failed_is_written(
    make_runner: MakeRunner,
) -> None:
    said: list[str] = []

    def phase(conn: sqlite3.Connection, ctx: Any) -> None:
        writes(1)(conn, ctx)
        conn.set_trace_callback(said.append)
        raise ValueError("half way")

    runner = make_runner(phase)
    runner.start({})

    assert ended(runner).error_message == "half way"
    assert items(runner.db) == []
    assert order(said) == ["ROLLBACK", "BEGIN", "UPDATE", "INSERT", "COMMIT"]


def test_the_rows_of_a_phase_and_the_record_of_its_boundary_are_one_commit(make_runner: MakeRunner) -> None:
    said: list[str] = []

    def phase(conn: sqlite3.Connection, ctx: Any) -> None:
        conn.set_trace_callback(said.append)
        conn.execute("INSERT INTO items VALUES (1)")

    runner = make_runner(phase)
    runner.start({})

    assert ended(runner).status == "completed"
    assert order(said) == ["BEGIN", "INSERT", "UPDATE", "COMMIT"]
    assert sum("COMMIT" in each for each in said) == 1
    assert [event.trigger for event in history(runner.db)] == ["start", "advance"]


def test_the_thread_is_a_threading_thread_and_no_daemon(make_runner: MakeRunner) -> None:
    threads: list[threading.Thread] = []
    runner = make_runner(lambda _conn, _ctx: threads.append(threading.current_thread()))
    runner.start({})

    assert ended(runner).status == "completed"
    assert type(threads[0]) is threading.Thread
    assert not threads[0].daemon


PROGRAM = """
import sys, threading
from pathlib import Path
from statemachine.registry import Registry
from statemachine.runner import Runner

def first(conn, ctx):
    threading.main_thread().join()

def second(conn, ctx):
    conn.execute("CREATE TABLE proof (x)")

Runner(Path(sys.argv[1]), Registry.of([(1, "First", first), (2, "Second", second)])).start({})
"""


@pytest.mark.slow
def test_the_thread_completes_the_run_after_the_main_thread_has_ended(db: Path) -> None:
    subprocess.run([sys.executable, "-c", PROGRAM, db], timeout=60, check=True)

    assert row(db).status == "completed"
