"""What becomes of a phase that reaches no check point while its process wants to end."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.keeper import KEEPER_S
from statemachine.ledger import Ledger
from statemachine.live import Limits, Live
from statemachine.runner import Runner
from tests.fakes import FakeClock
from tests.statemachine.conftest import Gate, MakeRunner, check_point, history, items, row, then, writes
from tests.statemachine.test_limits import left_behind

Start = Callable[..., tuple[Runner, Gate]]


@pytest.fixture(name="asked")
def asked_to_stop(make_runner: MakeRunner, clock: FakeClock) -> Start:
    """Start a run, ask its process to stop while the phase is in a transaction, and let so much time pass."""

    def start(seconds: float, **limits: Any) -> tuple[Runner, Gate]:
        gate = Gate(before=then(writes(1), check_point, writes(2)), after=then(writes(3), check_point))
        runner = make_runner(gate, writes(4), limits=Limits(**limits))
        runner.start({})
        gate.until_entered()
        runner.request_stop()
        runner.keep()
        clock.advance(seconds)
        runner.keep()
        return runner, gate

    return start


def test_a_phase_that_does_not_look_up_is_cut_off_and_its_run_goes_on_at_the_next_start(
    asked: Start, make_runner: MakeRunner, db: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runner, gate = asked(60)

    assert runner.wait()
    stopped = row(db)
    assert (stopped.status, stopped.state, stopped.owner, stopped.attempt) == ("running", "phase_1", None, 1)
    assert items(db) == [1], "as of the last check point"
    assert stopped.version == 3, "created, check pointed, let go"
    assert runner.readiness()["abandoned_threads"] == 1
    assert "reached no check point for 60 s after the wish to stop and is cut off" in caplog.text
    assert "it goes on at the next start from its last check point" in caplog.text

    gate.go.set()
    left_behind(runner).join()
    assert (row(db), items(db)) == (stopped, [1]), "what the thread left behind writes is refused"

    later = make_runner(writes(5), writes(6))
    later.recover()
    assert later.wait()
    assert (row(db).status, items(db)) == ("completed", [1, 5, 6])
    assert [event.detail for event in history(db) if event.trigger == "resume"] == [{"stopped": True}]


def test_a_phase_that_looks_up_within_its_grace_stops_by_itself(asked: Start, db: Path) -> None:
    runner, gate = asked(59.5)
    assert row(db).owner is not None

    gate.go.set()

    assert runner.wait()
    assert row(db).owner is None
    assert items(db) == [1, 2, 3]
    assert runner.readiness()["abandoned_threads"] == 0


@pytest.mark.parametrize(("stopping", "grace_s"), [(True, 0.0), (False, 60.0)])
def test_without_a_grace_or_a_wish_to_stop_nothing_is_cut_off(
    make_runner: MakeRunner, clock: FakeClock, db: Path, stopping: bool, grace_s: float
) -> None:
    gate = Gate(before=writes(1))
    runner = make_runner(gate, limits=Limits(stop_grace_s=grace_s))
    runner.start({})
    gate.until_entered()
    if stopping:
        runner.request_stop()
    runner.keep()
    clock.advance(1000)

    assert runner.keep() == KEEPER_S
    assert row(db).owner is not None
    gate.go.set()
    assert runner.wait()
    assert items(db) == [1]


def test_a_phase_that_is_stuck_beyond_all_limits_has_failed_stop_or_not(asked: Start, db: Path) -> None:
    runner, gate = asked(4500)

    assert runner.wait()
    assert row(db).error_code == "timeout"
    gate.go.set()


def test_a_cancel_that_the_phase_did_not_hear_is_found_at_the_next_start(
    asked: Start, make_runner: MakeRunner, clock: FakeClock, db: Path
) -> None:
    runner, gate = asked(0)
    runner.cancel(1)
    clock.advance(60)
    runner.keep()

    assert runner.wait()
    assert row(db).cancel_requested
    assert [run.error_code for run in make_runner(writes(5), writes(6)).recover()] == ["cancelled"]
    gate.go.set()


def test_a_cut_that_can_not_be_written_counts_as_a_crash(
    asked: Start,
    clock: FakeClock,
    db: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    runner, gate = asked(0)
    monkeypatch.setattr(Ledger, "writing", full)
    clock.advance(60)
    runner.keep()

    assert runner.wait()
    assert row(db).owner is not None
    assert "which will count as a crash: database or disk is full" in caplog.text
    gate.go.set()


@pytest.mark.parametrize("has_thread", [False, True])
def test_a_run_that_stopped_by_itself_at_that_very_moment_stays_as_it_is(
    asked: Start, clock: FakeClock, db: Path, monkeypatch: pytest.MonkeyPatch, has_thread: bool
) -> None:
    runner, gate = asked(0)
    moments: list[object] = []

    def too_late(_live: Live) -> bool:
        gate.go.set()
        assert runner.wait()
        moments.append(row(db))
        return has_thread

    monkeypatch.setattr(runner._keeper, "_seal", too_late)
    clock.advance(60)
    runner.keep()

    assert row(db) == moments[0]
    assert (row(db).owner, items(db)) == (None, [1, 2, 3])


@given(
    grace_s=st.floats(0.5, 1e4),
    heard_s=st.floats(0, 1e4),
    after_s=st.lists(st.floats(0, 1e3), max_size=5),
)
def test_the_grace_counts_from_when_the_wish_was_first_seen(
    grace_s: float, heard_s: float, after_s: list[float]
) -> None:
    clock = FakeClock()
    wish: list[bool] = []
    live = Live(run_id=1, clock=clock, limits=Limits(stop_grace_s=grace_s), stopping=lambda: bool(wish))
    clock.advance(heard_s)
    assert live.stop_left_s() == float("inf")
    wish.append(True)

    left = [live.stop_left_s()]
    for seconds in after_s:
        clock.advance(seconds)
        left.append(live.stop_left_s())

    assert left[0] == pytest.approx(grace_s)
    assert left[-1] == pytest.approx(grace_s - sum(after_s), abs=1e-6)
