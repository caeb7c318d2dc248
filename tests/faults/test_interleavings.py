"""Two actors at one moment, laid out step by step: what a race would find once in a year."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from statemachine.clock import stamp
from statemachine.desk import Desk
from statemachine.errors import AlreadyRunning, IllegalTransition, ThreadUnavailable
from statemachine.live import Outcome
from statemachine.registry import Registry
from statemachine.runner import Runner
from statemachine.store import Run
from statemachine.verify import verify

Body = Callable[[sqlite3.Connection, Any], None]


@contextmanager
def closing(runner: Runner) -> Iterator[Runner]:
    try:
        yield runner
    finally:
        runner.close()


def runner_of(db: Path, body: Body, **settings: Any) -> Runner:
    schema = {"test": ("CREATE TABLE IF NOT EXISTS rows (item INTEGER NOT NULL) STRICT;",)}
    return Runner(db, Registry.of([(1, "Work", body)]), schema=schema, executor="threads", **settings)


class Gate:
    """A phase that says that it was entered, and goes on when told."""

    def __init__(self) -> None:
        self.entries = 0
        self.entered = threading.Event()
        self.go = threading.Event()

    def __call__(self, _conn: sqlite3.Connection, _ctx: Any) -> None:
        self.entries += 1
        self.entered.set()
        assert self.go.wait(30)


def history(runner: Runner, run_id: int) -> list[str]:
    with runner._ledger.reading() as store:
        return [event.trigger for event in store.events(run_id)]


def meanwhile(actor: Desk | sqlite3.Connection, method: str, action: Callable[[], object]) -> None:
    """Let `action` happen right before the first call of a method."""
    original = getattr(actor, method)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        setattr(actor, method, original)
        action()
        return original(*args, **kwargs)

    setattr(actor, method, wrapped)


def test_a_run_whose_thread_is_about_to_start_is_not_taken_over(tmp_path: Path) -> None:
    gate = Gate()
    with closing(runner_of(tmp_path / "a.db", gate)) as runner:
        meanwhile(runner._desk, "_launch", lambda: _refused(runner))
        run = runner.start({})
        gate.go.set()
        runner.wait()

        assert gate.entries == 1
        assert history(runner, run.id) == ["start", "advance"]


def _refused(runner: Runner) -> None:
    with pytest.raises(AlreadyRunning):
        runner.start({})


def test_a_run_that_recovery_is_about_to_start_is_not_taken_over_again(tmp_path: Path) -> None:
    gate = Gate()
    _leave_a_dead_run(tmp_path / "a.db", gate)
    with closing(runner_of(tmp_path / "a.db", gate)) as runner:
        meanwhile(runner._desk, "_launch", lambda: _takes_nothing(runner))
        taken = runner.recover()
        gate.go.set()
        runner.wait()

        assert [run.attempt for run in taken] == [2]
        assert history(runner, 1) == ["start", "resume", "advance"]
        assert gate.entries == 1


def _takes_nothing(runner: Runner) -> None:
    assert runner.recover() == []


def _leave_a_dead_run(db: Path, body: Body) -> Run:
    """Leave the row of a run whose process is gone."""
    with closing(runner_of(db, body)) as runner, runner._ledger.writing() as store:
        return store.create(runner.registry, {}, at=stamp(runner._clock.now()), owner=runner._owner.token)


def test_a_person_can_t_resume_a_run_that_another_process_has_just_taken_over(tmp_path: Path) -> None:
    gate = Gate()
    _leave_a_dead_run(tmp_path / "a.db", gate)
    with (
        closing(runner_of(tmp_path / "a.db", gate)) as ours,
        closing(runner_of(tmp_path / "a.db", gate)) as other,
    ):
        meanwhile(ours._desk, "_must_know", lambda: _takes_one(other))
        with pytest.raises(IllegalTransition):
            ours.resume(1)
        gate.go.set()
        other.wait()
        ours.wait()

        assert history(ours, 1) == ["start", "resume", "advance"]
        assert gate.entries == 1


def _takes_one(runner: Runner) -> None:
    assert len(runner.recover()) == 1


def test_two_persons_who_resume_at_once_start_one_thread(tmp_path: Path) -> None:
    gate = Gate()
    fails = threading.Event()
    fails.set()

    def body(conn: sqlite3.Connection, ctx: Any) -> None:
        if fails.is_set():
            raise ValueError("not yet")
        gate(conn, ctx)

    with closing(runner_of(tmp_path / "a.db", body)) as runner:
        runner.start({})
        runner.wait()
        fails.clear()
        meanwhile(runner._desk, "_must_know", lambda: _resumes(runner))
        with pytest.raises(IllegalTransition):
            runner.resume(1)
        gate.go.set()
        runner.wait()

        assert gate.entries == 1
        assert [each for each in history(runner, 1) if each != "resume"] == ["start", "fail", "advance"]


def _resumes(runner: Runner) -> None:
    runner.resume(1)


def test_a_cancel_that_comes_after_another_process_took_the_run_over_reaches_it(tmp_path: Path) -> None:
    gate = Gate()
    _leave_a_dead_run(tmp_path / "a.db", gate)
    with (
        closing(runner_of(tmp_path / "a.db", gate)) as ours,
        closing(runner_of(tmp_path / "a.db", gate)) as other,
    ):
        meanwhile(ours._desk, "_must_know", lambda: _takes_one(other))
        ours.cancel(1)
        gate.go.set()
        other.wait()

        assert history(ours, 1) == ["start", "resume", "cancel"]


def test_a_cancel_that_comes_between_the_look_at_a_dead_run_and_its_takeover_is_heeded(
    tmp_path: Path,
) -> None:
    gate = Gate()
    dead = _leave_a_dead_run(tmp_path / "a.db", gate)
    with (
        closing(runner_of(tmp_path / "a.db", gate)) as ours,
        closing(runner_of(tmp_path / "a.db", gate)) as other,
    ):

        def cancel() -> None:
            with other._ledger.writing() as store:  # it has seen the owner alive
                assert store.request_cancel(dead)

        meanwhile(ours._desk, "_taken_over", cancel)
        (taken,) = ours.recover()

        assert taken.error_code == "cancelled"
        assert history(ours, 1) == ["start", "cancel"]
        assert gate.entries == 0


def test_a_cancel_that_comes_while_a_run_is_let_go_is_found_at_the_next_start(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    gate = Gate()

    def body(conn: sqlite3.Connection, ctx: Any) -> None:
        gate(conn, ctx)
        meanwhile(conn, "begin", lambda: other.cancel(1))
        ctx.raise_if_stopping()

    with closing(runner_of(db, body)) as runner, closing(runner_of(db, body)) as other:
        runner.start({})
        assert gate.entered.wait(30)
        runner.request_stop()
        gate.go.set()
        runner.wait()
        assert runner._ledger.read(1).owner is None

        (taken,) = other.recover()

        assert taken.error_code == "cancelled"
        assert history(other, 1) == ["start", "cancel"]


def test_what_a_stopped_phase_wrote_after_its_last_check_point_is_discarded(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    written = threading.Event()
    go = threading.Event()

    def body(conn: sqlite3.Connection, ctx: Any) -> None:
        conn.execute("INSERT INTO rows VALUES (1)")
        ctx.checkpoint()
        conn.execute("INSERT INTO rows VALUES (2)")
        written.set()
        assert go.wait(30)
        ctx.raise_if_stopping()

    with closing(runner_of(db, body)) as runner:
        runner.start({})
        assert written.wait(30)
        runner.request_stop()
        go.set()
        runner.wait()

        assert runner._ledger.read(1).owner is None
        assert runner._ledger._reader.conn.execute("SELECT item FROM rows").fetchall() == [(1,)]
    assert verify(db) == []


def test_a_stop_after_the_transaction_was_lost_leaves_the_run_resumable(tmp_path: Path) -> None:
    written = threading.Event()
    go = threading.Event()

    def body(conn: sqlite3.Connection, ctx: Any) -> None:
        conn.execute("CREATE TABLE IF NOT EXISTS once (item INTEGER PRIMARY KEY) STRICT")
        conn.execute("INSERT INTO once VALUES (1)")
        try:
            conn.execute("INSERT OR ROLLBACK INTO once VALUES (1)")
        except sqlite3.IntegrityError:
            written.set()
        assert go.wait(30)
        ctx.raise_if_stopping()

    with closing(runner_of(tmp_path / "a.db", body)) as runner:
        runner.start({})
        assert written.wait(30)
        runner.request_stop()
        go.set()
        runner.wait()

        run = runner._ledger.read(1)
        assert (run.status, run.owner) == ("running", None)


def test_the_keeper_hears_of_a_close_that_comes_while_it_wakes_up(tmp_path: Path) -> None:
    runner = runner_of(tmp_path / "a.db", Gate())
    keeper = runner._keeper

    class Late(threading.Event):
        def clear(self) -> None:
            keeper._closed = True
            self.set()
            super().clear()

    class NoWaiting:
        def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
            assert event.is_set() or timeout_s is not None, "it would wait for ever"
            return event.is_set()

        def __getattr__(self, name: str) -> Any:
            return getattr(clock, name)

    clock = keeper._clock
    keeper._wake, keeper._clock = Late(), NoWaiting()
    keeper._wake.set()
    keeper._keep()

    keeper._clock = clock
    runner.close()


def test_a_process_that_is_stopping_takes_nothing_over(tmp_path: Path) -> None:
    gate = Gate()
    _leave_a_dead_run(tmp_path / "a.db", gate)
    with closing(runner_of(tmp_path / "a.db", gate)) as runner:
        runner.request_stop()

        assert runner.recover() == []


def test_a_run_that_can_t_be_taken_over_keeps_no_other_from_it(tmp_path: Path) -> None:
    gate = Gate()
    gate.go.set()
    db = tmp_path / "a.db"
    _leave_a_dead_run(db, gate)
    _leave_a_dead_run(db, gate)
    with closing(runner_of(db, gate, max_active_runs=2)) as runner:
        original = runner._desk._taken_over

        def fault(run: Run) -> Run:
            if run.id == 1:
                raise sqlite3.OperationalError("disk I/O error")
            return original(run)

        runner._desk._taken_over = fault  # type: ignore[method-assign]  # the fault
        assert [run.id for run in runner.recover()] == [2]
        runner.wait()
        runner._desk._taken_over = original  # type: ignore[method-assign]  # healed
        assert [run.id for run in runner.recover()] == [1]
        runner.wait()

        assert history(runner, 1) == history(runner, 2) == ["start", "resume", "advance"]


def test_a_keeper_that_gets_no_thread_leaves_a_runner_that_can_be_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    runner = runner_of(tmp_path / "a.db", Gate())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(ThreadUnavailable):
            runner.start({})

    assert runner._ledger.read(1).status == "failed"
    runner.close()


def test_a_run_that_gets_no_thread_while_the_disk_fails_is_failed_once_it_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    runner = runner_of(tmp_path / "a.db", Gate())
    original = runner._keeper.settle

    def fault(run: Run, outcome: Outcome) -> Run:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        runner._keeper.settle = fault  # type: ignore[method-assign]  # the fault
        with pytest.raises(ThreadUnavailable):
            runner.start({})
        runner._keeper.settle = original  # type: ignore[method-assign]  # healed
    runner.keep()

    assert runner._ledger.read(1).status == "failed"
    runner.close()


def test_a_refusal_is_recorded_even_where_the_next_commit_fails(tmp_path: Path) -> None:
    gate = Gate()

    def body(conn: sqlite3.Connection, ctx: Any) -> None:
        gate(conn, ctx)
        ctx.results["unsayable"] = object()  # so that the boundary can't be committed

    with closing(runner_of(tmp_path / "a.db", body)) as runner:
        runner.start({})
        assert gate.entered.wait(30)
        with pytest.raises(IllegalTransition):
            runner.resume(1)
        gate.go.set()
        runner.wait()

        assert sorted(history(runner, 1)) == ["fail", "resume", "start"]
