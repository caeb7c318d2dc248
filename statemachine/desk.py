"""The request desk: what may be asked of runs, and what is answered.

Whatever can be answered from a read is, so that a phase that holds the write lock keeps nobody waiting: a
replay, a refusal, the cancel of a run that this process drives.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from collections.abc import Callable
from typing import Final

from statemachine.clock import stamp
from statemachine.contract import Clock, Json, RunMovedOn
from statemachine.driver import CANCELLED, Recovery, take_over
from statemachine.errors import AlreadyRunning, ForeignRegistry, IllegalTransition, KeyReused, StoreBusy
from statemachine.keeper import Keeper
from statemachine.ledger import Ledger
from statemachine.live import Live, Note, Outcome
from statemachine.machine import Boundary, take
from statemachine.owner import Owner
from statemachine.refusals import Refusals
from statemachine.registry import Registry
from statemachine.roster import Roster
from statemachine.store import MAX_REFUSALS, Run, RunStore, dumps
from statemachine.table import CANCEL, RESUME, TERMINAL, allowed

_log = logging.getLogger("phaseline.run")

_PERSONS: Final = (CANCEL, RESUME)
"""The triggers that a person may ask for."""


class Desk:
    """Answers requests; `Runner` says what each of them raises. Thread-safe."""

    def __init__(
        self,
        ledger: Ledger,
        roster: Roster,
        keeper: Keeper,
        refusals: Refusals,
        *,
        registry: Registry,
        owner: Owner,
        clock: Clock,
        recovery: Recovery,
        max_active_runs: int,
        stopping: threading.Event,
        launch: Callable[[Run], None],
    ) -> None:
        """`launch` starts the thread of a run that the roster has adopted."""
        self._ledger = ledger
        self._roster = roster
        self._keeper = keeper
        self._refusals = refusals
        self._registry = registry
        self._owner = owner
        self._clock = clock
        self._recovery = recovery
        self._max_active = max_active_runs
        self._stopping = stopping
        self._launch = launch

    # --- new runs ---

    def start(self, params: dict[str, Json], *, idempotency_key: str | None, request: Json) -> Run:
        """Create a run and start its thread, or return the one that the key stands for."""
        asked = hashlib.sha256(dumps(params if request is None else request).encode()).hexdigest()
        replayed = self._answered_from_a_read(idempotency_key, asked)
        if replayed is not None:
            return replayed
        with self._roster.adopting() as adopt, self._ledger.writing() as store:
            replayed = _replayed(store, idempotency_key, asked)
            if replayed is not None:
                return replayed
            run = adopt(self._created(store, params))
            if idempotency_key is not None:
                store.remember_key(idempotency_key, asked, run.id)
        self._launch(run)
        return run

    def create(self, params: dict[str, Json]) -> Run:
        """Create a run without a thread."""
        with self._ledger.writing() as store:
            return self._created(store, params)

    def _created(self, store: RunStore, params: dict[str, Json]) -> Run:
        self._refuse_if_full(store)
        return store.create(self._registry, params, at=self._now(), owner=self._owner.token)

    def _answered_from_a_read(self, key: str | None, asked: str) -> Run | None:
        """Answer what needs no write lock: a replay, or a refusal (after taking over what nobody drives)."""
        with self._ledger.reading() as store:
            replayed = _replayed(store, key, asked)
            if replayed is not None:
                return replayed
            is_full = len(store.active()) >= self._max_active
        if is_full:
            self.recover()
            with self._ledger.reading() as store:
                self._refuse_if_full(store)
        return None

    def _refuse_if_full(self, store: RunStore, *, besides: int | None = None) -> None:
        active = [run.id for run in store.active() if run.id != besides]
        if len(active) >= self._max_active:
            raise AlreadyRunning(active[0])

    def _now(self) -> str:
        return stamp(self._clock.now())

    # --- what a person asks of a run ---

    def cancel(self, run_id: int) -> Run:
        """Ask the thread that drives a run to end it; end it at once where nobody drives it."""
        run = self._ledger.read(run_id)
        live = self._live_or_refuse(run, CANCEL)
        if live is not None:
            live.cancelling = True
            live.changed()
            return run
        if self._is_driven(run):
            with self._ledger.writing() as store:
                if store.request_cancel(run):
                    return store.read(run_id)
            return self.cancel(run_id)  # it ended meanwhile: refuse with the state that it has now
        self._must_know(run)
        try:
            return self._keeper.settle(run, Outcome(trigger=CANCEL, code="cancelled", message=CANCELLED))
        except RunMovedOn:
            return self.cancel(run_id)  # it ended or was taken over meanwhile: judge anew

    def resume(self, run_id: int) -> Run:
        """Enter the phase that a run failed in again."""
        run = self._ledger.read(run_id)
        self._live_or_refuse(run, RESUME)
        self._must_know(run)
        with self._ledger.reading() as store:
            self._refuse_if_full(store, besides=run_id)
        boundary = Boundary(at=self._now(), owner=self._owner.token, active_s=0.0)
        try:
            with self._roster.adopting() as adopt, self._ledger.writing() as store:
                self._refuse_if_full(store, besides=run_id)
                resumed = adopt(take(self._registry, store, run, RESUME, boundary))
        except RunMovedOn:
            return self.resume(run_id)  # it was taken over meanwhile: judge anew
        self._launch(resumed)
        return resumed

    def _live_or_refuse(self, run: Run, trigger: str) -> Live | None:
        """Return the live run where this process drives it; refuse what a person may not ask now."""
        driven = self._is_driven(run)
        if not driven and run.state not in TERMINAL:
            self._must_know(run)
        legal = [each for each in allowed(self._registry.edges, run.state) if each in _PERSONS]
        if driven:  # whatever its phases are, its owner can cancel it
            legal = [CANCEL]
        if trigger not in legal:
            self._refuse(run, trigger, tuple(legal))
        return self._roster.live(run.id) if driven else None

    def _refuse(self, run: Run, trigger: str, legal: tuple[str, ...]) -> None:
        refusal = IllegalTransition(run.id, trigger, run.state, legal)
        note = Note(self._now(), run.state, trigger, str(refusal))
        live = self._roster.live(run.id)
        if live is None and not self._is_driven(run):
            self._refusals.add(run, note)
        elif live is not None and len(live.notes) < MAX_REFUSALS:
            live.notes.append(note)
        raise refusal

    def _must_know(self, run: Run) -> None:
        if run.registry != self._registry.fingerprint:
            raise ForeignRegistry(
                f"run {run.id} was started with other phases; use the process that was started with them"
            )

    def _is_driven(self, run: Run) -> bool:
        """Whether somebody alive drives a run; its owner being this process is not enough."""
        if run.owner == self._owner.token:
            return self._roster.has(run.id)
        return self._owner.is_alive(run.owner)

    # --- runs that nobody drives ---

    def recover(self) -> list[Run]:
        """Take over every active run of this registry whose owner is dead; return them."""
        taken: list[Run] = []
        for run in [] if self._stopping.is_set() else self._ledger.active():
            if run.registry != self._registry.fingerprint or self._is_driven(run):
                continue
            try:
                taken.append(self._taken_over(run))
            except RunMovedOn:
                continue  # another process was quicker
            except (StoreBusy, IllegalTransition, sqlite3.Error) as error:
                _log.warning("run %d can't be taken over: %s", run.id, error, extra=_logged(run))
                continue
            if taken[-1].owner is not None:
                _log.info("run %d goes on in %r", run.id, run.phase_label, extra=_logged(taken[-1]))
                self._launch(taken[-1])
        return taken

    def _taken_over(self, run: Run) -> Run:
        with self._roster.adopting() as adopt, self._ledger.writing() as store:
            taken = take_over(
                self._registry,
                store,
                run,
                owner=self._owner.token,
                recovery=self._recovery,
                at=self._now(),
            )
            return taken if taken.owner is None else adopt(taken)


def _replayed(store: RunStore, key: str | None, asked: str) -> Run | None:
    known = None if key is None else store.keyed_run(key)
    if known is None:
        return None
    if known[0] != asked:
        raise KeyReused(f"the idempotency key {key!r} was used with another request; choose a new one")
    return store.read(known[1])


def _logged(run: Run) -> dict[str, Json]:
    return {"run_id": run.id, "phase": run.state, "attempt": run.attempt}
