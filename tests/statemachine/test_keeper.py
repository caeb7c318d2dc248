"""What a runner does beside driving: failures written late, news for subscribers, and its own end."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from statemachine.connection import engine_of
from statemachine.contract import RunMovedOn
from statemachine.errors import DatabaseUnusable, StoreBusy
from statemachine.keeper import KEEPER_S
from statemachine.ledger import Ledger
from statemachine.live import Outcome
from statemachine.roster import RETRY_S
from statemachine.subscribers import NOTIFY_S
from tests.fakes import FakeClock
from tests.statemachine.conftest import (
    Gate,
    MakeRunner,
    check_point,
    drive,
    history,
    items,
    raises,
    row,
    then,
    writes,
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Don't wait for a lock that only the test frees."""
    monkeypatch.setitem(Ledger.writing.__wrapped__.__kwdefaults__, "patience_s", 0.01)  # type: ignore[attr-defined]  # functools.wraps


@pytest.fixture
def holder(db: Path) -> Iterator[sqlite3.Connection]:
    """Somebody who holds the write lock while the test wants it: the database refuses every write."""
    db.touch()
    with closing(sqlite3.connect(db, isolation_level=None, check_same_thread=False)) as made:
        yield made


def locks_out(holder: sqlite3.Connection) -> Any:
    """Return what a phase does last, so that its outcome can't be written."""

    def phase(conn: sqlite3.Connection, _ctx: Any) -> None:
        with engine_of(conn):
            conn.execute("PRAGMA busy_timeout = 0")
        holder.execute("BEGIN IMMEDIATE")

    return phase


# --- failures that could not be written ---


def warns(_conn: sqlite3.Connection, ctx: Any) -> None:
    ctx.warn("slow", "and then the disk was full")


@pytest.mark.parametrize(
    ("ends", "code", "trigger"),
    [
        ("raises", "error", "fail"),
        ("is late", "timeout", "time_out"),
        ("is cancelled", "cancelled", "cancel"),
    ],
)
def test_a_failure_that_could_not_be_written_is_seen_at_once_and_written_later_whole(
    make_runner: MakeRunner,
    clock: FakeClock,
    db: Path,
    holder: sqlite3.Connection,
    ends: str,
    code: str,
    trigger: str,
) -> None:
    bodies = {
        "raises": raises(ValueError("the phase's own")),
        "is late": lambda *_: clock.advance(3600),
        "is cancelled": lambda *_: runner.cancel(1) and None,
    }
    runner = make_runner(then(warns, locks_out(holder), bodies[ends]))
    runner.start({})
    assert runner.wait()

    live = runner.live(1)
    assert live is not None
    assert live.failure is not None
    assert live.failure[0] == code
    assert row(db).status == "running"
    assert runner.readiness()["unrecorded_failures"] == [1]
    assert runner.readiness()["active_runs"] == [1]

    holder.execute("ROLLBACK")
    clock.advance(RETRY_S)
    runner.keep()

    run = row(db)
    assert (run.status, run.error_code, run.error_message) == ("failed", code, live.failure[1])
    assert [each["message"] for each in run.warnings or ()] == ["and then the disk was full"]
    assert history(db)[-1].trigger == trigger
    assert runner.live(1) is None
    assert runner.readiness()["unrecorded_failures"] == []
    if ends == "raises":
        assert "Traceback" in (history(db)[-1].detail or {})["traceback"]


def test_while_a_failure_waits_to_be_written_the_slot_is_taken_and_free_again_after_it(
    make_runner: MakeRunner, clock: FakeClock, holder: sqlite3.Connection, db: Path
) -> None:
    fails = [True]

    def phase(conn: sqlite3.Connection, ctx: Any) -> None:
        if fails.pop():
            fails.append(False)
            locks_out(holder)(conn, ctx)
            raise ValueError

    runner = make_runner(phase)
    runner.start({})
    assert runner.wait()
    for _ in range(2):
        with pytest.raises(Exception, match="run 1 is still active"):
            runner.start({})
    assert runner.recover() == []

    holder.execute("ROLLBACK")
    clock.advance(RETRY_S)
    runner.keep()

    assert runner.start({}).id == 2


def test_the_tries_to_write_a_failure_come_further_and_further_apart(
    make_runner: MakeRunner, clock: FakeClock, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner(writes(1))
    run = runner.create({})
    tries: list[float] = []

    def full(*_: object) -> None:
        tries.append(clock.monotonic())
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(runner._keeper, "settle", full)
        runner._keeper.keep_trying(runner._new_live(run), Outcome(trigger="fail", code="error", message="x"))
        for _ in range(300):
            assert runner.keep() == KEEPER_S
            clock.advance(KEEPER_S)

    assert tries[:8] == [0, 1, 3, 7, 15, 31, 63, 123]
    clock.advance(RETRY_S)
    runner.keep()
    assert row(db).status == "failed"


def test_a_failure_is_written_on_a_fresh_connection_where_the_old_one_is_broken(
    make_runner: MakeRunner, clock: FakeClock, db: Path
) -> None:
    runner = make_runner(writes(1))
    run = runner.create({})
    runner._ledger._conn.close()

    runner._keeper.keep_trying(runner._new_live(run), Outcome(trigger="fail", code="error", message="x"))
    runner.keep()
    clock.advance(RETRY_S)
    runner.keep()

    assert row(db).status == "failed"


def test_a_fresh_connection_that_can_not_be_had_leaves_the_old_one(
    make_runner: MakeRunner, clock: FakeClock, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner(writes(1))
    run = runner.create({})

    def no_files(*_: object, **__: object) -> None:
        raise DatabaseUnusable("no files left")

    def busy(*_: object) -> None:
        raise StoreBusy("busy")

    with monkeypatch.context() as patch:
        patch.setattr("statemachine.ledger.connect", no_files)
        patch.setattr(runner._keeper, "settle", busy)
        runner._keeper.keep_trying(runner._new_live(run), Outcome(trigger="fail", code="error", message="x"))
        runner.keep()

    clock.advance(RETRY_S)
    runner.keep()
    assert row(db).status == "failed"


def test_a_failure_of_a_run_that_has_moved_on_meanwhile_is_not_written(
    make_runner: MakeRunner, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner(writes(1))
    run = runner.create({})
    outcome = Outcome(trigger="fail", code="error", message="x")

    def moved(*_: object) -> None:
        raise RunMovedOn("moved")

    with monkeypatch.context() as patch:
        patch.setattr(runner._keeper, "settle", moved)
        runner._keeper.keep_trying(runner._new_live(run), outcome)
        runner.keep()
    assert runner.readiness()["unrecorded_failures"] == []

    drive(runner)
    runner._keeper.keep_trying(runner._new_live(run), outcome)
    runner.keep()
    assert row(db).status == "completed"
    assert runner.readiness()["unrecorded_failures"] == []


def test_a_run_that_can_not_even_be_driven_fails_with_its_reason(
    make_runner: MakeRunner,
    clock: FakeClock,
    db: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    runner = make_runner(writes(1), secrets=["hunter22"])

    def no_files() -> None:
        raise DatabaseUnusable("too many open files, says hunter22")

    monkeypatch.setattr(runner._threads, "_connection", no_files)
    runner.start({})
    assert runner.wait()
    runner.keep()

    assert row(db).error_message == "too many open files, says ***"
    assert "run 1 could not be driven" in caplog.text
    assert "DatabaseUnusable: too many open files, says ***" in caplog.text


def test_a_thread_whose_run_was_moved_on_leaves_it_with_a_word(
    make_runner: MakeRunner, db: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate(after=check_point)
    runner, other = make_runner(gate), make_runner(writes(2))
    runner.start({})
    gate.until_entered()
    runner._owner.close()
    other.recover()
    assert other.wait()

    gate.go.set()

    assert runner.wait()
    assert "run 1 was left: run 1 is no longer in 'phase_1' under this owner" in caplog.text
    assert row(db).status == "completed"
    assert items(db) == [2]


# --- the keeper's thread ---


def test_the_keeper_goes_on_after_it_has_stumbled(
    make_runner: MakeRunner,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked, stumbled = threading.Event(), threading.Event()
    gate = Gate()
    runner = make_runner(gate)

    def keep() -> float:
        if not stumbled.is_set():
            stumbled.set()
            raise ValueError("stumbled")
        looked.set()
        return KEEPER_S

    monkeypatch.setattr(runner._keeper, "keep", keep)
    runner.start({})
    gate.until_entered()
    assert stumbled.wait(60)
    clock.until_somebody_waits()
    clock.advance(KEEPER_S)

    assert looked.wait(60)
    assert "the keeper stumbled; it goes on" in caplog.text
    gate.go.set()
    assert runner.wait()


def test_looks_take_turns_so_that_none_owes_again_what_another_has_paid(
    make_runner: MakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner(writes(1))
    looking, go = threading.Event(), threading.Event()
    order: list[str] = []

    def look() -> None:
        order.append("begins")
        looking.set()
        assert go.wait(60)
        order.append("ends")

    monkeypatch.setattr(runner._keeper, "_look", look)
    first, second = (threading.Thread(target=runner.keep) for _ in range(2))
    first.start()
    assert looking.wait(60)
    second.start()
    assert runner._keeper._turn.locked(), "the second one waits for the first"
    go.set()
    first.join()
    second.join()

    assert order == ["begins", "ends", "begins", "ends"]


def test_one_keeper_is_enough_and_a_daemon(make_runner: MakeRunner) -> None:
    runner = make_runner(writes(), max_active_runs=3)
    for _ in range(3):
        runner.start({})
    assert runner.wait()

    keepers = [each for each in threading.enumerate() if each is runner._keeper._thread]
    assert [each.daemon for each in keepers] == [True]


# --- news ---


def test_subscribers_hear_of_every_commit_and_of_the_end(make_runner: MakeRunner, db: Path) -> None:
    heard: list[tuple[int, str, int]] = []
    runner = make_runner(then(check_point, check_point), writes(1))
    undo = runner.subscribe(lambda run_id: heard.append((run_id, row(db).state, row(db).version)))
    runner.start({})
    assert runner.wait()

    assert [state for _, state, _ in heard][:4] == ["phase_1", "phase_1", "phase_2", "completed"]
    undo()
    undo()
    runner.start({})
    assert runner.wait()
    assert {run_id for run_id, *_ in heard} == {1}


def test_progress_is_told_now_and_then_only(make_runner: MakeRunner, clock: FakeClock) -> None:
    heard: list[float] = []

    def phase(_conn: sqlite3.Connection, ctx: Any) -> None:
        heard.clear()
        for number in range(1000):
            ctx.progress(number)
            clock.advance(NOTIFY_S / 100)
        step = runner.live(1)
        assert step is not None
        assert step.step is not None
        assert step.step.current == 999

    runner = make_runner(phase)
    runner.subscribe(lambda _run_id: heard.append(clock.monotonic()))
    runner.start({})
    assert runner.wait()

    assert 10 <= len(heard) <= 13


def test_a_subscriber_that_raises_harms_neither_the_run_nor_the_others(
    make_runner: MakeRunner, db: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[int] = []
    runner = make_runner(then(lambda _conn, ctx: ctx.progress(1), writes(1)))
    runner.subscribe(lambda run_id: [][run_id])
    runner.subscribe(heard.append)
    runner.start({})

    assert runner.wait()
    assert row(db).status == "completed"
    assert heard
    assert "a subscriber of run 1 failed" in caplog.text


def test_a_run_settled_from_outside_is_told_too(make_runner: MakeRunner) -> None:
    heard: list[int] = []
    runner = make_runner(writes(1))
    runner.subscribe(heard.append)
    runner.create({})

    runner.cancel(1)

    assert heard == [1]


# --- readiness and the end ---


def test_readiness_says_what_the_process_is_busy_with(make_runner: MakeRunner) -> None:
    gate = Gate()
    runner = make_runner(gate)
    runner.start({})
    gate.until_entered()

    busy = runner.readiness()
    runner.request_stop()
    stopping = runner.readiness()
    gate.go.set()

    assert busy == {
        "ready": True,
        "active_runs": [1],
        "unrecorded_failures": [],
        "abandoned_threads": 0,
        "sqlite_version": sqlite3.sqlite_version,
        "registry": runner.registry.fingerprint,
    }
    assert not stopping["ready"]


def test_closing_waits_for_the_runs_and_lets_everything_go(make_runner: MakeRunner, db: Path) -> None:
    gate = Gate(after=check_point)
    runner = make_runner(gate)
    runner.start({})
    gate.until_entered()
    closing_it = threading.Thread(target=runner.close)
    closing_it.start()
    gate.go.set()
    closing_it.join()

    assert row(db).owner is None
    assert not runner.readiness()["ready"]
    assert runner._keeper._thread is not None
    assert not runner._keeper._thread.is_alive()
    with pytest.raises(sqlite3.ProgrammingError):
        runner.start({})


def test_a_runner_that_never_ran_anything_closes_too_and_twice(make_runner: MakeRunner) -> None:
    runner = make_runner(writes(1))
    runner.close()
    runner.close()


def test_waiting_can_be_given_up(make_runner: MakeRunner, clock: FakeClock) -> None:
    gate = Gate()
    runner = make_runner(gate)
    runner.start({})
    gate.until_entered()
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(runner.wait(5)))
    waiting.start()
    clock.until_somebody_waits(runner._roster.idle)
    clock.advance(5)
    waiting.join()
    gate.go.set()

    assert answers == [False]
    assert runner.wait()


def test_a_lock_file_that_can_not_be_written_is_refused_in_words(make_runner: MakeRunner, db: Path) -> None:
    make_runner(writes(1)).close()
    Path(f"{db}-owner").unlink()
    Path(f"{db}-owner").mkdir()

    with pytest.raises(DatabaseUnusable, match=r"can't lock .*-owner: .*check the permissions"):
        make_runner(writes(1))


def test_the_system_clock_drives_a_real_runner(make_runner: MakeRunner, db: Path) -> None:
    runner = make_runner(writes(1), clock=None, executor="threads")
    runner.start({})

    assert runner.wait(60)
    assert row(db).status == "completed"
    assert row(db).started_at.endswith("Z")


def test_the_engine_keeps_the_chatter_of_transitions_down() -> None:
    assert not logging.getLogger("transitions").isEnabledFor(logging.INFO)
