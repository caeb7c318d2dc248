"""What becomes of a run whose process died, and of one that was stopped on purpose."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from statemachine.contract import RunStopping
from statemachine.errors import StoreBusy
from statemachine.runner import Runner
from statemachine.verify import verify
from tests.statemachine.conftest import (
    Body,
    Gate,
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

INTERRUPTED = "Process restart detected; previous run did not complete"


def die(runner: Runner) -> None:
    """What the operating system does for a process that dies."""
    runner._owner.close()


@pytest.fixture
def crashed(make_runner: MakeRunner) -> Callable[..., Runner]:
    """Make a run whose process died in its first phase, and another runner."""

    def make(*phases: Body, **settings: Any) -> Runner:
        first = make_runner(*phases)
        first.create({})
        die(first)
        return make_runner(*phases, **settings)

    return make


# --- resume ---


def test_a_run_whose_process_died_goes_on_in_the_phase_of_its_last_boundary(
    make_runner: MakeRunner, db: Path
) -> None:
    entered: list[int] = []
    phases = [then(lambda *_: entered.append(1), writes(1)), then(lambda *_: entered.append(2), writes(2))]
    first, second = make_runner(*phases), make_runner(*phases)
    first.create({})
    first.step(1)
    die(first)

    (taken,) = second.recover()

    assert (taken.state, taken.attempt) == ("phase_2", 2)
    assert second.wait()
    assert entered == [1, 2]
    assert items(db) == [1, 2]
    assert [(event.trigger, event.source, event.dest, event.attempt) for event in history(db)] == [
        ("start", "", "phase_1", 1),
        ("advance", "phase_1", "phase_2", 1),
        ("resume", "phase_2", "phase_2", 2),
        ("advance", "phase_2", "completed", 2),
    ]
    assert history(db)[2].detail == {"owner_died": True}


def test_what_was_check_pointed_is_there_when_the_phase_is_entered_again(
    make_runner: MakeRunner, db: Path
) -> None:
    def phase(conn: sqlite3.Connection, ctx: Any) -> None:
        done = ctx.results.get("done", 0)
        for item in range(done, 3):
            writes(item)(conn, ctx)
            ctx.results["done"] = item + 1
            ctx.warn("at", str(item))
            ctx.checkpoint()
            if item == 1 and done == 0:
                raise RunStopping("a simulated death: the step ends without an edge")

    first, second = make_runner(phase), make_runner(phase)
    first.create({})
    first._stopping.set()
    with pytest.raises(RunStopping):
        first.step(1)
    die(first)
    assert row(db).results == {"done": 1}

    assert drive(second).status == "completed"
    assert items(db) == [0, 1, 2]
    assert [each["message"] for each in row(db).warnings or ()] == ["0", "1", "2"]


def test_recovery_is_idempotent(crashed: Callable[..., Runner], db: Path) -> None:
    gate = Gate()
    runner = crashed(gate)
    assert [run.id for run in runner.recover()] == [1]
    gate.until_entered()
    before = row(db)

    assert runner.recover() == []

    assert row(db) == before
    gate.go.set()
    assert runner.wait()
    assert runner.recover() == []


def test_a_living_owners_run_is_never_touched(make_runner: MakeRunner, db: Path) -> None:
    gate = Gate()
    owner, other = make_runner(gate), make_runner(gate)
    owner.start({})
    gate.until_entered()
    before = row(db)

    assert other.recover() == []

    assert row(db) == before
    gate.go.set()
    assert owner.wait()


def test_two_runners_that_recover_at_once_take_a_run_over_once(
    crashed: Callable[..., Runner], make_runner: MakeRunner, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    first = crashed(gate)
    second = make_runner(gate)
    take_over = first._desk._taken_over

    def after_another(run: Any) -> Any:
        assert len(second.recover()) == 1
        return take_over(run)

    monkeypatch.setattr(first._desk, "_taken_over", after_another)

    assert first.recover() == []

    gate.go.set()
    assert second.wait()
    assert [event.trigger for event in history(db)] == ["start", "resume", "advance"]


def test_a_full_slot_is_freed_by_the_next_request_when_nobody_drives_its_run(
    crashed: Callable[..., Runner], db: Path
) -> None:
    runner = crashed(raises(ValueError("again")), recovery="fail")

    assert runner.start({}).id == 2
    assert row(db).error_code == "interrupted"


def test_a_run_of_this_process_that_has_lost_its_thread_is_recovered(
    make_runner: MakeRunner, db: Path
) -> None:
    runner = make_runner(writes(1))
    runner.create({})

    assert [run.attempt for run in runner.recover()] == [2]
    assert runner.wait()
    assert row(db).status == "completed"


def test_a_write_lock_that_is_taken_puts_recovery_off(
    crashed: Callable[..., Runner],
    db: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    runner = crashed(writes(1))

    def busy(_run: Any) -> Any:
        raise StoreBusy("busy")

    with monkeypatch.context() as patch:
        patch.setattr(runner._desk, "_taken_over", busy)
        assert runner.recover() == []
    assert "run 1 can't be taken over: busy" in caplog.text

    assert len(runner.recover()) == 1


def test_recovery_reads_only_where_nothing_is_to_be_done(make_runner: MakeRunner, db: Path) -> None:
    runner = make_runner(writes(1))
    with closing(sqlite3.connect(db, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")

        assert runner.recover() == []


def test_a_process_that_is_stopping_takes_nothing_over(crashed: Callable[..., Runner], db: Path) -> None:
    runner = crashed(writes(1))
    before = row(db)
    runner.request_stop()

    assert runner.recover() == []
    assert row(db) == before


def test_a_step_takes_a_dead_owners_run_over_and_the_next_one_runs_the_phase(
    crashed: Callable[..., Runner], db: Path
) -> None:
    runner = crashed(writes(1))

    assert runner.step(1).attempt == 2
    assert items(db) == []
    assert runner.step(1).status == "completed"
    assert items(db) == [1]


def test_a_step_that_comes_too_late_for_a_takeover_writes_nothing(
    crashed: Callable[..., Runner], make_runner: MakeRunner, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, quicker = crashed(writes(1)), make_runner(writes(1))
    is_alive = runner._owner.is_alive

    def meanwhile(token: str | None) -> bool:
        alive = is_alive(token)
        quicker.step(1)
        return alive

    monkeypatch.setattr("statemachine.owner.Owner.is_alive", lambda _self, token: is_alive(token))
    monkeypatch.setattr(runner._threads, "_new_driver", _with_owner(runner, meanwhile))

    with pytest.raises(BaseException, match="nothing was written"):
        runner.step(1)

    assert row(db).attempt == 2
    assert quicker.step(1).status == "completed"


def _with_owner(runner: Runner, is_alive: Callable[[str | None], bool]) -> Callable[..., Any]:
    make = runner._threads._new_driver

    class Asked:
        token = runner._owner.token

        def is_alive(self, token: str | None) -> bool:
            return is_alive(token)

    def driver(conn: Any, live: Any) -> Any:
        made = make(conn, live)
        made._owner = Asked()
        return made

    return driver


# --- attempts ---


def test_a_phase_is_entered_again_at_most_max_attempts_times(make_runner: MakeRunner, db: Path) -> None:
    attempts: list[int] = []
    runner = make_runner(writes(1), writes(2), max_attempts=2)
    runner.create({})
    runner.step(1)
    for _ in range(3):
        die(runner)
        runner = make_runner(writes(1), writes(2), max_attempts=2)
        attempts.append(runner.step(1).attempt)

    run = row(db)
    assert attempts == [2, 3, 3]
    assert (run.status, run.error_code) == ("failed", "attempts_exhausted")
    assert run.error_message == "'Phase 2' was entered 3 times and its process died each time"
    assert [event.trigger for event in history(db)] == ["start", "advance", "resume", "resume", "fail"]


def test_with_no_attempts_to_spare_the_first_crash_fails_the_run(
    crashed: Callable[..., Runner], db: Path
) -> None:
    runner = crashed(writes(1), max_attempts=0)

    assert [run.error_code for run in runner.recover()] == ["attempts_exhausted"]


def test_attempts_start_again_with_the_next_phase(make_runner: MakeRunner, db: Path) -> None:
    first = make_runner(writes(1), writes(2))
    first.create({})
    die(first)
    second = make_runner(writes(1), writes(2))
    second.step(1)
    assert row(db).attempt == 2

    second.step(1)

    assert row(db).attempt == 1


def test_attempts_start_again_with_a_persons_resume(make_runner: MakeRunner, db: Path) -> None:
    runner = make_runner(raises(ValueError()), max_attempts=0)
    runner.create({})
    die(runner)
    runner = make_runner(writes(1), max_attempts=0)
    runner.recover()
    assert row(db).error_code == "attempts_exhausted"

    assert runner.resume(1).attempt == 1
    assert runner.wait()
    assert row(db).status == "completed"


# --- fail ---


def test_recovery_can_be_set_to_fail(crashed: Callable[..., Runner], db: Path) -> None:
    runner = crashed(writes(1), recovery="fail")

    (run,) = runner.recover()

    assert (run.status, run.error_code, run.error_message, run.owner) == (
        "failed",
        "interrupted",
        INTERRUPTED,
        None,
    )
    assert history(db)[-1].trigger == "fail"
    assert items(db) == []
    assert runner.live(1) is None


@pytest.mark.parametrize("recovery", ["resume", "fail"])
def test_a_cancel_that_its_dead_owner_had_not_honoured_is_honoured_first(
    make_runner: MakeRunner, db: Path, recovery: str
) -> None:
    owner, other = (make_runner(writes(1), recovery=recovery) for _ in range(2))
    owner.create({})
    other.cancel(1)
    die(owner)

    (run,) = other.recover()

    assert (run.status, run.error_code) == ("failed", "cancelled")


# --- a deliberate stop ---


@pytest.mark.parametrize("after", [check_point, lambda _conn, ctx: ctx.raise_if_stopping(), writes(2)])
def test_a_run_that_is_stopped_on_purpose_goes_on_later_and_has_not_crashed(
    make_runner: MakeRunner, db: Path, after: Body
) -> None:
    gate = Gate(before=then(writes(1), check_point), after=then(writes(3), after))
    first = make_runner(swallowing(gate, what=sqlite3.IntegrityError), writes(4), shutdown="checkpoint")
    first.start({})
    gate.until_entered()

    first.stop()
    gate.go.set()

    assert first.wait()
    stopped = row(db)
    assert (stopped.status, stopped.owner, stopped.attempt) == ("running", None, 1)
    second = make_runner(swallowing(gate, what=sqlite3.IntegrityError), writes(4))
    for run in second.recover():
        assert run.attempt == 1
    assert second.wait()
    assert row(db).status == "completed"
    resumes = [event for event in history(db) if event.trigger == "resume"]
    assert [event.detail for event in resumes] == [{"stopped": True}]


def test_what_was_written_after_the_last_check_point_is_not_kept_by_a_stop(
    make_runner: MakeRunner, db: Path
) -> None:
    gate = Gate(
        before=then(writes(1), check_point, writes(2)), after=lambda _conn, ctx: ctx.raise_if_stopping()
    )
    runner = make_runner(gate)
    runner.start({})
    gate.until_entered()

    runner.request_stop()
    gate.go.set()

    assert runner.wait()
    assert items(db) == [1]


def test_a_check_point_of_a_stopping_process_commits_and_then_stops(
    make_runner: MakeRunner, db: Path
) -> None:
    gate = Gate(before=writes(1), after=then(check_point, writes(2)))
    runner = make_runner(gate)
    runner.start({})
    gate.until_entered()

    runner.request_stop()
    gate.go.set()

    assert runner.wait()
    assert items(db) == [1]
    assert row(db).owner is None


def test_a_stop_takes_no_edge_even_if_the_run_is_late(make_runner: MakeRunner, clock: Any, db: Path) -> None:
    gate = Gate(before=lambda *_: clock.advance(4000), after=check_point)
    runner = make_runner(gate)
    runner.start({})
    gate.until_entered()

    runner.request_stop()
    gate.go.set()

    assert runner.wait()
    assert (row(db).status, row(db).active_s) == ("running", 4000)
    assert [event.trigger for event in history(db)] == ["start"]


def test_a_cancel_that_comes_before_a_stop_is_not_forgotten(make_runner: MakeRunner, db: Path) -> None:
    gate = Gate(after=raises(RunStopping("now")))
    runner = make_runner(gate)
    runner.start({})
    gate.until_entered()

    runner.request_stop()
    runner.cancel(1)
    gate.go.set()

    assert runner.wait()
    assert row(db).cancel_requested
    second = make_runner(writes(1))
    assert [run.error_code for run in second.recover()] == ["cancelled"]


def test_a_deliberate_stop_starts_the_attempts_again(make_runner: MakeRunner, db: Path) -> None:
    gate = Gate(after=check_point)
    first = make_runner(gate)
    first.create({})
    die(first)
    second = make_runner(gate)
    second.recover()
    gate.until_entered()
    assert row(db).attempt == 2
    second.request_stop()
    gate.go.set()
    assert second.wait()

    assert make_runner(gate).step(1).attempt == 1


def test_by_default_a_stop_lets_the_run_end(make_runner: MakeRunner, db: Path) -> None:
    gate = Gate(after=check_point)
    runner = make_runner(gate, writes(1))
    runner.start({})
    gate.until_entered()

    runner.stop()
    gate.go.set()

    assert runner.wait()
    assert row(db).status == "completed"


def test_a_stop_between_two_phases_stops_there(make_runner: MakeRunner, db: Path) -> None:
    gate = Gate()
    runner = make_runner(gate, writes(1))
    runner.start({})
    gate.until_entered()

    runner.request_stop()
    gate.go.set()

    assert runner.wait()
    assert (row(db).state, row(db).owner) == ("phase_2", None)
    assert items(db) == []


def test_a_stop_that_can_not_be_written_counts_as_a_crash(
    make_runner: MakeRunner, db: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate(after=check_point)
    first = make_runner(gate)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("statemachine.driver.Driver.release", full)
    first.start({})
    gate.until_entered()
    first.request_stop()
    gate.go.set()
    assert first.wait()
    assert "run 1 stopped, which will count as a crash: database or disk is full" in caplog.text
    die(first)

    assert make_runner(writes(1)).step(1).attempt == 2


# --- a real death ---

VICTIM = """
import os, signal, sys
from pathlib import Path
from statemachine.registry import Registry
from statemachine.runner import Runner

def first(conn, ctx):
    conn.execute("INSERT INTO items VALUES (1)")

def second(conn, ctx):
    conn.execute("INSERT INTO items VALUES (2)")
    ctx.checkpoint()
    conn.execute("INSERT INTO items VALUES (3)")
    os.kill(os.getpid(), signal.SIGKILL)

phases = [(1, "Phase 1", first), (2, "Phase 2", second)]
schema = {"test": ("CREATE TABLE items (item INTEGER PRIMARY KEY) STRICT;",)}
Runner(Path(sys.argv[1]), Registry.of(phases), schema=schema).start({})
"""


@pytest.mark.slow
def test_a_run_whose_process_was_killed_goes_on_in_another(make_runner: MakeRunner, db: Path) -> None:
    done = subprocess.run([sys.executable, "-c", VICTIM, db], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert items(db) == [1, 2]
    assert verify(db) == []

    runner = make_runner(writes(1), swallowing(writes(2), writes(3), what=sqlite3.IntegrityError))
    (taken,) = runner.recover()

    assert (taken.state, taken.attempt) == ("phase_2", 2)
    assert runner.wait()
    assert items(db) == [1, 2, 3]


RIVAL = """
import sys
from pathlib import Path
from statemachine.errors import AlreadyRunning, StoreBusy
from statemachine.registry import Registry
from statemachine.runner import Runner

def phase(conn, ctx):
    sys.stdin.read()

schema = {"test": ("CREATE TABLE items (item INTEGER PRIMARY KEY) STRICT;",)}
runner = Runner(Path(sys.argv[1]), Registry.of([(1, "Phase 1", phase)]), schema=schema)
print("ready", flush=True)
sys.stdin.readline()
try:
    print(runner.start({}).id, flush=True)
except AlreadyRunning as error:
    print("refused", error.active_run_id, flush=True)
except StoreBusy:
    print("busy", flush=True)
"""


@pytest.mark.slow
def test_processes_that_start_at_once_start_one_run(db: Path) -> None:
    command = [sys.executable, "-c", RIVAL, str(db)]
    rivals = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for rival in rivals:
        assert rival.stdout is not None
        assert rival.stdout.readline() == "ready\n"
    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.write("go\n")
        rival.stdin.flush()
    answers = [rival.stdout.readline().strip() for rival in rivals if rival.stdout is not None]
    for rival in rivals:
        rival.communicate()

    assert answers.count("1") == 1
    assert set(answers) <= {"1", "refused 1", "busy"}
    assert row(db).status == "completed"
