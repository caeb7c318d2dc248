"""One life of a process: it recovers what it finds, starts a run, may meet a fault, and ends or dies."""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from statemachine.errors import AlreadyRunning, PhaselineError
from statemachine.live import Limits
from statemachine.runner import Runner
from tests.faults.forkserver import rendezvous
from tests.faults.pipeline import NUMBERS, REGISTRY, SCHEMA, World

KILL, TORN_KILL, ERROR, TORN_ERROR = 1, 2, 3, 4
"""What shim.c does at an operation."""

BEGINNING: Final = datetime(2025, 3, 12, 18, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to one storage operation of a life, counted from 1."""

    kind: int
    at: int
    error: int = errno.EIO
    for_ever: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What a process is to do and to suffer."""

    db: Path
    starts: bool = True
    """Whether it asks for a new run where none is active after recovery."""
    params: Mapping[str, Any] = field(default_factory=dict)
    fault: Fault | None = None
    heals: bool = False
    """Whether the fault ends when all threads have; the same process must then go on."""
    acts: Mapping[str, str] = field(default_factory=dict)
    """What happens at a moment (without the run's number): see `Actor.act`."""
    shutdown: str = "finish"
    recovery: str = "resume"
    max_attempts: int = 3
    trace: Path | None = None
    """A file that each entry into a phase is appended to, as `run.phase`."""
    log: Path | None = None
    """Where the shim logs every operation."""


class VirtualClock:
    """Time that moves only when told; waiting is real, so that threads can meet."""

    def __init__(self) -> None:
        self.monotonic_s = 0.0
        self.wall_s = 0.0

    def monotonic(self) -> float:
        return self.monotonic_s

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.wall_s)

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        return event.wait(timeout_s)


class Shim:
    """The library that was preloaded into this process; without it, nothing."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._library = library if hasattr(library, "shim_arm") else None

    def arm(self, life: Life) -> None:
        fault = life.fault or Fault(kind=0, at=0)
        if self._library is None:
            assert (life.fault, life.log) == (None, None), "this life needs the shim"
            return
        if life.log is not None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._library.shim_log_to(os.open(life.log, flags, 0o600))
        folder = f"{life.db.parent}/".encode()
        at = ctypes.c_long(fault.at)
        self._library.shim_arm(folder, fault.kind, at, fault.error, int(fault.for_ever))

    def heal(self) -> None:
        if self._library is not None:
            self._library.shim_heal()

    def count(self) -> int:
        return 0 if self._library is None else int(self._library.shim_count())

    def mark(self, code: int) -> None:
        if self._library is not None:
            self._library.shim_mark(ctypes.c_long(code))


COMPLETED: Final = 999
LONG_S: Final = 120.0
"""Seconds after which whatever is tried again is due."""


def acknowledged(run_id: int, phase: int, items: int) -> int:
    """Return the mark for "so many items of this phase are durable, and every earlier phase".

    `COMPLETED` items stand for the end of the run.
    """
    return run_id * 10_000 + NUMBERS.index(phase) * 1_000 + items


class Actor:
    """Meets the moments of the phases: writes down entries, marks what was acknowledged, acts as told."""

    def __init__(self, life: Life, shim: Shim, clock: VirtualClock) -> None:
        self.life, self.shim, self.clock = life, shim, clock
        self.runner: Runner | None = None
        self.waiting = dict(life.acts)

    def reached(self, where: str) -> None:
        run, phase, moment = where.split(".")
        self.clock.monotonic_s += 1.0
        self.clock.wall_s += 1.0
        if moment == "entered":
            self.shim.mark(acknowledged(int(run), int(phase), 0))
            if self.life.trace is not None:
                append(self.life.trace, f"{run}.{phase}")
        if moment.startswith("kept"):
            self.shim.mark(acknowledged(int(run), int(phase), int(moment[4:]) + 1))
        act = self.waiting.pop(f"{phase}.{moment}", None)
        if act is not None:
            self.act(act, int(run))

    def act(self, act: str, run_id: int) -> None:
        assert self.runner is not None, "the runner is there before its phases"
        if act == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif act == "raise":
            raise ValueError("the phase was told to fail")
        elif act == "stop":
            self.runner.request_stop()
        elif act == "cancel":
            self.runner.cancel(run_id)
        elif act == "late":
            self.clock.monotonic_s += Limits().hard_s
        elif act == "leap":
            self.clock.wall_s += 2 * 3_600.0
        elif act == "pause":
            os.write(sys.stdout.fileno(), f"{act}\n".encode())
            sys.stdin.buffer.read(1)
        elif act == "meet":
            rendezvous().wait()
        else:
            assert act == "jump", act
            self.clock.wall_s -= 3 * 86_400.0


def append(path: Path, line: str) -> None:
    """Append a line so that a kill right afterwards can't lose it."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(fd, f"{line}\n".encode())
    os.close(fd)


def runner_of(life: Life, world: World, clock: VirtualClock) -> Runner:
    settings: dict[str, Any] = {"shutdown": life.shutdown, "recovery": life.recovery}
    return Runner(
        life.db,
        REGISTRY,
        tools=lambda _params: world,
        schema=SCHEMA,
        executor="threads",
        clock=clock,
        max_attempts=life.max_attempts,
        **settings,
    )


def live(life: Life) -> dict[str, Any]:
    """Live a life to its end, and say what came of it; an error of the engine or of SQLite is one end."""
    logging.disable(logging.CRITICAL)
    shim, clock = Shim(), VirtualClock()
    clock.wall_s = time.monotonic() % 86_400  # lives follow each other; no verdict hangs on it
    actor = Actor(life, shim, clock)
    report: dict[str, Any] = {"taken": [], "started": None, "again": None, "error": None}
    shim.arm(life)
    try:
        _lived(life, actor, report)
    except (PhaselineError, sqlite3.Error) as error:
        report["error"] = f"{type(error).__name__}: {error}"
    report["operations"] = shim.count()
    return report


def _lived(life: Life, actor: Actor, report: dict[str, Any]) -> None:
    runner = runner_of(life, World(actor.reached), actor.clock)
    actor.runner = runner
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda _number, _frame: _stop(runner))
    try:
        report["taken"] = [(run.id, run.state, run.attempt) for run in runner.recover()]
        runner.wait()
        if life.starts and not runner._ledger.active():
            report["started"] = runner.start(dict(life.params)).id
            runner.wait()
            if runner._ledger.read(report["started"]).completed_at is not None:
                actor.shim.mark(acknowledged(report["started"], NUMBERS[-1], COMPLETED))
    except (PhaselineError, sqlite3.Error) as error:
        report["error"] = f"{type(error).__name__}: {error}"
    finally:
        if life.heals:
            actor.shim.heal()
            report["again"] = _goes_on(runner, actor.clock, dict(life.params))
        runner.close()


def _stop(runner: Runner) -> None:
    """Heed SIGTERM, and say so: until then the run's thread may go on as if nothing had been said."""
    runner.stop()
    os.write(1, b"stopping\n")


def try_again(runner: Runner, clock: VirtualClock) -> None:
    """Let what could not be written be tried again, once the fault is over.

    Twice: a try of the keeper's own may have begun before that, and puts the next one off when it fails.
    """
    for _ in range(2):
        clock.monotonic_s += LONG_S
        runner.keep()


def _goes_on(runner: Runner, clock: VirtualClock, params: dict[str, Any]) -> str:
    """Return what becomes of a run that is asked for once the fault is over."""
    try_again(runner, clock)
    run = runner.start(params)
    runner.wait()
    return runner._ledger.read(run.id).status


def person(life: Life, what: str, run_id: int) -> str:
    """Cancel or resume a run as a person would, wait, and return its status."""
    logging.disable(logging.CRITICAL)
    clock = VirtualClock()
    actor = Actor(life, Shim(), clock)
    runner = actor.runner = runner_of(life, World(actor.reached), clock)
    try:
        {"cancel": runner.cancel, "resume": runner.resume}[what](run_id)
        runner.wait()
        return runner._ledger.read(run_id).status
    finally:
        runner.close()


def decide(life: Life, what: str) -> str:
    """Race others to start a run or to take one over; the winner's run waits until all have decided."""
    logging.disable(logging.CRITICAL)
    clock = VirtualClock()
    actor = Actor(life, Shim(), clock)
    runner = actor.runner = runner_of(life, World(actor.reached), clock)
    try:
        if what == "recover":
            return f"took {len(runner.recover())}"
        return f"won {runner.start({}).id}"
    except AlreadyRunning as error:
        return f"AlreadyRunning {error.active_run_id}"
    finally:
        rendezvous().arrive()
        runner.wait()
        runner.close()
