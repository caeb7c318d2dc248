"""The roster: which runs this process drives, by which thread, and which failures it still has to write.

Everything the threads of a runner share is here, behind one lock; nothing here waits, writes or logs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from statemachine.contract import Json
from statemachine.errors import RunOwned
from statemachine.live import Live, Outcome
from statemachine.store import Run

FIRST_PAUSE_S: Final = 1.0
"""Pause after the first try to write a failure; the later ones double."""
RETRY_S: Final = 60.0
"""Longest pause between two tries to write a failure."""


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """A failure that could not be written, and when that is tried again."""

    live: Live
    outcome: Outcome
    due_s: float
    pause_s: float


class Roster:
    """The runs that this process drives. Thread-safe."""

    def __init__(self, new_live: Callable[[Run], Live]) -> None:
        self.idle = threading.Event()
        """Set while no run has a thread, abandoned ones not counted."""
        self.idle.set()
        self._new_live = new_live
        self._guard = threading.Lock()
        """Guards the fields below."""
        self._lives: dict[int, Live] = {}
        self._threads: dict[int, tuple[Live, threading.Thread]] = {}
        self._unrecorded: dict[int, Unrecorded] = {}
        self._abandoned: list[threading.Thread] = []

    # --- looking ---

    def live(self, run_id: int) -> Live | None:
        """Return what is known in memory of a run that this process drives."""
        return self._lives.get(run_id)

    def has(self, run_id: int) -> bool:
        """Return whether a run is driven here, or its failure waits here to be written."""
        return run_id in self._lives or run_id in self._unrecorded

    def snapshot(self) -> tuple[dict[int, Live], dict[int, Unrecorded]]:
        """Return the live runs and the unrecorded failures of one moment."""
        with self._guard:
            return dict(self._lives), dict(self._unrecorded)

    def readiness(self) -> dict[str, Json]:
        """Return the ids of the runs, and how many threads that were left behind still run."""
        with self._guard:
            return {
                "active_runs": sorted(self._lives),
                "unrecorded_failures": sorted(self._unrecorded),
                "abandoned_threads": sum(thread.is_alive() for thread in self._abandoned),
            }

    # --- coming and going ---

    @contextmanager
    def adopting(self) -> Generator[Callable[[Run], Run]]:
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
                self.forget(live)
            raise

    def claim(self, run: Run) -> Live:
        """Count a run as driven by the calling thread; raise `RunOwned` where another one drives it."""
        live = self._new_live(run)
        with self._guard:
            if run.id in self._lives:
                raise RunOwned(f"run {run.id} is driven by a thread of this process; it is left alone")
            self._lives[run.id] = live
        return live

    def enlist(self, live: Live, thread: threading.Thread) -> None:
        """Give an adopted run its thread, which the caller starts."""
        with self._guard:
            self._threads[live.run_id] = (live, thread)
            self.idle.clear()

    def forget(self, live: Live) -> None:
        """Let a run and its thread go; where its failure is unrecorded it still counts as driven."""
        with self._guard:
            if self._lives.get(live.run_id) is live and live.run_id not in self._unrecorded:
                self._lives.pop(live.run_id)
            if self._threads.get(live.run_id, (None,))[0] is live:
                self._threads.pop(live.run_id)
            if not self._threads:
                self.idle.set()

    def leave_behind(self, live: Live) -> bool:
        """Count a run's thread as abandoned; return whether it had one still."""
        with self._guard:
            found, thread = self._threads.get(live.run_id, (None, None))
            if found is not live or thread is None:
                return False
            self._threads.pop(live.run_id)
            self._abandoned.append(thread)
            return True

    # --- failures that could not be written ---

    def owe(self, live: Live, outcome: Outcome) -> None:
        """Keep a failure to be written: at once, or after a longer and longer pause."""
        live.failure = (outcome.code or "error", outcome.message or "")
        now_s = live.clock.monotonic()
        with self._guard:
            known = self._unrecorded.get(live.run_id)
            pause_s = 0.0 if known is None else min(max(FIRST_PAUSE_S, 2 * known.pause_s), RETRY_S)
            self._unrecorded[live.run_id] = Unrecorded(live, outcome, now_s + pause_s, pause_s)

    def paid(self, live: Live) -> None:
        """Let a failure go that is written, or has become somebody else's."""
        with self._guard:
            self._unrecorded.pop(live.run_id, None)
            if self._lives.get(live.run_id) is live:  # and not that of a person's resume, a moment later
                self._lives.pop(live.run_id)
