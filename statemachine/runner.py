"""The runner: the threads that drive runs, and everything around them.

It owns this process's token of ownership, one writing connection for requests, the run threads, the keeper
(soft limit, abandonment, failures that could not be written) and the workers of `ctx.map`. What a run does
is decided in `driver.py`; the thread here is a thin shell around `Driver.step`.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from statemachine.clock import SystemClock, stamp
from statemachine.connection import connect, naming_damage, transaction
from statemachine.contract import Clock, Json, RunAbandoned, RunMovedOn, RunStopping
from statemachine.driver import CANCELLED, Driver, Recovery, ToolsFactory, failure, take_over
from statemachine.errors import (
    AlreadyRunning,
    DatabaseUnusable,
    FailureUnrecorded,
    ForeignRegistry,
    IllegalTransition,
    KeyReused,
    PhaselineError,
    RunOwned,
    StoreBusy,
    ThreadUnavailable,
)
from statemachine.guard import PhaseConnection
from statemachine.live import Limits, Live, Note, Outcome
from statemachine.machine import Boundary, take
from statemachine.owner import Owner
from statemachine.redaction import redactor
from statemachine.registry import Registry
from statemachine.store import MAX_REFUSALS, Run, RunReader, RunStore, dumps, prepare
from statemachine.table import CANCEL, FAIL, RESUME, TERMINAL, TIME_OUT, allowed
from statemachine.workers import Kind, Workers

_log = logging.getLogger("phaseline.run")

REQUEST_BUSY_S: Final = 5.0
"""How long a request waits for another writer before it answers "busy"."""
KEEPER_S: Final = 1.0
"""How often the keeper looks, at least."""
RETRY_S: Final = 60.0
"""Longest pause between two tries to write a failure; the first ones come sooner."""
NOTIFY_S: Final = 0.25
"""Progress is told to subscribers at most so often."""

_PERSONS: Final = (CANCEL, RESUME)
"""The triggers that a person may ask for."""


def _no_tools(_params: Mapping[str, Json]) -> None:
    return None


@dataclass(frozen=True, slots=True)
class _Unrecorded:
    """A failure that could not be written, and when that is tried again."""

    live: Live
    outcome: Outcome
    due_s: float
    pause_s: float


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
        self._max_active = max_active_runs
        self._recovery = Recovery(mode=recovery, max_attempts=max_attempts)
        self._stop_at_checkpoint = shutdown == "checkpoint"
        self._redact = redactor(secrets)
        self._workers = Workers(executor)
        prepare(db, registry, schema)
        self._owner = _owner_of(db)
        self._conn = connect(db, sqlite3.Connection, busy_timeout_s=REQUEST_BUSY_S)
        self._write_lock = threading.Lock()
        self._reader = RunReader(db)
        self._read_lock = threading.RLock()
        self._notes: deque[tuple[Run, Note]] = deque(maxlen=MAX_REFUSALS)
        """Refused steps of runs that nobody drives, waiting for the write lock."""
        self._guard = threading.Lock()
        """Guards the fields below."""
        self._lives: dict[int, Live] = {}
        self._threads: dict[int, tuple[Live, threading.Thread]] = {}
        self._unrecorded: dict[int, _Unrecorded] = {}
        self._abandoned: list[threading.Thread] = []
        self._subscribers: list[Callable[[int], None]] = []
        self._told: dict[int, float] = {}
        self._stopping = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._wake = threading.Event()
        self._closed = False
        self._keeper: threading.Thread | None = None

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
        asked = hashlib.sha256(dumps(params if request is None else request).encode()).hexdigest()
        replayed = self._answered_from_a_read(idempotency_key, asked)
        if replayed is not None:
            return replayed
        with self._adopting() as adopt, self._writing() as store:
            replayed = self._replayed(store, idempotency_key, asked)
            if replayed is not None:
                return replayed
            run = adopt(self._created(store, params))
            if idempotency_key is not None:
                store.remember_key(idempotency_key, asked, run.id)
        self._launch(run)
        return run

    def create(self, params: dict[str, Json]) -> Run:
        """Create a run of this process without a thread, to be driven with `step`."""
        with self._writing() as store:
            return self._created(store, params)

    def _created(self, store: RunStore, params: dict[str, Json]) -> Run:
        self._refuse_if_full(store)
        return store.create(self.registry, params, at=self._now(), owner=self._owner.token)

    def cancel(self, run_id: int) -> Run:
        """Ask for a run to be cancelled; honoured at its next check point or boundary.

        Raises:
            RunNotFound: No such run.
            IllegalTransition: It has ended already; the refusal is recorded.
            ForeignRegistry: Its owner is dead, and this process does not know its phases.
            StoreBusy: Another process's phase holds the write lock; try again.
        """
        run = self._read(run_id)
        live = self._live_or_refuse(run, CANCEL)
        if live is not None:
            live.cancelling = True
            live.changed()
            return run
        if self._is_driven(run):
            with self._writing() as store:
                if store.request_cancel(run):
                    return store.read(run_id)
            return self.cancel(run_id)  # it ended meanwhile: refuse with the state that it has now
        self._must_know(run)
        try:
            return self._settle(run, Outcome(trigger=CANCEL, code="cancelled", message=CANCELLED))
        except RunMovedOn:
            return self.cancel(run_id)  # it ended or was taken over meanwhile: judge anew

    def resume(self, run_id: int) -> Run:
        """Enter the phase that a run failed in again; earlier phases are not run again.

        Raises:
            RunNotFound: No such run.
            IllegalTransition: It has completed, or is being driven.
            AlreadyRunning: Another run is active.
            ForeignRegistry: It was started with other phases.
            StoreBusy: Another write took too long.
        """
        run = self._read(run_id)
        self._live_or_refuse(run, RESUME)
        self._must_know(run)
        with self._reading() as store:
            self._refuse_if_full(store, besides=run_id)
        boundary = Boundary(at=self._now(), owner=self._owner.token, active_s=0.0)
        try:
            with self._adopting() as adopt, self._writing() as store:
                self._refuse_if_full(store, besides=run_id)
                resumed = adopt(take(self.registry, store, run, RESUME, boundary))
        except RunMovedOn:
            return self.resume(run_id)  # it was taken over meanwhile: judge anew
        self._launch(resumed)
        return resumed

    def recover(self) -> list[Run]:
        """Take over every active run of this registry whose owner is dead; return them.

        Safe at any time and in several processes at once: a living owner's run is never touched. A process
        that is stopping takes nothing over.
        """
        taken: list[Run] = []
        for run in [] if self._stopping.is_set() else self._active():
            if run.registry != self.registry.fingerprint or self._is_driven(run):
                continue
            try:
                taken.append(self._taken_over(run))
            except RunMovedOn:
                continue  # another process was quicker
            except (StoreBusy, IllegalTransition, sqlite3.Error) as error:
                _log.warning("run %d can't be taken over: %s", run.id, error)
                continue
            if taken[-1].owner is not None:
                _log.info("run %d goes on in %r", run.id, run.phase_label, extra={"run_id": run.id})
                self._launch(taken[-1])
        return taken

    def step(self, run_id: int) -> Run:
        """Take a run over exactly one edge on the calling thread; see `Driver.step`."""
        run = self._read(run_id)
        live = self._new_live(run)
        with self._guard:
            if run_id in self._lives:
                raise RunOwned(f"run {run_id} is driven by a thread of this process; it is left alone")
            self._lives[run_id] = live
        try:
            with self._connection() as conn:
                return self._driver(conn, live).step(run_id)
        finally:
            self._forget(live)

    # --- looking ---

    def live(self, run_id: int) -> Live | None:
        """Return what this process knows of a run that it drives, in memory."""
        return self._lives.get(run_id)

    def subscribe(self, callback: Callable[[int], None]) -> Callable[[], None]:
        """Call back with a run's id after its commits and, now and then, its progress; return the undo.

        The callback runs on the run's thread: it must be quick and must not raise.
        """
        with self._guard:
            self._subscribers = [*self._subscribers, callback]

        def undo() -> None:
            with self._guard:
                self._subscribers = [each for each in self._subscribers if each is not callback]

        return undo

    def readiness(self) -> dict[str, Json]:
        """Return whether this process can take work, and what it is busy with."""
        with self._guard:
            abandoned = [thread for thread in self._abandoned if thread.is_alive()]
            return {
                "ready": not self._closed and not self._stopping.is_set(),
                "active_runs": sorted(self._lives),
                "unrecorded_failures": sorted(self._unrecorded),
                "abandoned_threads": len(abandoned),
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

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until no run thread is left, abandoned ones not counted; return whether none is."""
        return self._clock.wait(self._idle, timeout_s)

    def close(self) -> None:
        """Stop runs at their next check point, wait for them, and let everything go."""
        self.request_stop()
        self.wait()
        self._closed = True
        self._wake.set()
        if self._keeper is not None:
            self._keeper.join()
        self._workers.close()
        self._owner.close()
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._conn.close()

    # --- writing for requests ---

    def _now(self) -> str:
        return stamp(self._clock.now())

    @contextmanager
    def _writing(self, *, patience_s: float = REQUEST_BUSY_S) -> Generator[RunStore]:
        if not self._write_lock.acquire(timeout=patience_s):
            raise StoreBusy("the database is busy with another write; try again in a moment")
        try:
            self._conn.execute(f"PRAGMA busy_timeout = {patience_s * 1000:.0f}")
            with naming_damage(self.db), transaction(self._conn):
                yield RunStore(self._conn)
        finally:
            self._write_lock.release()

    @contextmanager
    def _reading(self) -> Generator[RunStore]:
        """Read what is committed, whoever is writing."""
        with naming_damage(self.db), self._read_lock:
            yield self._reader

    def _read(self, run_id: int) -> Run:
        with self._reading() as store:
            return store.read(run_id)

    def _active(self) -> list[Run]:
        with self._reading() as store:
            return store.active()

    def _answered_from_a_read(self, key: str | None, asked: str) -> Run | None:
        """Answer what needs no write lock: a replay, or a refusal (after taking over what nobody drives)."""
        with self._reading() as store:
            replayed = self._replayed(store, key, asked)
            if replayed is not None:
                return replayed
            is_full = len(store.active()) >= self._max_active
        if is_full:
            self.recover()
            with self._reading() as store:
                self._refuse_if_full(store)
        return None

    def _replayed(self, store: RunStore, key: str | None, asked: str) -> Run | None:
        known = None if key is None else store.keyed_run(key)
        if known is None:
            return None
        if known[0] != asked:
            raise KeyReused(f"the idempotency key {key!r} was used with another request; choose a new one")
        return store.read(known[1])

    def _refuse_if_full(self, store: RunStore, *, besides: int | None = None) -> None:
        active = [run.id for run in store.active() if run.id != besides]
        if len(active) >= self._max_active:
            raise AlreadyRunning(active[0])

    def _must_know(self, run: Run) -> None:
        if run.registry != self.registry.fingerprint:
            raise ForeignRegistry(
                f"run {run.id} was started with other phases; use the process that was started with them"
            )

    def _is_driven(self, run: Run) -> bool:
        """Whether somebody alive drives a run; its owner being this process is not enough."""
        if run.owner == self._owner.token:
            return run.id in self._lives or run.id in self._unrecorded
        return self._owner.is_alive(run.owner)

    def _live_or_refuse(self, run: Run, trigger: str) -> Live | None:
        """Return the live run where this process drives it; refuse what a person may not ask now."""
        driven = self._is_driven(run)
        if not driven and run.state not in TERMINAL:
            self._must_know(run)
        legal = [each for each in allowed(self.registry.edges, run.state) if each in _PERSONS]
        if driven:  # whatever its phases are, its owner can cancel it
            legal = [CANCEL]
        if trigger not in legal:
            self._refuse(run, trigger, tuple(legal))
        return self._lives.get(run.id) if driven else None

    def _refuse(self, run: Run, trigger: str, legal: tuple[str, ...]) -> None:
        refusal = IllegalTransition(run.id, trigger, run.state, legal)
        note = Note(self._now(), run.state, trigger, str(refusal))
        live = self._lives.get(run.id)
        if live is not None:  # a commit of ours would break a phase that is in the middle of a SELECT
            if len(live.notes) < MAX_REFUSALS:
                live.notes.append(note)
        elif not self._is_driven(run):
            self._notes.append((run, note))
            self._record_notes()
            self._wake.set()
        raise refusal

    def _record_notes(self) -> None:
        """Record the refused steps that wait, if nobody is writing; else the keeper tries again."""
        try:
            with self._writing(patience_s=0.0) as store:
                while self._notes:
                    run, note = self._notes.popleft()
                    store.record_refusal(
                        run, state=note.state, trigger=note.trigger, why=note.why, at=note.at
                    )
        except (PhaselineError, sqlite3.Error) as error:
            _log.info("%d refused steps wait to be recorded: %s", len(self._notes), error)

    def _settle(self, run: Run, outcome: Outcome) -> Run:
        """Take an edge into `failed` from outside the run's thread."""
        live = self._lives.get(run.id)
        boundary = Boundary(
            at=self._now(),
            owner=None,
            active_s=run.active_s if live is None else live.active_s(),
            warnings=outcome.warnings,
            error_code=outcome.code,
            error_message=outcome.message,
            detail=outcome.detail,
        )
        with self._writing() as store:
            settled = take(self.registry, store, run, outcome.trigger, boundary)
        self._tell(run.id)
        return settled

    def _taken_over(self, run: Run) -> Run:
        with self._adopting() as adopt, self._writing() as store:
            taken = take_over(
                self.registry,
                store,
                run,
                owner=self._owner.token,
                recovery=self._recovery,
                at=self._now(),
            )
            return taken if taken.owner is None else adopt(taken)

    @contextmanager
    def _adopting(self) -> Generator[Callable[[Run], Run]]:
        """Count a run as driven from before the commit that makes it ours.

        Between that commit and its thread it would look like a run that nobody drives.
        """
        adopted: list[Live] = []

        def adopt(run: Run) -> Run:
            adopted.append(self._new_live(run))
            with self._guard:
                self._lives[run.id] = adopted[-1]
            return run

        try:
            yield adopt
        except BaseException:
            for live in adopted:
                self._forget(live)
            raise

    # --- driving ---

    def _new_live(self, run: Run) -> Live:
        return Live(
            run_id=run.id,
            clock=self._clock,
            limits=self.limits,
            active_before_s=run.active_s,
            stopping=self._stopping.is_set,
            changed=lambda: self._tell(run.id),
        )

    def _connection(self) -> AbstractContextManager[PhaseConnection]:
        return _closing(connect(self.db, PhaseConnection, checkpoints=True))

    def _driver(self, conn: PhaseConnection, live: Live) -> Driver:
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

    def _launch(self, run: Run) -> None:
        with self._guard:
            live = self._lives[run.id]
            thread = threading.Thread(
                target=self._drive, args=(live,), name=f"phaseline-run-{run.id}", daemon=False
            )
            self._threads[run.id] = (live, thread)
            self._idle.clear()
        try:
            self._start_keeper()
            thread.start()
            self._wake.set()
        except RuntimeError as error:
            message = f"no thread for the run: {error}"
            self._retry(live, Outcome(trigger=FAIL, code="error", message=message))
            self._forget(live)
            raise ThreadUnavailable(f"run {run.id} was failed at once: {error}; free some memory") from error

    def _drive(self, live: Live) -> None:
        """Drive one run to its end, or to a deliberate stop: the body of the run's thread."""
        try:
            with self._connection() as conn:
                driver = self._driver(conn, live)
                try:
                    while driver.step(live.run_id).owner is not None:
                        if self._stopping.is_set():
                            raise RunStopping("the process is stopping")  # noqa: TRY301  # one way to stop
                except RunStopping:
                    self._release(driver, live)
        except RunAbandoned:
            pass  # the watchdog has said everything
        except (RunMovedOn, ForeignRegistry, IllegalTransition) as error:
            _log.error(
                "run %d was left: %s", live.run_id, error, extra={"run_id": live.run_id}
            )  # no surprise
        except FailureUnrecorded as error:
            _log.error("%s; it is tried again", error, extra={"run_id": live.run_id})
            self._keep_trying(live, live.unwritten or failure(error, self._redact))
        except BaseException as error:  # noqa: BLE001  # nothing may leave a run without a thread and without a word
            outcome = failure(error, self._redact)
            _log.error(
                "run %d could not be driven\n%s", live.run_id, outcome.trace, extra={"run_id": live.run_id}
            )
            self._keep_trying(live, outcome)
        finally:
            self._forget(live)
            self._tell(live.run_id)

    def _release(self, driver: Driver, live: Live) -> None:
        try:
            driver.release(live.run_id)
        except sqlite3.Error as error:
            _log.warning("run %d stopped, which will count as a crash: %s", live.run_id, error)
        else:
            _log.info("run %d stopped; it goes on at the next start", live.run_id)

    def _forget(self, live: Live) -> None:
        with self._guard:
            if self._lives.get(live.run_id) is live and live.run_id not in self._unrecorded:
                self._lives.pop(live.run_id)
            if self._threads.get(live.run_id, (None,))[0] is live:
                self._threads.pop(live.run_id)
            self._told.pop(live.run_id, None)
            if not self._threads:
                self._idle.set()

    def _keep_trying(self, live: Live, outcome: Outcome) -> None:
        """Let the keeper write a failure: at once, or after a longer and longer pause."""
        live.failure = (outcome.code or "error", outcome.message or "")
        now_s = self._clock.monotonic()
        with self._guard:
            known = self._unrecorded.get(live.run_id)
            pause_s = 0.0 if known is None else min(max(KEEPER_S, 2 * known.pause_s), RETRY_S)
            self._unrecorded[live.run_id] = _Unrecorded(live, outcome, now_s + pause_s, pause_s)
        self._wake.set()

    def _tell(self, run_id: int) -> None:
        """Tell subscribers of a change, progress at most every `NOTIFY_S`."""
        now = self._clock.monotonic()
        live = self._lives.get(run_id)
        if live is not None and live.step is not None and now - self._told.get(run_id, -NOTIFY_S) < NOTIFY_S:
            return
        self._told[run_id] = now
        for callback in self._subscribers:
            try:
                callback(run_id)
            except Exception:  # noqa: BLE001  # who watches a run may not harm it
                _log.exception("a subscriber of run %d failed", run_id)

    # --- keeping ---

    def _start_keeper(self) -> None:
        with self._guard:
            if self._keeper is None:
                # A daemon: it goes with the last run thread, and is needed exactly as long.
                keeper = threading.Thread(target=self._keep, name="phaseline-keeper", daemon=True)
                keeper.start()
                self._keeper = keeper

    def _keep(self) -> None:
        while not self._closed:
            try:
                wait_s = self.keep()
            except Exception:  # noqa: BLE001  # the limits of all runs hang on this thread
                _log.exception("the keeper stumbled; it goes on")
                wait_s = KEEPER_S
            self._clock.wait(self._wake, wait_s)
            self._wake.clear()  # here, where what was said before it is looked at next

    def keep(self) -> float | None:
        """Do what is due for the live runs; return the seconds until something may be due again."""
        with self._guard:
            lives = dict(self._lives)
            unrecorded = dict(self._unrecorded)
        for failed in unrecorded.values():
            if failed.due_s <= self._clock.monotonic():
                self._retry(failed.live, failed.outcome)
        waits = [self._watch(live) for run_id, live in lives.items() if run_id not in unrecorded]
        if lives:
            self._hear_cancels(lives)
        if self._notes:
            self._record_notes()
        return min([KEEPER_S, *waits]) if lives or unrecorded or self._notes else None

    def _watch(self, live: Live) -> float:
        """Warn or abandon if that is due; return the seconds until either may be."""
        live.warn_if_slow()
        active_s, abandon_at_s = live.active_s(), live.limits.abandon_at_s
        if abandon_at_s is not None and active_s >= abandon_at_s:
            self._abandon(live)
            return KEEPER_S
        ahead = [
            at - active_s for at in (live.limits.soft_s, abandon_at_s) if at is not None and at > active_s
        ]
        return min(ahead, default=KEEPER_S)

    def _hear_cancels(self, lives: Mapping[int, Live]) -> None:
        """Hear of cancels that another process wrote into the rows."""
        for run in self._active():
            live = lives.get(run.id)
            if live is not None and run.cancel_requested:
                live.cancelling = True

    def _abandon(self, live: Live) -> None:
        """Fail a run whose phase is stuck, and seal its connection; its thread is left behind."""
        with self._guard:
            found, thread = self._threads.get(live.run_id, (None, None))
            if found is not live or thread is None:
                return
            self._threads.pop(live.run_id)
            self._abandoned.append(thread)
        if live.conn is not None:
            live.conn.revoke()
        _log.error(
            "run %d: its phase was still running %g s after the hard limit and is abandoned; "
            "the thread left behind can't write any more",
            live.run_id,
            live.limits.abandon_after_s,
            extra={"run_id": live.run_id},
        )
        outcome = Outcome(
            trigger=TIME_OUT,
            code="timeout",
            message=live.limits.message,
            detail={"abandoned": True},
            warnings=live.said(),
        )
        self._retry(live, outcome)
        self._forget(live)

    def _retry(self, live: Live, outcome: Outcome) -> None:
        """Write a failure from outside the run's thread; keep it for later where that fails too."""
        run_id = live.run_id
        try:
            run = self._read(run_id)
            if run.owner == self._owner.token:
                self._settle(run, outcome)
        except RunMovedOn:
            pass  # it ended meanwhile
        except (sqlite3.Error, PhaselineError) as error:
            _log.warning("the failure of run %d still can't be written: %s", run_id, error)
            self._reopen()
            self._keep_trying(live, outcome)
            return
        with self._guard:
            self._unrecorded.pop(run_id, None)
            if self._lives.get(run_id) is live:  # and not that of a person's resume, a moment later
                self._lives.pop(run_id)

    def _reopen(self) -> None:
        with self._write_lock:
            try:
                fresh = connect(self.db, sqlite3.Connection, busy_timeout_s=REQUEST_BUSY_S)
            except PhaselineError:
                return
            self._conn.close()
            self._conn = fresh


def _owner_of(db: Path) -> Owner:
    try:
        return Owner(db)
    except OSError as error:
        raise DatabaseUnusable(
            f"can't lock {error.filename or db}: {error.strerror}; check the permissions beside the database"
        ) from error


@contextmanager
def _closing(conn: PhaseConnection) -> Generator[PhaseConnection]:
    try:
        yield conn
    finally:
        conn.close_for_good()
