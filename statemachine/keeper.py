"""The keeper: one thread that holds all runs to their limits, and writes what their threads could not.

It warns of the soft limit, abandons a phase that is stuck past the hard one, tries again to write failures
and refused steps that met a full disk or a busy database, and hears of cancels from other processes.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Mapping
from typing import Final

from statemachine.clock import stamp
from statemachine.contract import Clock, RunMovedOn
from statemachine.errors import PhaselineError
from statemachine.ledger import Ledger
from statemachine.live import Live, Outcome
from statemachine.machine import Boundary, take
from statemachine.refusals import Refusals
from statemachine.registry import Registry
from statemachine.roster import Roster
from statemachine.store import Run
from statemachine.subscribers import Subscribers
from statemachine.table import TIME_OUT

_log = logging.getLogger("phaseline.run")

KEEPER_S: Final = 1.0
"""How often the keeper looks, at least."""


class Keeper:
    """Looks after the runs of a roster. Its thread starts with the first run, and needs no run to end."""

    def __init__(
        self,
        ledger: Ledger,
        roster: Roster,
        refusals: Refusals,
        subscribers: Subscribers,
        *,
        registry: Registry,
        token: str,
        clock: Clock,
        wake: threading.Event,
    ) -> None:
        """`token` is what stands in the rows of this process's runs; `wake` makes the keeper look at once."""
        self._ledger = ledger
        self._roster = roster
        self._refusals = refusals
        self._subscribers = subscribers
        self._registry = registry
        self._token = token
        self._clock = clock
        self._wake = wake
        self._guard = threading.Lock()
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    # --- the thread ---

    def start(self) -> None:
        """Start the thread, once."""
        with self._guard:
            if self._thread is None:
                # A daemon: it goes with the last run thread, and is needed exactly as long.
                thread = threading.Thread(target=self._keep, name="phaseline-keeper", daemon=True)
                thread.start()
                self._thread = thread

    def wake(self) -> None:
        """Let the keeper look at once."""
        self._wake.set()

    def close(self) -> None:
        """End the thread and wait for it."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

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
        """Do what is due; return the seconds until something may be due again."""
        with self._turn:  # else one caller's failed try would owe again what another one has just paid
            return self._look()

    def _look(self) -> float | None:
        lives, unrecorded = self._roster.snapshot()
        for failed in unrecorded.values():
            if failed.due_s <= self._clock.monotonic():
                self.fail(failed.live, failed.outcome)
        waits = [self._watch(live) for run_id, live in lives.items() if run_id not in unrecorded]
        if lives:
            self._hear_cancels(lives)
        if self._refusals:
            self._refusals.record()
        return min([KEEPER_S, *waits]) if lives or unrecorded or self._refusals else None

    def _hear_cancels(self, lives: Mapping[int, Live]) -> None:
        """Hear of cancels that another process wrote into the rows."""
        for run in self._ledger.active():
            live = lives.get(run.id)
            if live is not None and run.cancel_requested:
                live.cancelling = True

    # --- limits ---

    def _watch(self, live: Live) -> float:
        """Warn or abandon if that is due; return the seconds until either may be."""
        live.warn_if_slow()
        active_s, abandon_at_s = live.active_s(), live.limits.abandon_at_s
        if abandon_at_s is not None and active_s >= abandon_at_s:
            self._abandon(live)
            return KEEPER_S
        stop_left_s = live.stop_left_s()
        if stop_left_s <= 0:
            self._cut_off(live)
            return KEEPER_S
        ahead = [
            at - active_s for at in (live.limits.soft_s, abandon_at_s) if at is not None and at > active_s
        ]
        return min([stop_left_s, *ahead])

    def _abandon(self, live: Live) -> None:
        """Fail a run whose phase is stuck, and seal its connection; its thread is left behind."""
        if not self._seal(live):
            return
        _log.error(
            "run %d: its phase was still running %g s after the hard limit and is abandoned; "
            "the thread left behind can't write any more",
            live.run_id,
            live.limits.abandon_after_s,
            extra=live.logged(),
        )
        outcome = Outcome(
            trigger=TIME_OUT,
            code="timeout",
            message=live.limits.message,
            detail={"abandoned": True},
            warnings=live.said(),
        )
        self.fail(live, outcome)
        self._roster.forget(live)

    def _cut_off(self, live: Live) -> None:
        """Let a run go whose phase has not looked up since the wish to stop; it goes on at the next start."""
        if not self._seal(live):
            return
        try:
            run = self._ledger.read(live.run_id)
            if run.owner == self._token:
                with self._ledger.writing() as store:
                    store.let_go(
                        run,
                        at=stamp(self._clock.now()),
                        active_s=live.active_s(),
                        cancelling=live.cancelling,
                    )
        except (sqlite3.Error, PhaselineError) as error:
            said = f"its process ends, which will count as a crash: {error}"
        else:
            said = "its process ends, and it goes on at the next start from its last check point"
        _log.warning(
            "run %d: its phase reached no check point for %g s after the wish to stop and is cut off; %s",
            live.run_id,
            live.limits.stop_grace_s,
            said,
            extra=live.logged(),
        )
        self._roster.forget(live)

    def _seal(self, live: Live) -> bool:
        """Leave a run's thread behind, which can't write any more; return whether it had one still."""
        if not self._roster.leave_behind(live):
            return False
        if live.conn is not None:
            live.conn.revoke()
        return True

    # --- failures from outside the run's thread ---

    def settle(self, run: Run, outcome: Outcome) -> Run:
        """Take an edge into `failed`; raises what writing raises, and `RunMovedOn`."""
        live = self._roster.live(run.id)
        boundary = Boundary(
            at=stamp(self._clock.now()),
            owner=None,
            active_s=run.active_s if live is None else live.active_s(),
            warnings=outcome.warnings,
            error_code=outcome.code,
            error_message=outcome.message,
            detail=outcome.detail,
        )
        with self._ledger.writing() as store:
            settled = take(self._registry, store, run, outcome.trigger, boundary)
        self._subscribers.tell(run.id)
        return settled

    def keep_trying(self, live: Live, outcome: Outcome) -> None:
        """Write a failure at once or, after each try that fails, later."""
        self._roster.owe(live, outcome)
        self._wake.set()

    def fail(self, live: Live, outcome: Outcome) -> None:
        """Write the failure of a run that is ours; keep it for later where that fails too."""
        try:
            run = self._ledger.read(live.run_id)
            if run.owner == self._token:
                self.settle(run, outcome)
        except RunMovedOn:
            pass  # it ended meanwhile
        except (sqlite3.Error, PhaselineError) as error:
            _log.warning(
                "the failure of run %d still can't be written: %s", live.run_id, error, extra=live.logged()
            )
            self._ledger.reopen()
            self.keep_trying(live, outcome)
            return
        self._roster.paid(live)
