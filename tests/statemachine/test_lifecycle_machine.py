"""Whatever phases, persons and processes do, in whatever order: the one table says what becomes of a run.

The model moves a run only by looking up a row of the table. What it adds is what the table does not say:
which trigger the end of a phase asks for, and what a commit makes durable. A phase is a script of drawn
actions, played once on the real engine and once on the model.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from statemachine.connection import connect, transaction
from statemachine.contract import RunStopping
from statemachine.errors import AlreadyRunning, IllegalTransition, RunOwned, StoreBusy
from statemachine.ledger import Ledger
from statemachine.machine import Boundary, take
from statemachine.registry import Registry
from statemachine.runner import Runner
from statemachine.sql import is_write
from statemachine.store import Run, RunReader, RunStore
from statemachine.table import (
    ADVANCE,
    CANCEL,
    COMPLETED,
    FAIL,
    FAILED,
    INITIAL,
    RESUME,
    START,
    TERMINAL,
    TIME_OUT,
    TRIGGERS,
    Edge,
    allowed,
    edges,
    status_of,
)
from statemachine.verify import verify
from tests.fakes import BEGINNING, FakeClock

HARD_LIMIT_S: Final = 3600.0
MAX_ATTEMPTS: Final = 2
SECRET: Final = "hunter22"
DEFERRED: Final = "REFERENCES items (item) DEFERRABLE INITIALLY DEFERRED);"
SCHEMA = {
    "test": ("CREATE TABLE items (item INTEGER PRIMARY KEY) STRICT;", "CREATE TABLE child (item " + DEFERRED)
}


# --- what a phase may do ---

FORBIDDEN: Final[dict[str, Callable[[Any], object]]] = {
    "COMMIT": lambda conn: conn.execute("COMMIT"),
    "ROLLBACK": lambda conn: conn.cursor().execute("ROLLBACK"),
    "PRAGMA foreign_keys = 0": lambda conn: conn.execute("PRAGMA foreign_keys = 0"),
    "ATTACH ':memory:' AS x": lambda conn: conn.execute("ATTACH ':memory:' AS x"),
    "DELETE FROM run_events": lambda conn: conn.executemany("DELETE FROM run_events", [()]),
    "UPDATE analysis_runs SET version = 9": lambda conn: conn.execute("UPDATE analysis_runs SET version = 9"),
    "": lambda conn: conn.executescript("DELETE FROM items"),
    " ": lambda conn: conn.commit(),
    "  ": lambda conn: conn.rollback(),
    "   ": lambda conn: conn.close(),
    "    ": lambda conn: conn.__enter__(),
}
"""By the statement that decides whether a transaction is begun before the refusal; methods have none."""

ERRORS: Final[dict[str, Callable[[], BaseException]]] = {
    "it broke": lambda: ValueError("it broke"),
    "RuntimeError": RuntimeError,
    "key=*** at ***": lambda: ConnectionError(f"key={SECRET} at {SECRET}"),
    "KeyboardInterrupt": KeyboardInterrupt,
    "7": lambda: SystemExit(7),
}
"""By the message that is stored."""

Action = tuple[str, Any]
QUIET: Final = [
    ("write", None),
    ("result", None),
    ("warn", None),
    ("progress", (3, 9)),
    ("check point", None),
]
ACTIONS: Final[st.SearchStrategy[list[Action]]] = st.one_of(
    st.permutations(QUIET),
    st.lists(st.sampled_from(QUIET), max_size=3),
    st.tuples(
        st.sampled_from(["lose", "orphan", "bad result", "factories", "cursor", "own cancel", "other cancel"])
        | st.just("check point"),
        st.none(),
    ).map(lambda action: [action]),
    st.tuples(st.just("progress"), st.tuples(st.integers(0, 9), st.none() | st.integers(0, 9))).map(
        lambda action: [action]
    ),
    st.tuples(st.just("forbidden"), st.sampled_from(sorted(FORBIDDEN))).map(lambda action: [action]),
    st.tuples(st.just("time"), st.sampled_from([1.0, 1200.0, 1800.0, 3600.0])).map(lambda action: [action]),
)
"""Groups of actions: what phases are for comes together, and in every order."""
ENDS: Final[st.SearchStrategy[list[Action]]] = st.one_of(
    st.just([]),
    st.just([]),
    st.tuples(st.just("raise"), st.sampled_from(sorted(ERRORS))).map(lambda action: [action]),
    st.just([("die", None)]),
)


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    groups = draw(st.lists(ACTIONS, max_size=4))
    return Script([action for group in groups for action in group] + draw(ENDS), swallows=draw(st.booleans()))


@dataclass(frozen=True)
class Script:
    actions: list[Action]
    swallows: bool = False
    """Whether the phase goes on after any exception but its death."""


class Killed(BaseException):
    """The process dies here."""


class Refused(Exception):
    """The model's word for an exception that a phase may meet."""


class Stopped(Exception):
    """The model's word for the end of a phase that takes no edge."""


# --- the model ---


@dataclass
class Model:
    """What a run should be. The names are those of the row."""

    id: int
    table: tuple[Edge, ...]
    registry: Registry
    owner: str | None
    state: str = INITIAL
    current_phase: int = 0
    attempt: int = 1
    version: int = 0
    active_s: float = 0.0
    results: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    steps: tuple[int | None, int | None] = (None, None)
    error_code: str | None = None
    error_message: str | None = None
    cancel_requested: bool = False
    triggers: list[str] = field(default_factory=list)
    refusals: int = 0
    items: list[int] = field(default_factory=list)

    def move(self, trigger: str, **changes: Any) -> Edge:
        """Take the one row of the table that this trigger means here."""
        (edge,) = [
            row
            for row in self.table
            if row.source == self.state
            and row.trigger == trigger
            and (not row.only_where_it_failed or row.dest == self.registry.state_of(self.current_phase))
        ]
        self.state = edge.dest
        self.triggers.append(trigger)
        self.version += 1
        self.cancel_requested = False
        if edge.dest not in TERMINAL:
            self.current_phase = self.registry.phase_of(edge.dest).number
            self.attempt, self.error_code, self.error_message = 1, None, None
        else:
            self.owner = None
        if edge.dest != FAILED:
            self.steps = (None, None)
        for name, value in changes.items():
            setattr(self, name, value)
        return edge

    @property
    def is_active(self) -> bool:
        return self.state not in TERMINAL

    @property
    def progress(self) -> tuple[int, int]:
        """Position and number of phases; a failed run shows where it failed."""
        position = self.registry.positions[self.registry.state_of(self.current_phase)]
        total = len(self.registry.phases)
        return (total if self.state == COMPLETED else position), total


class Play:
    """One phase on the model: what is pending, and what of it becomes durable."""

    def __init__(self, run: Model) -> None:
        self.run = run
        self.results: dict[str, Any] = dict(run.results)
        self.warnings = list(run.warnings)
        self.steps: tuple[int | None, int | None] = (None, None)
        self.pending: list[int] = []
        self.active_s = run.active_s
        self.is_open = self.is_lost = self.is_orphaned = False
        self.has_cursor = self.is_stale = False
        self.is_cancelling = self.is_stopping = False
        self.attempt = run.attempt

    def begin(self) -> None:
        if self.is_lost:
            raise Refused("lost")
        if not self.is_open and self.is_stale:
            raise Refused("busy snapshot")
        self.is_open = True

    def discard(self) -> None:
        self.pending, self.is_open, self.is_orphaned = [], False, False

    def check_point(self) -> None:
        if self.is_cancelling:
            self.cancel()
        if "bad" in self.results:
            raise Refused("results")
        self.begin()
        if self.run.cancel_requested:
            self.is_cancelling = True
            self.cancel()
        if self.is_orphaned:
            self.discard()
            self.is_lost = True
            raise Refused("foreign key")
        self.commit()
        if self.is_stopping:
            raise Stopped

    def cancel(self) -> None:
        self.discard()
        self.is_lost = False
        raise Refused("cancelled")

    def commit(self) -> None:
        run = self.run
        run.items += self.pending
        run.results, run.warnings, run.steps = dict(self.results), list(self.warnings), self.steps
        run.active_s = self.active_s
        run.version += 1
        self.discard()

    def end(self, raised: str | None) -> None:
        """Take the edge that the end of the phase asks for; `raised` is the message of what it raised."""
        if raised is not None and raised != "cancelled":
            self.leave(FAIL, "error", raised)
        elif self.active_s >= HARD_LIMIT_S:
            self.leave(TIME_OUT, "timeout", "Pipeline exceeded 60-minute timeout")
        elif self.is_cancelling:
            self.leave(CANCEL, "cancelled", "Cancelled on request")
        elif "bad" in self.results or self.is_lost:
            self.leave(FAIL, "error", None)
        elif self.run.cancel_requested:
            self.leave(CANCEL, "cancelled", "Cancelled on request")
        elif self.is_orphaned:
            self.leave(FAIL, "error", "FOREIGN KEY constraint failed")
        else:
            edge = self.run.move(
                ADVANCE, active_s=self.active_s, results=dict(self.results), warnings=list(self.warnings)
            )
            assert not edge.rolls_back
            if edge.dest == COMPLETED:
                self.run.attempt = self.attempt
            self.run.items += self.pending

    def leave(self, trigger: str, code: str, message: str | None) -> None:
        edge = self.run.move(
            trigger,
            active_s=self.active_s,
            warnings=list(self.warnings),
            error_code=code,
            error_message=message,
        )
        assert edge.rolls_back, "or the rows would stay"


# --- the machine ---


class Life(RuleBasedStateMachine):
    """Two processes share a database; each may die and be replaced at any moment."""

    @initialize(numbers=st.lists(st.integers(-3, 30), min_size=1, max_size=5, unique=True).map(sorted))
    def begin(self, numbers: list[int]) -> None:
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="phaseline-life-", dir=place))
        self.db = self.folder / "runs.db"
        self.clock = FakeClock(BEGINNING)
        self.registry = Registry.of(
            [(number, f"Phase {abs(number)}.{number < 0}", self.phase) for number in numbers]
        )
        self.table = edges(self.registry.states)
        self.runs: dict[int, Model] = {}
        self.items = 0
        self.kept: list[Any] = []
        self.script, self.playing = Script([]), -1
        self.played: list[BaseException | None] = []
        self.runners = [self.new_runner(), self.new_runner()]
        self.create(0)

    def teardown(self) -> None:
        for runner in getattr(self, "runners", []):
            runner.close()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    def new_runner(self) -> Runner:
        runner = Runner(
            self.db,
            self.registry,
            clock=self.clock,
            schema=SCHEMA,
            executor="threads",
            max_active_runs=2,
            max_attempts=MAX_ATTEMPTS,
            secrets=[SECRET],
        )
        # No threads here: what would be launched belongs to the runner, and is stepped.
        runner._desk._launch = lambda run: runner._roster.forget(runner._roster._lives[run.id])
        return runner

    # -- one phase, for real --

    def phase(self, conn: sqlite3.Connection, ctx: Any) -> None:
        for name, argument in self.script.actions:
            try:
                self.act(name, argument, conn, ctx)
            except Killed:
                raise
            except BaseException:
                if not self.script.swallows:
                    raise

    def act(self, name: str, argument: Any, conn: Any, ctx: Any) -> None:  # noqa: C901, PLR0912  # a table in all but form
        match name:
            case "write":
                conn.execute("INSERT INTO items VALUES (?)", (self.next_item(),))
            case "check point":
                ctx.checkpoint()
            case "result":
                ctx.results["last"] = self.items
            case "bad result":
                ctx.results["bad"] = object()
            case "warn":
                ctx.warn("said", str(self.items))
            case "progress":
                ctx.progress(*argument)
            case "lose":
                item = self.next_item()
                conn.execute("INSERT INTO items VALUES (?)", (item,))
                with suppress(sqlite3.IntegrityError):
                    conn.execute("INSERT OR ROLLBACK INTO items VALUES (?)", (item,))
            case "orphan":
                conn.execute("INSERT INTO child VALUES (-1)")
            case "factories":
                conn.row_factory, conn.text_factory = sqlite3.Row, bytes
            case "cursor":
                self.kept.append(conn.execute("SELECT name FROM sqlite_master"))
                self.kept[-1].fetchone()
            case "forbidden":
                FORBIDDEN[argument](conn)
            case "time":
                self.clock.advance(argument)
            case "own cancel":
                self.runners[self.playing].cancel(ctx.run_id)
            case "other cancel":
                with suppress(StoreBusy):
                    self.runners[1 - self.playing].cancel(ctx.run_id)
            case "stop":
                self.runners[self.playing].request_stop()
            case "raise":
                raise ERRORS[argument]()  # noqa: RSE102  # it makes the exception
            case _:
                self.runners[self.playing]._owner.close()
                conn.close_for_good()
                raise Killed

    def next_item(self) -> int:
        self.items += 1
        return self.items

    # -- one phase, on the model --

    def expect(self, play: Play, script: Script) -> Literal["edge", "stopped", "dead"]:
        """Play a script on the model; return how the phase ended."""
        raised, item = None, self.items
        for name, argument in script.actions:
            if name == "die":
                return "dead"
            try:
                item = self.mirror(play, name, argument, item)
            except Stopped:
                if not script.swallows:
                    return "stopped"
            except Refused as refused:
                if not script.swallows:
                    raised = str(refused)
                    break
        play.end(raised if raised in {None, "cancelled", *ERRORS} else "")
        return "edge"

    def mirror(self, play: Play, name: str, argument: Any, item: int) -> int:  # noqa: C901, PLR0912  # as `act`
        match name:
            case "write":
                item += 1
                play.begin()
                play.pending.append(item)
            case "check point":
                play.check_point()
            case "result":
                play.results["last"] = item
            case "bad result":
                play.results["bad"] = None
            case "warn":
                play.warnings.append(str(item))
            case "progress":
                current, total = argument
                play.steps = (current, None if total is None else max(current, total))
            case "lose":
                item += 1
                play.begin()
                play.discard()
                play.is_lost = True
            case "orphan":
                play.begin()
                play.is_orphaned = True
            case "cursor":
                play.has_cursor = True
            case "forbidden":
                if argument.strip() and is_write(argument):
                    play.begin()
                raise Refused("forbidden")
            case "time":
                play.active_s += argument
            case "own cancel":
                play.is_cancelling = True
            case "other cancel":
                if not play.is_open:
                    play.run.cancel_requested = True
                    play.is_stale |= play.has_cursor
            case "stop":
                play.is_stopping = True
            case "raise":
                raise Refused(argument)
            case _:
                pass
        return item

    # -- rules --

    @rule(who=st.integers(0, 1))
    def create(self, who: int) -> None:
        if sum(run.is_active for run in self.runs.values()) >= 2:
            with pytest.raises(AlreadyRunning):
                self.runners[who].create({})
            return
        run = self.runners[who].create({"n": len(self.runs)})
        model = Model(run.id, self.table, self.registry, self.runners[who]._owner.token)
        model.move(START)
        self.runs[run.id] = model

    @rule(who=st.integers(0, 1), played=st.lists(scripts(), min_size=1, max_size=5))
    def run_phases(self, who: int, played: list[Script]) -> None:
        self.run_on(who, played)

    @rule(who=st.integers(0, 1), played=st.lists(scripts(), min_size=3, max_size=5))
    def run_many_phases(self, who: int, played: list[Script]) -> None:
        self.run_on(who, played)

    def run_on(self, who: int, played: list[Script]) -> None:
        """Let phases follow one another, of the oldest active run or of a new one."""
        for script in played:
            active = [run for run in self.runs.values() if run.is_active]
            if not active:
                self.create(who)
            else:
                owners = [at for at in (0, 1) if self.runners[at]._owner.token == active[0].owner]
                self.step_run(active[0], *owners or [who], script=script)
            self.all_is_as_the_model_says()

    @precondition(lambda self: self.runs)
    @rule(who=st.integers(0, 1), data=st.data(), script=scripts())
    def step(self, who: int, data: st.DataObject, script: Script) -> None:
        self.step_run(self.some_run(data), who, script=script)

    def step_run(self, run: Model, who: int, *, script: Script) -> None:
        runner = self.runners[who]
        if not run.is_active:
            with pytest.raises(IllegalTransition):
                runner.step(run.id)
        elif run.owner != runner._owner.token:
            self.step_from_outside(run, who)
        elif run.cancel_requested:
            assert runner.step(run.id).error_code == "cancelled"
            run.move(CANCEL, error_code="cancelled", error_message="Cancelled on request")
        else:
            self.play(run, who, script, lambda: runner.step(run.id))

    @precondition(lambda self: self.runs)
    @rule(who=st.integers(0, 1), data=st.data(), script=scripts())
    def drive_until_stopped(self, who: int, data: st.DataObject, script: Script) -> None:
        """The body of the run's thread, asked to stop in the phase: one edge at most, then it lets go."""
        run, runner = self.some_run(data), self.runners[who]
        if not run.is_active or run.owner != runner._owner.token or run.cancel_requested:
            return
        live = runner._roster.claim(runner._ledger.read(run.id))
        actions = [action for action in script.actions if action != ("die", None)]
        play = self.play(
            run,
            who,
            Script([("stop", None), *actions], script.swallows),
            lambda: runner._threads._drive(live),
        )
        if run.is_active:
            run.owner, run.active_s, run.version = None, play.active_s, run.version + 1
            run.cancel_requested |= play.is_cancelling
        self.replace(who)

    def play(self, run: Model, who: int, script: Script, drive: Callable[[], object]) -> Play:
        """Play a phase on both sides."""
        self.script, self.playing = script, who
        play = Play(run)
        expected = self.expect(play, script)
        try:
            drive()
        except RunStopping:
            assert expected == "stopped"
        except sqlite3.ProgrammingError:  # its connection is closed
            assert expected == "dead"
        if expected == "dead":
            self.replace(who)
        return play

    def step_from_outside(self, run: Model, who: int) -> None:
        runner = self.runners[who]
        if run.owner is not None and run.owner in self.alive():
            with pytest.raises(RunOwned):
                runner.step(run.id)
            return
        runner.step(run.id)
        self.taken_over(run, runner)

    def taken_over(self, run: Model, runner: Runner) -> None:
        crashed = run.owner is not None
        attempt = run.attempt + 1 if crashed else 1
        if run.cancel_requested:
            run.move(CANCEL, error_code="cancelled", error_message="Cancelled on request")
        elif attempt > 1 + MAX_ATTEMPTS:
            run.move(FAIL, error_code="attempts_exhausted")
        else:
            run.move(RESUME, attempt=attempt, owner=runner._owner.token)

    @rule(who=st.integers(0, 1))
    def recover(self, who: int) -> None:
        runner = self.runners[who]
        ours = runner._owner.token
        left = [
            run
            for run in self.runs.values()
            if run.is_active and (run.owner == ours or run.owner not in self.alive())
        ]
        assert [run.id for run in runner.recover()] == [run.id for run in left]
        for run in left:
            self.taken_over(run, runner)

    @precondition(lambda self: self.runs)
    @rule(who=st.integers(0, 1), data=st.data())
    def cancel(self, who: int, data: st.DataObject) -> None:
        run, runner = self.some_run(data), self.runners[who]
        if not run.is_active:
            with pytest.raises(IllegalTransition):
                runner.cancel(run.id)
            run.refusals += 1
            return
        runner.cancel(run.id)
        if run.owner in self.alive() - {runner._owner.token}:
            run.cancel_requested = True
        else:
            run.move(CANCEL, error_code="cancelled", error_message="Cancelled on request")

    @precondition(lambda self: self.runs)
    @rule(who=st.integers(0, 1), data=st.data())
    def resume(self, who: int, data: st.DataObject) -> None:
        run, runner = self.some_run(data), self.runners[who]
        others = sum(each.is_active for each in self.runs.values() if each is not run)
        if run.is_active and run.owner in self.alive() - {runner._owner.token}:
            with pytest.raises(IllegalTransition):
                runner.resume(run.id)
        elif RESUME not in allowed(self.table, run.state):
            with pytest.raises(IllegalTransition):
                runner.resume(run.id)
            run.refusals += 1
        elif others >= 2:
            with pytest.raises(AlreadyRunning):
                runner.resume(run.id)
        else:
            runner.resume(run.id)
            run.move(RESUME, owner=runner._owner.token, active_s=0.0)

    @rule(who=st.integers(0, 1))
    def die(self, who: int) -> None:
        self.replace(who)

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), trigger=st.sampled_from(TRIGGERS))
    def try_what_is_illegal(self, data: st.DataObject, trigger: str) -> None:
        run = self.some_run(data)
        if trigger in allowed(self.table, run.state):
            return
        boundary = Boundary(at="2030-01-01T00:00:00.000Z", owner="f", active_s=1.0)
        with closing(connect(self.db, sqlite3.Connection)) as conn:
            store = RunStore(conn)
            with pytest.raises(IllegalTransition) as caught, transaction(conn):
                take(self.registry, store, store.read(run.id), trigger, boundary)
        assert caught.value.allowed == allowed(self.table, run.state)

    # -- helpers --

    def some_run(self, data: st.DataObject) -> Model:
        return data.draw(st.sampled_from(sorted(self.runs.values(), key=lambda run: run.id)), label="run")

    def alive(self) -> set[str | None]:
        return {runner._owner.token for runner in self.runners}

    def replace(self, who: int) -> None:
        """Start another process in the place of one that has stopped or died."""
        self.runners[who].close()
        self.runners[who] = self.new_runner()

    # -- what always holds --

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        if not hasattr(self, "runs"):
            return
        with closing(RunReader(self.db)) as reader:
            for run in self.runs.values():
                row = reader.read(run.id)
                assert self.shown(row) == self.wanted(run)
                if run.error_message:
                    assert row.error_message == run.error_message
                events = reader.events(run.id, limit=-1)
                moves = [event for event in events if "refused" not in (event.detail or {})]
                assert [event.trigger for event in moves] == run.triggers
                assert len(events) - len(moves) == run.refusals
                assert {(event.trigger, event.source, event.dest) for event in moves} <= {
                    (edge.trigger, edge.source, edge.dest) for edge in self.table
                }
                assert SECRET not in str(events)
            committed = sorted(item for run in self.runs.values() for item in run.items)
            assert [
                item for (item,) in reader.conn.execute("SELECT item FROM items ORDER BY item")
            ] == committed
        assert verify(self.db) == []

    @staticmethod
    def shown(row: Run) -> dict[str, Any]:
        names = "status state current_phase phase_label attempt version active_s results error_code owner"
        return {name: getattr(row, name) for name in [*names.split(), "cancel_requested"]} | {
            "progress": (row.progress_current, row.progress_total),
            "steps": (row.step_current, row.step_total),
            "warnings": [each["message"] for each in row.warnings or ()],
            "has message": row.error_message is not None,
        }

    def wanted(self, run: Model) -> dict[str, Any]:
        phase = self.registry.phase_of(self.registry.state_of(run.current_phase))
        return {
            "status": status_of(run.state),
            "state": run.state,
            "current_phase": phase.number,
            "phase_label": phase.label,
            "attempt": run.attempt,
            "version": run.version,
            "active_s": run.active_s,
            "results": run.results,
            "error_code": run.error_code,
            "owner": run.owner,
            "cancel_requested": run.cancel_requested,
            "progress": run.progress,
            "steps": run.steps,
            "warnings": run.warnings,
            "has message": run.error_code is not None,
        }


@pytest.mark.slow
def test_the_one_table_says_what_becomes_of_a_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(Ledger.writing.__wrapped__.__kwdefaults__, "patience_s", 0.0)  # type: ignore[attr-defined]  # functools.wraps
    caplog.set_level(logging.CRITICAL, "phaseline.run")
    given = settings()

    run_state_machine_as_test(
        Life, settings=settings(given, max_examples=given.max_examples * 3 // 5, stateful_step_count=20)
    )
