"""Refused steps of runs that nobody drives, on their way into the history."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import deque

from statemachine.errors import PhaselineError
from statemachine.ledger import Ledger
from statemachine.live import Note
from statemachine.store import MAX_REFUSALS, Run

_log = logging.getLogger("phaseline.run")


class Refusals:
    """Records refused steps without making anybody wait for the write lock.

    Those of a run that is driven wait in its `Live` for its next commit: one of ours would break a phase
    that is in the middle of a SELECT.
    """

    def __init__(self, ledger: Ledger, wake: threading.Event) -> None:
        """`wake` is set when something waits for the keeper."""
        self._ledger = ledger
        self._wake = wake
        self._waiting: deque[tuple[Run, Note]] = deque(maxlen=MAX_REFUSALS)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, run: Run, note: Note) -> None:
        """Record a refused step now or, while somebody is writing, soon."""
        self._waiting.append((run, note))
        self.record()
        self._wake.set()

    def record(self) -> None:
        """Record what waits, if nobody is writing."""
        try:
            with self._ledger.writing(patience_s=0.0) as store:
                while self._waiting:
                    run, note = self._waiting.popleft()
                    store.record_refusal(
                        run, state=note.state, trigger=note.trigger, why=note.why, at=note.at
                    )
        except (PhaselineError, sqlite3.Error) as error:
            _log.info("%d refused steps wait to be recorded: %s", len(self._waiting), error)
