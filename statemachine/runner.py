"""The runner: everything around the runs of one database in one process, put together.

Requests go to the desk, runs to their threads, limits and failures to the keeper; what they share is the
roster (in memory) and the ledger (in the database). What a run does is decided in `driver.py`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from statemachine.clock import SystemClock
from statemachine.contract import Clock, Json
from statemachine.desk import Desk
from statemachine.driver import Driver, Recovery, ToolsFactory
from statemachine.errors import DatabaseUnusable
from statemachine.guard import PhaseConnection
from statemachine.keeper import Keeper
from statemachine.ledger import Ledger
from statemachine.live import Limits, Live
from statemachine.owner import Owner
from statemachine.redaction import redactor
from statemachine.refusals import Refusals
from statemachine.registry import Registry
from statemachine.roster import Roster
from statemachine.store import Run, prepare
from statemachine.subscribers import Subscribers
from statemachine.threads import RunThreads
from statemachine.workers import Kind, Workers


def _no_tools(_params: Mapping[str, Json]) -> None:
    return None


class Runner:
    """Starts, drives, recovers and stops runs on one database. Thread-safe."""

    def __init__(
        self,
        db: Path,
        registry: Registry,
        *,
        tools: ToolsFactory = _no_tools,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        max_active_runs: int = 1,
        recovery: Literal["resume", "fail"] = "resume",
        max_attempts: int = 3,
        shutdown: Literal["finish", "checkpoint"] = "finish",
        executor: Kind = "processes",
        schema: Mapping[str, Sequence[str]] = MappingProxyType({}),
        clock: Clock | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        """Open, create or migrate the database. Nothing runs yet; call `recover()` at start-up.

        Args:
            db: The database file.
            registry: The phases that this process runs.
            tools: Makes the outside world of a run from its params; called at each entry into a phase.
            limits: How long a run may be active.
            max_active_runs: Most active runs in the database, whichever process asks.
            recovery: What becomes of a run whose process died.
            max_attempts: Further times that one phase may be entered after crashes.
            shutdown: Whether `stop()` lets runs end, or stops them at their next check point.
            executor: Where `ctx.map` works.
            schema: For each part (a pipeline) the scripts that make its tables, version by version.
            clock: Where time comes from.
            secrets: Texts that must never be stored or logged.

        Raises:
            DatabaseUnusable: With what is wrong and what to do.
        """
        self.db = db
        self.registry = registry
        self.limits = limits
        self._tools = tools
        self._clock: Clock = clock or SystemClock()
        self._recovery = Recovery(mode=recovery, max_attempts=max_attempts)
        self._stop_at_checkpoint = shutdown == "checkpoint"
        self._stopping = threading.Event()
        self._closed = False
        self._redact = redactor(secrets)
        self._workers = Workers(executor)
        prepare(db, registry, schema)
        self._owner = _owner_of(db)
        self._ledger = Ledger(db)
        self._roster = Roster(self._new_live)
        self._subscribers = Subscribers()
        wake = threading.Event()
        refusals = Refusals(self._ledger, wake)
        self._keeper = Keeper(
            self._ledger,
            self._roster,
            refusals,
            self._subscribers,
            registry=registry,
            token=self._owner.token,
            clock=self._clock,
            wake=wake,
        )
        self._threads = RunThreads(
            db,
            self._roster,
            self._keeper,
            self._subscribers,
            new_driver=self._new_driver,
            stopping=self._stopping,
            redact=self._redact,
        )
        self._desk = Desk(
            self._ledger,
            self._roster,
            self._keeper,
            refusals,
            registry=registry,
            owner=self._owner,
            clock=self._clock,
            recovery=self._recovery,
            max_active_runs=max_active_runs,
            stopping=self._stopping,
            launch=self._threads.launch,
        )

    def _new_live(self, run: Run) -> Live:
        live = Live(
            run_id=run.id,
            phase=run.state,
            attempt=run.attempt,
            clock=self._clock,
            limits=self.limits,
            active_before_s=run.active_s,
            stopping=self._stopping.is_set,
        )
        live.changed = lambda: self._subscribers.tell_of(live)
        return live

    def _new_driver(self, conn: PhaseConnection, live: Live) -> Driver:
        return Driver(
            conn,
            self.registry,
            live,
            owner=self._owner,
            tools=self._tools,
            mapper=self._workers.map,
            redact=self._redact,
            recovery=self._recovery,
        )

    # --- asking ---

    def start(
        self, params: dict[str, Json], *, idempotency_key: str | None = None, request: Json = None
    ) -> Run:
        """Create a run in its first phase and start its thread; return it as it was created.

        Args:
            params: What the phases are told; stored with the run.
            idempotency_key: The same key with the same request returns the same run.
            request: What the key stands for, where that is less than `params`.

        Raises:
            AlreadyRunning: With the id of an active run.
            KeyReused: The key was used with another request.
            StoreBusy: Another write took too long.
            ThreadUnavailable: The run was created and failed at once.
        """
        return self._desk.start(params, idempotency_key=idempotency_key, request=request)

    def create(self, params: dict[str, Json]) -> Run:
        """Create a run of this process without a thread, to be driven with `step`."""
        return self._desk.create(params)

    def cancel(self, run_id: int) -> Run:
        """Ask for a run to be cancelled; honoured at its next check point or boundary.

        Raises:
            RunNotFound: No such run.
            IllegalTransition: It has ended already; the refusal is recorded.
            ForeignRegistry: Its owner is dead, and this process does not know its phases.
            StoreBusy: Another process's phase holds the write lock; try again.
        """
        return self._desk.cancel(run_id)

    def resume(self, run_id: int) -> Run:
        """Enter the phase that a run failed in again; earlier phases are not run again.

        Raises:
            RunNotFound: No such run.
            IllegalTransition: It has completed, or is being driven.
            AlreadyRunning: Another run is active.
            ForeignRegistry: It was started with other phases.
            StoreBusy: Another write took too long.
        """
        return self._desk.resume(run_id)

    def recover(self) -> list[Run]:
        """Take over every active run of this registry whose owner is dead; return them.

        Safe at any time and in several processes at once: a living owner's run is never touched. A process
        that is stopping takes nothing over.
        """
        return self._desk.recover()

    def step(self, run_id: int) -> Run:
        """Take a run over exactly one edge on the calling thread; see `Driver.step`."""
        return self._threads.step(self._ledger.read(run_id))

    def keep(self) -> float | None:
        """Do what is due for the live runs; return the seconds until something may be due again."""
        return self._keeper.keep()

    # --- looking ---

    def live(self, run_id: int) -> Live | None:
        """Return what this process knows of a run that it drives, in memory."""
        return self._roster.live(run_id)

    def subscribe(self, callback: Callable[[int], None]) -> Callable[[], None]:
        """Call back with a run's id after its commits and, now and then, its progress; return the undo.

        The callback runs on the run's thread: it must be quick and must not raise.
        """
        return self._subscribers.add(callback)

    def readiness(self) -> dict[str, Json]:
        """Return whether this process can take work, and what it is busy with."""
        return {
            "ready": not self._closed and not self._stopping.is_set(),
            **self._roster.readiness(),
            "sqlite_version": sqlite3.sqlite_version,
            "registry": self.registry.fingerprint,
        }

    # --- stopping ---

    def stop(self) -> None:
        """Begin the shutdown as configured: runs end, or stop at their next check point."""
        if self._stop_at_checkpoint:
            self.request_stop()

    def request_stop(self) -> None:
        """Let all runs stop at their next check point; they stay resumable."""
        self._stopping.set()
        self._keeper.wake()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until no run thread is left, abandoned ones not counted; return whether none is."""
        return self._clock.wait(self._roster.idle, timeout_s)

    def close(self) -> None:
        """Stop runs at their next check point, wait for them, and let everything go."""
        self.request_stop()
        self.wait()
        self._closed = True
        self._keeper.close()
        self._workers.close()
        self._owner.close()
        self._ledger.close()


def _owner_of(db: Path) -> Owner:
    try:
        return Owner(db)
    except OSError as error:
        raise DatabaseUnusable(
            f"can't lock {error.filename or db}: {error.strerror}; check the permissions beside the database"
        ) from error
