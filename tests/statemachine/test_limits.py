"""How long a run may be active: the soft limit, the hard one, and what becomes of a phase that is stuck."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.contract import RunAbandoned
from statemachine.keeper import KEEPER_S
from statemachine.ledger import Ledger
from statemachine.live import Limits, Live
from statemachine.roster import RETRY_S
from tests.fakes import FakeClock
from tests.statemachine.conftest import (
    Body,
    Gate,
    MakeRunner,
    check_point,
    drive,
    history,
    items,
    row,
    then,
    writes,
)


def lasts(clock: FakeClock, seconds: float) -> Body:
    return lambda _conn, _ctx: clock.advance(seconds)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


# --- what a limit says ---


@pytest.mark.parametrize(
    ("hard_s", "message"),
    [
        (3600.0, "Pipeline exceeded 60-minute timeout"),
        (60.0, "Pipeline exceeded 1-minute timeout"),
        (86_400.0, "Pipeline exceeded 1440-minute timeout"),
        (90.0, "Pipeline exceeded 90-second timeout"),
        (1.0, "Pipeline exceeded 1-second timeout"),
        (0.25, "Pipeline exceeded 0.25-second timeout"),
        (3601.0, "Pipeline exceeded 3601-second timeout"),
    ],
)
def test_the_message_follows_the_setting(hard_s: float, message: str) -> None:
    assert Limits(hard_s=hard_s).message == message


@given(st.integers(min_value=1, max_value=100_000))
def test_the_message_has_the_number_of_the_setting_in_minutes_where_they_are_whole(seconds: int) -> None:
    number, _, unit = Limits(hard_s=seconds).message.removeprefix("Pipeline exceeded ").partition("-")

    assert float(number) * (60 if unit.startswith("minute") else 1) == seconds
    assert unit.startswith("minute") == (seconds % 60 == 0)


def test_a_phase_is_abandoned_after_the_grace_and_never_where_that_is_0() -> None:
    assert Limits(hard_s=60, abandon_after_s=5).abandon_at_s == 65
    assert Limits(hard_s=60, abandon_after_s=0).abandon_at_s is None


# --- the soft limit ---


@given(
    soft_s=st.integers(1, 50),
    hard_s=st.integers(0, 50),
    steps=st.lists(st.integers(0, 20), min_size=1, max_size=8),
)
def test_the_soft_limit_warns_once_as_soon_as_it_has_passed_and_above_the_hard_one_never(
    soft_s: int, hard_s: int, steps: list[int]
) -> None:
    clock, said = FakeClock(), Said()
    live = Live(run_id=1, clock=clock, limits=Limits(soft_s=soft_s, hard_s=hard_s))
    with said:
        for seconds in steps:
            clock.advance(seconds)
            live.warn_if_slow()
            assert len(said.warnings) == (soft_s <= hard_s and clock.monotonic() >= soft_s)


class Said(logging.Handler):
    """The warnings of the engine while it is open; Hypothesis has no use for a fixture."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.warnings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.warnings.append(record.getMessage())

    def __enter__(self) -> Self:
        logging.getLogger("phaseline.run").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("phaseline.run").removeHandler(self)


def test_the_soft_limit_warns_once_over_all_phases_and_stops_nothing(
    make_runner: MakeRunner, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    runner = make_runner(*[lasts(clock, 1200)] * 2, writes(1))
    runner.create({})

    assert drive(runner).status == "completed"
    assert warnings(caplog) == [
        "run 1 has passed its 30-minute soft limit; it goes on until its 60-minute limit"
    ]


def test_the_soft_limit_warns_again_neither_after_a_takeover_nor_before_its_time(
    make_runner: MakeRunner, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (make_runner(lasts(clock, 2000), lasts(clock, 100)) for _ in range(2))
    first.create({})
    first.step(1)
    assert len(warnings(caplog)) == 1
    first._owner.close()

    assert drive(second).status == "completed"
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(("soft_s", "said"), [(3600.0, 1), (3601.0, 0)])
def test_a_soft_limit_above_the_hard_one_never_fires(
    make_runner: MakeRunner, clock: FakeClock, caplog: pytest.LogCaptureFixture, soft_s: float, said: int
) -> None:
    runner = make_runner(lasts(clock, 9999), limits=Limits(soft_s=soft_s))
    runner.create({})

    assert drive(runner).error_code == "timeout"
    assert len(warnings(caplog)) == said


# --- the hard limit ---


@pytest.mark.parametrize(("seconds", "code"), [(3599.999, None), (3600.0, "timeout"), (3600.001, "timeout")])
def test_the_hard_limit_has_passed_when_it_is_reached(
    make_runner: MakeRunner, clock: FakeClock, seconds: float, code: str | None
) -> None:
    runner = make_runner(lasts(clock, seconds))
    runner.create({})

    assert drive(runner).error_code == code


def test_limits_count_over_phases_and_over_a_takeover(
    make_runner: MakeRunner, clock: FakeClock, db: Path
) -> None:
    first, second = (make_runner(*[lasts(clock, 1500)] * 3) for _ in range(2))
    first.create({})
    first.step(1)
    first._owner.close()
    clock.advance(100_000)  # nobody drove it: no active time

    second.step(1)
    assert row(db).active_s == 1500
    second.step(1)
    assert row(db).active_s == 3000
    assert second.step(1).error_code == "timeout"
    assert row(db).active_s == 4500


def test_active_time_is_stored_at_check_points_too(
    make_runner: MakeRunner, clock: FakeClock, db: Path
) -> None:
    stored: list[float] = []

    def look(_conn: sqlite3.Connection, _ctx: Any) -> None:
        stored.append(row(db).active_s)

    runner = make_runner(
        then(lasts(clock, 7), look, check_point, look, lasts(clock, 5), lambda *_: [][0])  # noqa: PLE0643  # it fails
    )
    runner.create({})
    drive(runner)

    assert stored == [0, 7]
    assert row(db).active_s == 12


def test_a_persons_resume_starts_a_new_budget(make_runner: MakeRunner, clock: FakeClock, db: Path) -> None:
    budgets: list[float] = []
    runner = make_runner(then(lambda _conn, ctx: budgets.append(ctx.remaining_s()), lasts(clock, 3600)))
    runner.start({})
    assert runner.wait()
    assert row(db).error_code == "timeout"

    runner.resume(1)

    assert runner.wait()
    assert budgets == [3600.0, 3600.0]


@given(jump_s=st.integers(-(10**7), 10**7))
def test_a_jump_of_the_wall_clock_neither_fires_nor_suppresses_a_limit(jump_s: int) -> None:
    clock = FakeClock()
    live = Live(run_id=1, clock=clock, limits=Limits())
    clock.jump(jump_s)
    assert (live.active_s(), live.is_late) == (0.0, False)

    clock.advance(3600)
    assert live.is_late


@pytest.mark.parametrize("jump_s", [7200, -3 * 86_400])
def test_times_never_go_backwards_in_a_row_whatever_the_wall_clock_does(
    make_runner: MakeRunner, clock: FakeClock, db: Path, jump_s: float
) -> None:
    def jumps(_conn: sqlite3.Connection, _ctx: Any) -> None:
        clock.jump(jump_s)

    runner = make_runner(then(jumps, check_point), writes(1))
    runner.create({})

    run = drive(runner)
    assert run.status == "completed"
    assert run.started_at <= run.updated_at <= (run.completed_at or "")


def test_a_phase_sees_its_deadline_and_what_remains(make_runner: MakeRunner, clock: FakeClock) -> None:
    seen: list[tuple[float, float]] = []

    def phase(_conn: sqlite3.Connection, ctx: Any) -> None:
        assert ctx.clock is clock
        for seconds in (600, 3600):
            seen.append((ctx.deadline - clock.monotonic(), ctx.remaining_s()))
            clock.advance(seconds)
        seen.append((ctx.deadline - clock.monotonic(), ctx.remaining_s()))

    runner = make_runner(phase)
    runner.create({})
    drive(runner)

    assert seen == [(3600, 3600), (3000, 3000), (-600, 0)]


# --- a stuck phase ---

ONE, TWO = writes(1), writes(2)


@pytest.fixture
def stuck(make_runner: MakeRunner, clock: FakeClock) -> Callable[..., tuple[Any, Gate]]:
    """Start a run whose phase waits for ever in the middle of a transaction, and let the grace pass."""

    def start(
        before: Body = ONE, after: Body = TWO, grace_s: float = 4500.0, **more: Any
    ) -> tuple[Any, Gate]:
        gate = Gate(before, after)
        runner = make_runner(gate, limits=Limits(**more))
        runner.start({})
        gate.until_entered()
        clock.until_somebody_waits()
        clock.advance(grace_s)
        return runner, gate

    return start


def test_a_stuck_phase_is_abandoned_its_transaction_rolled_back_and_the_slot_is_free(
    stuck: Callable[..., tuple[Any, Gate]], db: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runner, gate = stuck()

    assert runner.wait(), "by the keeper's own thread"
    run = row(db)
    assert (run.status, run.error_code) == ("failed", "timeout")
    assert run.error_message == "Pipeline exceeded 60-minute timeout"
    assert items(db) == []
    assert history(db)[-1].trigger == "time_out"
    assert history(db)[-1].detail == {"abandoned": True}
    assert runner.readiness()["abandoned_threads"] == 1
    assert runner.readiness()["active_runs"] == []
    assert any(
        "is abandoned" in each.getMessage() for each in caplog.records if each.levelno == logging.ERROR
    )
    with closing(sqlite3.connect(db, timeout=0)) as other, other:
        other.execute("INSERT INTO items VALUES (7)")

    gate.go.set()
    left_behind(runner).join()
    assert items(db) == [7], "what the thread left behind writes is refused"
    assert runner.readiness()["abandoned_threads"] == 0
    assert row(db) == run


def left_behind(runner: Any) -> threading.Thread:
    (thread,) = runner._roster._abandoned
    assert isinstance(thread, threading.Thread)
    return thread


def test_a_new_run_starts_beside_a_thread_left_behind(
    stuck: Callable[..., tuple[Any, Gate]], make_runner: MakeRunner, db: Path
) -> None:
    runner, gate = stuck()
    assert runner.wait()
    gate.entered.clear()

    runner.start({})
    gate.until_entered()
    gate.go.set()

    assert runner.wait()
    left_behind(runner).join()
    assert row(db, 2).status == "completed"
    assert items(db) == [1, 2], "of the second run only"


def test_a_run_that_was_abandoned_can_be_resumed_beside_its_thread(
    stuck: Callable[..., tuple[Any, Gate]], db: Path
) -> None:
    runner, gate = stuck()
    assert runner.wait()
    gate.entered.clear()

    runner.resume(1)
    gate.until_entered()
    gate.go.set()

    assert runner.wait()
    left_behind(runner).join()
    assert row(db).status == "completed"
    assert items(db) == [1, 2]


def test_a_resume_at_the_very_moment_of_the_abandonment_is_not_forgotten(
    stuck: Callable[..., tuple[Any, Gate]], db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, gate = stuck(grace_s=0)
    settle = runner._keeper.settle
    gate.entered.clear()

    def and_resumed(run: Any, outcome: Any) -> Any:
        monkeypatch.setattr(runner._keeper, "settle", settle)
        settled = settle(run, outcome)
        runner.resume(1)
        gate.until_entered()
        return settled

    monkeypatch.setattr(runner._keeper, "settle", and_resumed)
    runner._clock.advance(4500)
    gate.until_entered()
    runner._clock.until_somebody_waits()  # the keeper is done with it

    assert runner.live(1) is not None
    assert runner.recover() == []
    gate.go.set()
    assert runner.wait()
    assert row(db).status == "completed"


@pytest.mark.parametrize(
    "tries",
    [
        lambda conn, _ctx: conn.execute("INSERT INTO items VALUES (2)"),
        lambda conn, _ctx: conn.execute("SELECT 1"),
        lambda _conn, ctx: ctx.checkpoint(),
        lambda _conn, ctx: ctx.raise_if_stopping(),
        lambda _conn, ctx: list(ctx.map(pytest.fail, ["no work is begun"])),
    ],
    ids=["write", "read", "checkpoint", "raise_if_stopping", "map"],
)
def test_whatever_a_thread_left_behind_asks_it_is_told_to_end(
    stuck: Callable[..., tuple[Any, Gate]], db: Path, tries: Callable[[Any, Any], object]
) -> None:
    told: list[BaseException] = []

    def after(conn: sqlite3.Connection, ctx: Any) -> None:
        with pytest.raises(RunAbandoned) as caught:
            tries(conn, ctx)
        told.append(caught.value)

    runner, gate = stuck(after=after)
    assert runner.wait()
    gate.go.set()
    left_behind(runner).join()

    assert len(told) == 1
    assert items(db) == []


def test_what_was_check_pointed_before_the_abandonment_stays_and_the_warnings_too(
    stuck: Callable[..., tuple[Any, Gate]], db: Path
) -> None:
    def before(conn: sqlite3.Connection, ctx: Any) -> None:
        ctx.warn("slow", "first")
        then(writes(1), check_point, writes(2))(conn, ctx)
        ctx.results["lost"] = 1
        ctx.warn("slow", "second")

    runner, gate = stuck(before=before, after=lambda _conn, _ctx: None)
    assert runner.wait()
    gate.go.set()

    assert items(db) == [1]
    assert [each["message"] for each in row(db).warnings or ()] == ["first", "second"]
    assert row(db).results == {}


def test_a_phase_is_not_abandoned_before_its_grace_has_passed(
    stuck: Callable[..., tuple[Any, Gate]], db: Path
) -> None:
    runner, gate = stuck(grace_s=4499.0)
    runner.keep()
    assert row(db).status == "running"
    gate.go.set()

    assert runner.wait()
    assert (row(db).error_code, row(db).error_message) == ("timeout", "Pipeline exceeded 60-minute timeout")
    assert history(db)[-1].detail is None


def test_a_thread_that_never_got_its_connection_is_abandoned_too(
    make_runner: MakeRunner, clock: FakeClock, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner(writes(1))
    entered, go, connection = threading.Event(), threading.Event(), runner._threads._connection

    def slow() -> Any:
        entered.set()
        assert go.wait(60)
        return connection()

    monkeypatch.setattr(runner._threads, "_connection", slow)
    runner.start({})
    assert entered.wait(60)
    clock.until_somebody_waits()
    clock.advance(4500)
    assert runner.wait()

    go.set()
    left_behind(runner).join()
    assert row(db).error_code == "timeout"
    assert items(db) == []


def test_an_abandonment_that_can_not_roll_back_is_said_at_once_and_written_later(
    stuck: Callable[..., tuple[Any, Gate]], clock: FakeClock, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cursor that goes round the connection stays open, and SQLite keeps the interrupt for it."""
    monkeypatch.setitem(Ledger.writing.__wrapped__.__kwdefaults__, "patience_s", 0.01)  # type: ignore[attr-defined]  # functools.wraps
    kept: list[sqlite3.Cursor] = []

    def before(conn: sqlite3.Connection, ctx: Any) -> None:
        writes(1)(conn, ctx)
        kept.append(sqlite3.Cursor(conn).execute("SELECT name FROM sqlite_master"))
        kept[0].fetchone()

    runner, gate = stuck(before=before, after=lambda *_: kept.clear())
    assert runner.wait()
    live = runner.live(1)
    assert live is not None
    assert live.failure == ("timeout", "Pipeline exceeded 60-minute timeout")
    assert row(db).status == "running"

    gate.go.set()
    left_behind(runner).join()
    clock.advance(RETRY_S)
    runner.keep()

    assert row(db).error_code == "timeout"
    assert items(db) == []


def test_without_a_grace_a_phase_is_waited_for(stuck: Callable[..., tuple[Any, Gate]], db: Path) -> None:
    runner, gate = stuck(grace_s=10**9, abandon_after_s=0)
    assert runner.keep() == KEEPER_S
    assert row(db).status == "running"
    gate.go.set()

    assert runner.wait()
    assert row(db).error_code == "timeout"


def test_a_run_that_is_stepped_has_no_thread_to_abandon(make_runner: MakeRunner, clock: FakeClock) -> None:
    waits: list[float | None] = []

    def phase(_conn: sqlite3.Connection, _ctx: Any) -> None:
        clock.advance(10_000)
        waits.append(runner.keep())

    runner = make_runner(phase)
    runner.create({})

    assert drive(runner).error_code == "timeout"
    assert waits == [KEEPER_S]


def test_the_keeper_knows_when_to_look_again(make_runner: MakeRunner, clock: FakeClock) -> None:
    gate = Gate()
    runner = make_runner(gate, limits=Limits(soft_s=10, hard_s=20, abandon_after_s=5))
    assert runner.keep() is None, "nothing to keep"
    runner.start({})
    gate.until_entered()

    waits = [runner.keep()]
    for seconds in (9.5, 0.5, 14.75):
        clock.advance(seconds)
        waits.append(runner.keep())

    assert waits == [1.0, 0.5, 1.0, 0.25]
    gate.go.set()
    assert runner.wait()
