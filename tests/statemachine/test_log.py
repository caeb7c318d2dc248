"""What the log says of a run: whole lines, each with the run, the phase and the attempt that it is about."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from statemachine.connection import connect
from statemachine.contract import RunMovedOn
from statemachine.errors import DatabaseUnusable, IllegalTransition
from statemachine.ledger import Ledger
from statemachine.live import Limits, Outcome
from tests.fakes import FakeClock
from tests.statemachine.conftest import Gate, MakeRunner, check_point, drive, raises, then, writes
from tests.statemachine.test_keeper import locks_out

Lines = Callable[[], list[tuple[str, str]]]
LOCKED = "database is locked"
ABOUT = {"run_id": 1, "phase": "phase_1", "attempt": 1}


@pytest.fixture(name="lines")
def lines_of_runs(caplog: pytest.LogCaptureFixture) -> Lines:
    """Return the level and the first line of each record about run 1, having seen what else it carries."""
    caplog.set_level(logging.INFO, "phaseline.run")

    def lines() -> list[tuple[str, str]]:
        records = [each for each in caplog.records if each.name == "phaseline.run"]
        for each in records:
            if each.getMessage().startswith(("run ", "the failure of run ")):
                assert {name: getattr(each, name, None) for name in ABOUT} == ABOUT, each.getMessage()
        return [(each.levelname, each.getMessage().split("\n")[0]) for each in records]

    return lines


def test_a_phase_that_raises(make_runner: MakeRunner, lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    runner = make_runner(raises(ValueError("no such ticker")))
    runner.create({})
    drive(runner)

    assert lines() == [("ERROR", "run 1: fail in 'Phase 1': no such ticker")]
    assert caplog.records[-1].getMessage().split("\n")[1] == "Traceback (most recent call last):"
    assert caplog.records[-1].getMessage().endswith("ValueError: no such ticker\n")
    assert caplog.records[-1].__dict__["action"] == "fail"


def test_a_phase_that_is_late(make_runner: MakeRunner, clock: FakeClock, lines: Lines) -> None:
    runner = make_runner(lambda *_: clock.advance(4000))
    runner.create({})
    drive(runner)

    assert lines() == [
        ("WARNING", "run 1 has passed its 30-minute soft limit; it goes on until its 60-minute limit"),
        ("ERROR", "run 1: time_out in 'Phase 1': Pipeline exceeded 60-minute timeout"),
    ]


def test_a_run_that_is_cancelled(
    make_runner: MakeRunner, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    runner = make_runner(lambda _conn, ctx: runner.cancel(ctx.run_id) and None)
    runner.create({})
    drive(runner)

    assert lines() == [("INFO", "run 1: cancel in 'Phase 1': Cancelled on request")]
    assert caplog.records[-1].getMessage().count("\n") == 0, "nothing went wrong, so there is no traceback"


def test_a_run_that_is_stopped(make_runner: MakeRunner, lines: Lines) -> None:
    gate = Gate(after=check_point)
    runner = make_runner(gate)
    runner.start({})
    gate.until_entered()
    runner.request_stop()
    gate.go.set()
    assert runner.wait()

    assert lines() == [("INFO", "run 1 stopped; it goes on at the next start")]


def test_a_run_that_is_stopped_on_a_full_disk(
    make_runner: MakeRunner, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("statemachine.driver.Driver.release", full)
    gate = Gate(after=check_point)
    runner = make_runner(gate)
    runner.start({})
    gate.until_entered()
    runner.request_stop()
    gate.go.set()
    assert runner.wait()

    assert lines() == [
        ("WARNING", "run 1 stopped, which will count as a crash: database or disk is full"),
    ]


def test_a_run_that_goes_on_after_a_crash(make_runner: MakeRunner, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "phaseline.run")
    first = make_runner(writes(1))
    first.create({})
    first._owner.close()  # as if its process had died
    second = make_runner(writes(1))
    second.recover()
    assert second.wait()

    (line,) = caplog.records
    assert (line.levelname, line.getMessage()) == ("INFO", "run 1 goes on in 'Phase 1'")
    assert {name: getattr(line, name, None) for name in ABOUT} == ABOUT | {"attempt": 2}


@pytest.mark.parametrize("why", [sqlite3.OperationalError("busy"), IllegalTransition(1, "resume", "x", ())])
def test_a_run_that_can_not_be_taken_over(
    make_runner: MakeRunner, lines: Lines, monkeypatch: pytest.MonkeyPatch, why: Exception
) -> None:
    first = make_runner(writes(1))
    first.create({})
    first._owner.close()

    def refuse(*_: object, **__: object) -> None:
        raise why

    monkeypatch.setattr("statemachine.desk.take_over", refuse)

    assert make_runner(writes(1)).recover() == []
    assert lines() == [("WARNING", f"run 1 can't be taken over: {why}")]


def test_a_phase_that_is_abandoned(make_runner: MakeRunner, clock: FakeClock, lines: Lines) -> None:
    gate = Gate()
    runner = make_runner(gate, limits=Limits(soft_s=10**6, hard_s=10, abandon_after_s=2.5))
    runner.start({})
    gate.until_entered()
    clock.advance(12.5)
    runner.keep()
    gate.go.set()

    assert lines() == [
        (
            "ERROR",
            (
                "run 1: its phase was still running 2.5 s after the hard limit and is abandoned; "
                "the thread left behind can't write any more"
            ),
        )
    ]


@pytest.mark.parametrize(
    ("full", "end"),
    [
        (False, "its process ends, and it goes on at the next start from its last check point"),
        (True, "its process ends, which will count as a crash: database or disk is full"),
    ],
)
def test_a_phase_that_is_cut_off(
    make_runner: MakeRunner,
    clock: FakeClock,
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
    full: bool,
    end: str,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    gate = Gate()
    runner = make_runner(gate, limits=Limits(stop_grace_s=2.5))
    runner.start({})
    gate.until_entered()
    if full:
        monkeypatch.setattr(Ledger, "writing", refuse)
    runner.request_stop()
    runner.keep()
    clock.advance(2.5)
    runner.keep()
    gate.go.set()

    assert lines() == [
        (
            "WARNING",
            f"run 1: its phase reached no check point for 2.5 s after the wish to stop and is cut off; {end}",
        )
    ]


def test_a_failure_that_can_not_be_written(make_runner: MakeRunner, lines: Lines, db: Path) -> None:
    make_runner(writes(1))
    with closing(connect(db, sqlite3.Connection)) as holder:
        runner = make_runner(then(locks_out(holder), raises(ValueError("its own"))))
        runner.start({})
        assert runner.wait()
        holder.execute("ROLLBACK")
        runner.keep()

    said = lines()
    assert said[:2] == [
        ("ERROR", "run 1: fail in 'Phase 1': its own"),
        ("ERROR", f"run 1 failed (its own) and the database could not take it: {LOCKED}; it is tried again"),
    ]
    busy = "the database is busy with another write; try again in a moment"
    assert set(said[2:]) <= {("WARNING", f"the failure of run 1 still can't be written: {busy}")}


def test_a_failure_that_still_can_not_be_written(
    make_runner: MakeRunner, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise DatabaseUnusable("no more files")

    runner = make_runner(writes(1))
    run = runner.create({})
    monkeypatch.setattr(runner._keeper, "settle", refuse)
    with runner._roster.adopting() as adopt:
        adopt(run)
        live = runner.live(1)
        assert live is not None
        live.phase = "phase_1"
        runner._keeper.fail(live, Outcome(trigger="fail", code="error", message="its own"))

    assert lines() == [("WARNING", "the failure of run 1 still can't be written: no more files")]


def test_a_run_that_can_not_even_be_driven(
    make_runner: MakeRunner, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_files() -> None:
        raise DatabaseUnusable("too many open files")

    runner = make_runner(writes(1))
    monkeypatch.setattr(runner._threads, "_connection", no_files)
    runner.start({})
    assert runner.wait()

    line = caplog.records[0]
    assert line.levelname == "ERROR"
    assert line.getMessage().startswith("run 1 could not be driven\nTraceback (most recent call last):\n")
    assert line.getMessage().endswith("statemachine.errors.DatabaseUnusable: too many open files\n")
    assert line.__dict__["run_id"] == 1


def test_a_run_that_has_moved_on(
    make_runner: MakeRunner, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise RunMovedOn("somebody else has it")

    runner = make_runner(writes(1))
    monkeypatch.setattr("statemachine.driver.Driver._take", gone)
    gate = Gate()
    runner = make_runner(gate)
    runner.start({})
    gate.until_entered()
    gate.go.set()
    assert runner.wait()

    assert lines() == [("ERROR", "run 1 was left: somebody else has it")]


def test_a_refused_step_that_has_to_wait(make_runner: MakeRunner, lines: Lines, db: Path) -> None:
    runner = make_runner(writes(1))
    runner.create({})
    drive(runner)
    with closing(connect(db, sqlite3.Connection)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(IllegalTransition):
            runner.cancel(1)

    assert lines()[0] == (
        "INFO",
        "1 refused steps wait to be recorded: the database is busy with another write; try again in a moment",
    )


def test_a_subscriber_that_raises(make_runner: MakeRunner, caplog: pytest.LogCaptureFixture) -> None:
    def bad(_run_id: int) -> None:
        raise ValueError("bad subscriber")

    runner = make_runner(writes(1))
    runner.subscribe(bad)
    runner.start({})
    assert runner.wait()

    assert {(each.levelname, each.getMessage(), each.__dict__["run_id"]) for each in caplog.records} == {
        ("ERROR", "a subscriber of run 1 failed", 1)
    }
    assert caplog.records[0].exc_info is not None


def test_the_threads_have_names(make_runner: MakeRunner) -> None:
    seen: dict[str, bool] = {}

    def phase(_conn: sqlite3.Connection, _ctx: Any) -> None:
        here = threading.current_thread()
        seen[here.name] = here.daemon
        seen.update({each.name: each.daemon for each in threading.enumerate() if "keeper" in each.name})

    runner = make_runner(phase)
    runner.start({})
    assert runner.wait()

    assert seen == {"phaseline-run-1": False, "phaseline-keeper": True}
