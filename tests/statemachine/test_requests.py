"""What a request may ask of a runner: start, cancel, resume; what is refused, and how that is remembered."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from statemachine.contract import RunCancelled
from statemachine.errors import (
    AlreadyRunning,
    ForeignRegistry,
    IllegalTransition,
    KeyReused,
    RunNotFound,
    StoreBusy,
    ThreadUnavailable,
)
from statemachine.ledger import Ledger
from statemachine.runner import Runner
from statemachine.store import MAX_REFUSALS, RunStore
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
    swallowing,
    then,
    writes,
)


@contextmanager
def locked(db: Path) -> Iterator[None]:
    """Hold the write lock as another process's phase does."""
    with closing(sqlite3.connect(db, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")


def be_patient(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setitem(Ledger.writing.__wrapped__.__kwdefaults__, "patience_s", seconds)  # type: ignore[attr-defined]  # functools.wraps


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Don't wait for a lock that nobody will free."""
    be_patient(monkeypatch, 0.01)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the write lock until the test times out."""
    be_patient(monkeypatch, 10_000.0)


def refusals(db: Path, run_id: int = 1) -> list[tuple[str, str, str]]:
    return [
        (event.trigger, event.source, event.detail["refused"])
        for event in history(db, run_id)
        if event.detail and "refused" in event.detail
    ]


# --- start ---


def test_start_answers_with_the_run_in_its_first_phase_while_its_thread_works(
    make_runner: MakeRunner,
) -> None:
    gate = Gate()
    runner = make_runner(gate)

    run = runner.start({"subreddit": "stocks"})

    assert (run.id, run.status, run.state, run.params) == (1, "running", "phase_1", {"subreddit": "stocks"})
    gate.until_entered()
    gate.go.set()
    assert runner.wait()


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_no_more_runs_are_active_than_allowed(make_runner: MakeRunner, limit: int) -> None:
    gate = Gate()
    runner = make_runner(gate, max_active_runs=limit)
    started = [runner.start({}).id for _ in range(limit)]

    with pytest.raises(AlreadyRunning, match="run 1 is still active") as caught:
        runner.start({})

    gate.go.set()
    assert caught.value.active_run_id == started[0] == 1
    assert runner.wait()
    assert runner.start({}).id == limit + 1


@pytest.mark.usefixtures("patient")
def test_a_refusal_and_a_replay_need_no_write_lock(make_runner: MakeRunner, db: Path) -> None:
    gate = Gate()
    runner = make_runner(gate)
    runner.start({}, idempotency_key="a")
    gate.until_entered()

    with locked(db):
        with pytest.raises(AlreadyRunning):
            runner.start({})
        assert runner.start({}, idempotency_key="a").id == 1
        other = make_runner(gate)
        with pytest.raises(AlreadyRunning):
            other.start({})

    gate.go.set()


@pytest.mark.usefixtures("impatient")
def test_a_start_while_somebody_writes_says_busy_and_leaves_nothing(
    make_runner: MakeRunner, db: Path
) -> None:
    runner = make_runner(writes(1))

    with locked(db), pytest.raises(StoreBusy):
        runner.start({})

    with pytest.raises(RunNotFound):
        row(db)
    assert runner.live(1) is None


def test_many_threads_that_start_at_once_start_one_run(make_runner: MakeRunner, db: Path) -> None:
    gate = Gate()
    runners = [make_runner(gate) for _ in range(2)]
    barrier = threading.Barrier(8)
    answers: list[int | type[Exception]] = []

    def ask(runner: Runner) -> None:
        barrier.wait()
        try:
            answers.append(runner.start({}).id)
        except (AlreadyRunning, StoreBusy) as error:
            answers.append(type(error))

    threads = [threading.Thread(target=ask, args=(runners[number % 2],)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = history(db)
    gate.go.set()

    assert [each for each in answers if isinstance(each, int)] == [1]
    assert len(found) == 1


def test_a_thread_that_can_not_start_fails_the_run_at_once_and_tells_the_caller(
    make_runner: MakeRunner, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner(writes(1))

    def no_thread(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(ThreadUnavailable, match="run 1 was failed at once: can't start new thread"):
            runner.start({})

    run = row(db)
    assert (run.status, run.error_code) == ("failed", "error")
    assert run.error_message == "no thread for the run: can't start new thread"
    assert runner.wait()
    assert runner.start({}).id == 2


@pytest.mark.usefixtures("impatient")
def test_a_thread_that_can_not_start_while_the_database_is_locked_is_failed_by_the_keeper(
    make_runner: MakeRunner, db: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner(writes(1))
    holder = sqlite3.connect(db, isolation_level=None)

    def no_thread(_self: threading.Thread) -> None:
        holder.execute("BEGIN IMMEDIATE")
        raise RuntimeError("can't start new thread")

    with closing(holder), monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(ThreadUnavailable):
            runner.start({})
        live = runner.live(1)
        assert live is not None
        assert live.failure == ("error", "no thread for the run: can't start new thread")

    runner.keep()
    clock.advance(60)
    runner.keep()
    assert row(db).status == "failed"
    assert runner.live(1) is None


# --- idempotency keys ---


def test_the_same_key_and_request_give_the_same_run_even_after_its_end(make_runner: MakeRunner) -> None:
    runner = make_runner(writes(1))
    first = runner.start({"a": 1}, idempotency_key="key")
    assert runner.wait()

    again = runner.start({"a": 1}, idempotency_key="key")

    assert (again.id, again.status) == (first.id, "completed")
    assert make_runner(writes(1)).start({"a": 1}, idempotency_key="key").id == first.id


def test_the_same_key_with_another_request_is_refused(make_runner: MakeRunner) -> None:
    runner = make_runner(writes(1))
    runner.start({"a": 1}, idempotency_key="key")

    with pytest.raises(KeyReused, match="'key' was used with another request"):
        runner.start({"a": 2}, idempotency_key="key")


def test_a_key_stands_for_the_request_where_that_is_less_than_the_params(make_runner: MakeRunner) -> None:
    runner = make_runner(writes(1))
    runner.start({"as_of": "today"}, idempotency_key="key", request={})

    assert runner.start({"as_of": "tomorrow"}, idempotency_key="key", request={}).id == 1


def test_a_key_whose_run_was_refused_is_not_used_up(make_runner: MakeRunner) -> None:
    gate = Gate()
    runner = make_runner(gate)
    runner.start({})
    with pytest.raises(AlreadyRunning):
        runner.start({"a": 1}, idempotency_key="key")
    gate.go.set()
    assert runner.wait()

    assert runner.start({"a": 2}, idempotency_key="key").id == 2


def test_threads_that_race_with_one_key_get_one_run(make_runner: MakeRunner, db: Path) -> None:
    runner = make_runner(writes(1), max_active_runs=5)
    barrier = threading.Barrier(5)
    answers: list[int] = []

    def ask() -> None:
        barrier.wait()
        answers.append(runner.start({}, idempotency_key="key").id)

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(answers) <= {1}


def test_a_key_that_another_request_uses_meanwhile_is_found_when_it_is_decided(
    make_runner: MakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner(writes(1), max_active_runs=2)

    def meanwhile(*_: object) -> None:
        monkeypatch.undo()
        runner.start({}, idempotency_key="key")

    monkeypatch.setattr(runner._desk, "_answered_from_a_read", meanwhile)

    assert runner.start({}, idempotency_key="key").id == 1
    assert runner.wait()


def test_a_request_waits_only_so_long_for_another_request(make_runner: MakeRunner, impatient: None) -> None:
    runner = make_runner(writes(1))
    with runner._ledger._write_lock, pytest.raises(StoreBusy):
        runner.start({})


def test_a_run_that_could_not_be_created_is_not_counted_as_driven(
    make_runner: MakeRunner, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner(writes(1))

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(RunStore, "remember_key", full)
        with pytest.raises(sqlite3.OperationalError):
            runner.start({}, idempotency_key="key")

    assert runner.live(1) is None
    assert runner.start({}, idempotency_key="key").id == 1
    assert runner.wait()


# --- cancel ---


def test_a_cancel_is_honoured_at_the_next_check_point_and_its_rows_are_discarded(
    make_runner: MakeRunner, db: Path
) -> None:
    gate = Gate(before=then(writes(1), check_point, writes(2)), after=then(check_point, writes(3)))
    runner = make_runner(gate)
    runner.start({})
    gate.until_entered()

    runner.cancel(1)
    gate.go.set()

    assert runner.wait()
    run = row(db)
    assert (run.status, run.error_code, run.error_message) == ("failed", "cancelled", "Cancelled on request")
    assert history(db)[-1].trigger == "cancel"
    assert items(db) == [1]


def test_a_cancel_is_honoured_at_the_boundary_of_a_phase_without_check_points(
    make_runner: MakeRunner, db: Path
) -> None:
    gate = Gate(before=writes(1))
    runner = make_runner(gate, writes(2))
    runner.start({})
    gate.until_entered()

    runner.cancel(1)
    gate.go.set()

    assert runner.wait()
    assert row(db).error_code == "cancelled"
    assert items(db) == []


def test_a_cancel_is_seen_by_raise_if_stopping(make_runner: MakeRunner, db: Path) -> None:
    def asks(_conn: sqlite3.Connection, ctx: Any) -> None:
        ctx.raise_if_stopping()
        runner.cancel(1)
        with pytest.raises(RunCancelled, match="run 1 was cancelled"):
            ctx.raise_if_stopping()
        ctx.raise_if_stopping()

    runner = make_runner(asks)
    runner.create({})

    assert drive(runner).error_code == "cancelled"


def test_a_phase_that_swallows_its_cancel_is_cancelled_at_its_end(make_runner: MakeRunner, db: Path) -> None:
    def asks(_conn: sqlite3.Connection, _ctx: Any) -> None:
        runner.cancel(1)

    runner = make_runner(swallowing(writes(1), asks, check_point, writes(2), check_point, writes(3)))
    runner.create({})

    assert drive(runner).error_code == "cancelled"
    assert items(db) == []


def test_a_cancel_while_the_phase_holds_the_write_lock_is_remembered_at_once(
    make_runner: MakeRunner, db: Path
) -> None:
    gate = Gate(before=writes(1))
    runner = make_runner(gate)
    runner.start({})
    gate.until_entered()

    runner.cancel(1)
    runner.cancel(1)

    live = runner.live(1)
    assert live is not None
    assert live.cancelling
    gate.go.set()
    assert runner.wait()
    assert row(db).error_code == "cancelled"


def test_a_cancel_of_a_run_of_another_process_is_written_into_the_row_and_heard(
    make_runner: MakeRunner, db: Path
) -> None:
    gate = Gate(after=check_point)
    owner, other = make_runner(gate), make_runner(gate)
    owner.start({})
    gate.until_entered()

    assert other.cancel(1).cancel_requested
    owner.keep()

    live = owner.live(1)
    assert live is not None
    assert live.cancelling
    gate.go.set()
    assert owner.wait()
    assert (row(db).error_code, row(db).cancel_requested) == ("cancelled", False)


@pytest.mark.parametrize("ends", [writes(2), check_point])
def test_a_cancel_in_the_row_is_found_by_the_next_commit_without_the_keeper(
    make_runner: MakeRunner, db: Path, ends: Callable[..., Any]
) -> None:
    def phase(conn: sqlite3.Connection, ctx: Any) -> None:
        other.cancel(1)
        ends(conn, ctx)

    owner, other = make_runner(phase), make_runner(phase)
    owner.create({})

    assert drive(owner).error_code == "cancelled"
    assert items(db) == []


@pytest.mark.usefixtures("impatient")
def test_a_cancel_of_another_process_while_the_phase_holds_the_write_lock_says_busy(
    make_runner: MakeRunner,
) -> None:
    gate = Gate(before=writes(1))
    owner, other = make_runner(gate), make_runner(gate)
    owner.start({})
    gate.until_entered()

    with pytest.raises(StoreBusy, match="try again"):
        other.cancel(1)

    gate.go.set()
    assert owner.wait()
    assert row(owner.db).status == "completed"


def test_a_cancel_of_a_run_whose_owner_is_dead_is_immediate(make_runner: MakeRunner, db: Path) -> None:
    dead, other = make_runner(writes(1)), make_runner(writes(1))
    dead.create({})
    dead._owner.close()

    run = other.cancel(1)

    assert (run.status, run.error_code, run.owner) == ("failed", "cancelled", None)
    assert row(db) == run


def test_a_cancel_of_an_own_run_that_has_no_thread_is_immediate(make_runner: MakeRunner, db: Path) -> None:
    runner = make_runner(writes(1))
    runner.create({})

    assert runner.cancel(1).error_code == "cancelled"
    assert row(db).status == "failed"


def test_a_cancel_before_the_first_phase_runs_it_not_at_all(make_runner: MakeRunner, db: Path) -> None:
    entered: list[str] = []
    runner = make_runner(lambda _conn, _ctx: entered.append("phase"))
    runner.create({})
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("UPDATE analysis_runs SET cancel_requested = 1")

    assert runner.step(1).error_code == "cancelled"
    assert entered == []


@pytest.mark.parametrize(("ends", "allowed"), [(writes(1), ()), (raises(ValueError()), ("resume",))])
def test_a_cancel_after_the_end_is_refused_and_the_refusal_recorded(
    make_runner: MakeRunner, db: Path, ends: Any, allowed: tuple[str, ...]
) -> None:
    runner = make_runner(ends)
    runner.create({})
    before = drive(runner)

    with pytest.raises(IllegalTransition) as caught:
        runner.cancel(1)

    assert (caught.value.state, caught.value.trigger, caught.value.allowed) == (
        before.state,
        "cancel",
        allowed,
    )
    assert row(db) == before
    assert refusals(db) == [("cancel", before.state, str(caught.value))]


@pytest.mark.parametrize("ask", [Runner.cancel, Runner.resume])
def test_what_is_asked_of_a_run_that_does_not_exist_is_refused(
    make_runner: MakeRunner, ask: Callable[[Runner, int], Any]
) -> None:
    for run_id in (1, 0, -1, 2**63, 2**200):
        with pytest.raises(RunNotFound, match=f"there is no run {run_id}"):
            ask(make_runner(writes(1)), run_id)


def test_a_run_that_ends_while_it_is_being_cancelled_is_judged_as_it_is_then(
    make_runner: MakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, other = make_runner(writes(1)), make_runner(writes(1))
    dead.create({})
    dead._owner.close()
    known = other._desk._must_know

    def meanwhile(run: Any) -> None:
        known(run)
        if run.owner is not None:
            other.recover()
            assert other.wait()

    monkeypatch.setattr(other._desk, "_must_know", meanwhile)

    with pytest.raises(IllegalTransition, match="it is in 'completed'"):
        other.cancel(1)


def test_a_run_of_another_owner_that_ends_while_it_is_being_cancelled_is_judged_as_it_is_then(
    make_runner: MakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    owner, other = make_runner(gate), make_runner(gate)
    owner.start({})
    gate.until_entered()
    judged = other._desk._live_or_refuse

    def meanwhile(run: Any, trigger: str) -> Any:
        found = judged(run, trigger)
        gate.go.set()
        assert owner.wait()
        return found

    monkeypatch.setattr(other._desk, "_live_or_refuse", meanwhile)

    with pytest.raises(IllegalTransition, match="it is in 'completed'"):
        other.cancel(1)


# --- a person's resume ---


def test_a_resume_enters_the_phase_that_failed_and_no_earlier_one(make_runner: MakeRunner, db: Path) -> None:
    entered: list[int] = []
    broken = [True]

    def second(conn: sqlite3.Connection, ctx: Any) -> None:
        entered.append(2)
        writes(2)(conn, ctx)
        if broken.pop():
            broken.append(False)
            raise ValueError("once")

    runner = make_runner(then(writes(1), lambda _conn, _ctx: entered.append(1)), second, writes(3))
    runner.start({})
    assert runner.wait()

    resumed = runner.resume(1)

    assert (resumed.status, resumed.state, resumed.current_phase) == ("running", "phase_2", 2)
    assert (resumed.error_code, resumed.error_message, resumed.attempt, resumed.active_s) == (
        None,
        None,
        1,
        0.0,
    )
    assert runner.wait()
    assert row(db).status == "completed"
    assert entered == [1, 2, 2]
    assert items(db) == [1, 2, 3]
    assert [event.trigger for event in history(db)] == [
        "start",
        "advance",
        "fail",
        "resume",
        "advance",
        "advance",
    ]


def test_a_resume_is_in_the_row_before_it_is_answered(make_runner: MakeRunner, db: Path) -> None:
    gate = Gate(after=raises(ValueError()))
    gate.go.set()
    runner = make_runner(gate)
    runner.start({})
    assert runner.wait()
    gate.go.clear()

    resumed = runner.resume(1)

    assert row(db).status == "running" == resumed.status
    gate.go.set()


@pytest.mark.parametrize("state", ["completed", "driven here", "driven elsewhere"])
def test_a_resume_of_what_is_not_failed_is_refused_and_moves_nothing(
    make_runner: MakeRunner, db: Path, state: str
) -> None:
    gate = Gate()
    runner = make_runner(gate)
    asked = make_runner(gate) if state == "driven elsewhere" else runner
    runner.start({})
    gate.until_entered()
    if state == "completed":
        gate.go.set()
        assert runner.wait()
    before = row(db)

    with pytest.raises(IllegalTransition) as caught:
        asked.resume(1)

    assert caught.value.allowed == (() if state == "completed" else ("cancel",))
    assert row(db) == before
    gate.go.set()
    assert runner.wait()
    assert [trigger for trigger, _, _ in refusals(db)] == ([] if state == "driven elsewhere" else ["resume"])


@pytest.mark.usefixtures("patient")
def test_a_resume_while_another_run_is_active_is_refused_with_its_id(
    make_runner: MakeRunner, db: Path
) -> None:
    gate = Gate()
    runner = make_runner(then(lambda _conn, ctx: ctx.params["fails"] and ctx.params["missing"], gate))
    runner.start({"fails": True})
    assert runner.wait()
    runner.start({"fails": False})
    gate.until_entered()

    with locked(db), pytest.raises(AlreadyRunning) as caught:
        runner.resume(1)

    assert caught.value.active_run_id == 2
    gate.go.set()


def test_a_resume_of_an_active_run_whose_owner_is_dead_starts_anew(make_runner: MakeRunner, db: Path) -> None:
    dead, other = make_runner(writes(1)), make_runner(writes(1))
    dead.create({})
    dead._owner.close()

    resumed = other.resume(1)

    assert (resumed.attempt, resumed.active_s) == (1, 0.0)
    assert other.wait()
    assert row(db).status == "completed"


def test_two_resumes_at_once_start_one_thread(
    make_runner: MakeRunner, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(after=raises(ValueError()))
    gate.go.set()
    first, second = make_runner(gate), make_runner(gate)
    first.start({})
    assert first.wait()
    gate.go.clear()
    known = second._desk._must_know

    def meanwhile(run: Any) -> None:
        monkeypatch.setattr(second._desk, "_must_know", known)
        first.resume(1)

    monkeypatch.setattr(second._desk, "_must_know", meanwhile)

    with pytest.raises(IllegalTransition, match="allows cancel"):
        second.resume(1)

    gate.go.set()
    assert first.wait()
    assert [event.trigger for event in history(db)] == ["start", "fail", "resume", "fail"]


# --- runs of other phases ---


@pytest.mark.parametrize("phases", [[(1, "Something else", writes(2))], [writes(1), writes(2)]])
def test_a_run_of_other_phases_whose_owner_is_dead_is_left_alone(
    make_runner: MakeRunner, db: Path, phases: list[Any]
) -> None:
    dead, other = make_runner(writes(1)), make_runner(*phases)
    dead.create({})
    dead._owner.close()
    before = row(db)

    for ask in (other.cancel, other.resume):
        with pytest.raises(ForeignRegistry, match="use the process that was started with them"):
            ask(1)
    assert other.recover() == []

    assert row(db) == before
    assert refusals(db) == []


def test_a_run_of_other_phases_that_was_stopped_on_purpose_is_left_alone(
    make_runner: MakeRunner, db: Path
) -> None:
    gate = Gate(after=check_point)
    stopped = make_runner(gate)
    stopped.start({})
    gate.until_entered()
    stopped.request_stop()
    gate.go.set()
    assert stopped.wait()
    other = make_runner((1, "Something else", writes(2)))

    for ask in (other.cancel, other.resume):
        with pytest.raises(ForeignRegistry):
            ask(1)

    assert row(db).status == "running"


def test_a_run_of_other_phases_can_be_cancelled_while_its_owner_lives(
    make_runner: MakeRunner, db: Path
) -> None:
    gate = Gate(after=check_point)
    owner, other = make_runner(gate), make_runner((1, "Something else", writes(2)))
    owner.start({})
    gate.until_entered()

    other.cancel(1)

    gate.go.set()
    assert owner.wait()
    assert row(db).error_code == "cancelled"


def test_a_failed_run_of_other_phases_is_not_resumed(make_runner: MakeRunner, db: Path) -> None:
    runner, other = make_runner(raises(ValueError())), make_runner((1, "Something else", writes(2)))
    runner.create({})
    before = drive(runner)

    with pytest.raises(ForeignRegistry):
        other.resume(1)

    assert row(db) == before


# --- refusals ---


@pytest.mark.usefixtures("patient")
def test_a_refusal_does_not_wait_for_the_write_lock_and_is_recorded_when_it_is_free(
    make_runner: MakeRunner, db: Path
) -> None:
    runner = make_runner(writes(1))
    runner.create({})
    drive(runner)

    with locked(db):
        with pytest.raises(IllegalTransition):
            runner.cancel(1)
        assert refusals(db) == []
        assert runner.keep() is not None, "it looks again by itself"
        assert refusals(db) == []

    assert runner.keep() is None
    assert [trigger for trigger, _, _ in refusals(db)] == ["cancel"]


def test_refusals_of_a_driven_run_are_recorded_with_its_next_commit(
    make_runner: MakeRunner, db: Path
) -> None:
    def phase(_conn: sqlite3.Connection, ctx: Any) -> None:
        for _ in range(3):
            with pytest.raises(IllegalTransition):
                runner.resume(1)
        assert refusals(db) == []
        ctx.checkpoint()
        assert len(refusals(db)) == 3
        with pytest.raises(IllegalTransition):
            runner.resume(1)

    runner = make_runner(phase)
    runner.create({})
    drive(runner)

    assert [source for _, source, _ in refusals(db)] == ["phase_1"] * 4
    assert [event.trigger for event in history(db)].count("resume") == 4


def test_refusals_of_a_run_that_is_stopped_on_purpose_are_recorded_too(
    make_runner: MakeRunner, db: Path
) -> None:
    gate = Gate(after=lambda _conn, ctx: ctx.raise_if_stopping())
    runner = make_runner(gate)
    runner.start({})
    gate.until_entered()
    with pytest.raises(IllegalTransition):
        runner.resume(1)

    runner.request_stop()
    gate.go.set()

    assert runner.wait()
    assert len(refusals(db)) == 1


def test_a_refusal_outlives_a_boundary_that_could_not_be_committed(make_runner: MakeRunner, db: Path) -> None:
    def phase(conn: sqlite3.Connection, _ctx: Any) -> None:
        with pytest.raises(IllegalTransition):
            runner.resume(1)
        conn.execute("CREATE TABLE child (item REFERENCES items (item) DEFERRABLE INITIALLY DEFERRED)")
        conn.execute("INSERT INTO child VALUES (99)")

    runner = make_runner(phase)
    runner.create({})

    assert drive(runner).error_message == "FOREIGN KEY constraint failed"
    assert len(refusals(db)) == 1


def test_a_cancelled_run_that_is_resumed_is_not_cancelled_again(make_runner: MakeRunner, db: Path) -> None:
    gate = Gate()
    runner, other = make_runner(gate), make_runner(gate)
    runner.start({})
    gate.until_entered()
    other.cancel(1)
    assert row(db).cancel_requested
    gate.go.set()
    assert runner.wait()
    assert (row(db).error_code, row(db).cancel_requested) == ("cancelled", False)

    runner.resume(1)

    assert runner.wait()
    assert row(db).status == "completed"


def test_a_loop_of_refused_requests_can_not_fill_the_disk(make_runner: MakeRunner, db: Path) -> None:
    def phase(_conn: sqlite3.Connection, ctx: Any) -> None:
        for _ in range(MAX_REFUSALS + 5):
            with pytest.raises(IllegalTransition):
                runner.resume(1)
        ctx.checkpoint()
        with pytest.raises(IllegalTransition):
            runner.resume(1)

    runner = make_runner(phase)
    runner.create({})
    drive(runner)
    for _ in range(5):
        with pytest.raises(IllegalTransition):
            runner.cancel(1)

    assert len(refusals(db)) == MAX_REFUSALS


def test_refusals_that_wait_for_another_writer_can_not_fill_the_memory(
    make_runner: MakeRunner, db: Path
) -> None:
    runner = make_runner(lambda _conn, _ctx: None)
    for run_id in (1, 2):
        runner.create({})
        drive(runner, run_id)
    with locked(db):
        for run_id in [1] * MAX_REFUSALS + [2] * 4:
            with pytest.raises(IllegalTransition):
                runner.cancel(run_id)

    with pytest.raises(IllegalTransition):
        runner.cancel(2)

    assert len(refusals(db, 1)) == MAX_REFUSALS - 5, "the oldest are dropped"
    assert len(refusals(db, 2)) == 5
