"""The ledger: the database as every thread uses it that drives no run.

One connection writes and one reads, each behind its lock, so that a look is never held up by somebody who
waits to write. The connections of the run threads are their own, in `threads.py`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from statemachine.connection import connect, naming_damage, transaction
from statemachine.errors import PhaselineError, StoreBusy
from statemachine.store import Run, RunReader, RunStore

REQUEST_BUSY_S: Final = 5.0
"""How long a request waits for another writer before it answers "busy"."""


class Ledger:
    """The runs of one database, to be read and written by any thread."""

    def __init__(self, db: Path) -> None:
        """Open both connections; raises `DatabaseUnusable`."""
        self._db = db
        self._conn = connect(db, sqlite3.Connection, busy_timeout_s=REQUEST_BUSY_S)
        self._write_lock = threading.Lock()
        self._reader = RunReader(db)
        self._read_lock = threading.RLock()

    @contextmanager
    def writing(self, *, patience_s: float = REQUEST_BUSY_S) -> Generator[RunStore]:
        """Write in one transaction; raise `StoreBusy` where the lock is not to be had in that time."""
        if not self._write_lock.acquire(timeout=patience_s):
            raise StoreBusy("the database is busy with another write; try again in a moment")
        try:
            self._conn.execute(f"PRAGMA busy_timeout = {patience_s * 1000:.0f}")
            with naming_damage(self._db), transaction(self._conn):
                yield RunStore(self._conn)
        finally:
            self._write_lock.release()

    @contextmanager
    def reading(self) -> Generator[RunStore]:
        """Read what is committed, whoever is writing."""
        with naming_damage(self._db), self._read_lock:
            yield self._reader

    def read(self, run_id: int) -> Run:
        """Return a run; raise `RunNotFound`."""
        with self.reading() as store:
            return store.read(run_id)

    def active(self) -> list[Run]:
        """Return the active runs, whoever drives them."""
        with self.reading() as store:
            return store.active()

    def reopen(self) -> None:
        """Write on a fresh connection from now on, where one is to be had."""
        with self._write_lock:
            try:
                fresh = connect(self._db, sqlite3.Connection, busy_timeout_s=REQUEST_BUSY_S)
            except PhaselineError:
                return
            self._conn.close()
            self._conn = fresh

    def close(self) -> None:
        """Close both connections."""
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._conn.close()
