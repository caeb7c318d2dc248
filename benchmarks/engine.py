"""Ours: the engine with phases that do next to nothing, so that what is left is the engine."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.floor import NOTES, ROW, WRITE_NOTE, label
from statemachine.clock import SystemClock, stamp
from statemachine.connection import connect
from statemachine.contract import RunContext
from statemachine.driver import Driver, Recovery
from statemachine.guard import PhaseConnection
from statemachine.live import Limits, Live
from statemachine.owner import Owner
from statemachine.redaction import redactor
from statemachine.registry import Registry
from statemachine.store import Run, RunStore, prepare

PhaseFunction = Callable[[sqlite3.Connection, RunContext[Any]], None]
SCHEMA = {"notes": (f"{NOTES};",)}


def writing(rows: int) -> PhaseFunction:
    """Return a phase that writes so many small rows."""

    def phase(conn: sqlite3.Connection, _ctx: RunContext[Any]) -> None:
        for _ in range(rows):
            conn.execute(WRITE_NOTE, (ROW,))

    return phase


def pipeline(phases: int, function: PhaseFunction) -> Registry:
    """Return a registry that enters the same function again and again."""
    return Registry.of([(number, label(number), function) for number in range(1, phases + 1)])


def _in_line(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    return map(function, items)


class Engine:
    """Drives one run after the other on the calling thread, one boundary at a time."""

    def __init__(self, db: Path, *, phases: int, rows: int) -> None:
        """Make the file; each run has so many `phases`, each of which writes `rows` rows."""
        self.registry = pipeline(phases, writing(rows))
        self._clock = SystemClock()
        prepare(db, self.registry, SCHEMA)
        self._owner = Owner(db)
        self.conn = connect(db, PhaseConnection, checkpoints=True)
        self._store = RunStore(self.conn)
        self.boundaries = 0
        """Boundaries so far, of all runs."""

    def start(self) -> Run:
        """Create a run in its first phase, and its driver."""
        at = stamp(self._clock.now())
        with self.conn.engine():
            self.conn.begin()
            self._run = self._store.create(self.registry, {}, at=at, owner=self._owner.token)
            self.conn.end("COMMIT")
        self._driver = Driver(
            self.conn,
            self.registry,
            Live(run_id=self._run.id, clock=self._clock, limits=Limits()),
            owner=self._owner,
            tools=lambda _params: None,
            mapper=_in_line,
            redact=redactor(()),
            recovery=Recovery(),
        )
        return self._run

    def boundary(self) -> Run:
        """Run one phase and make its boundary durable."""
        self.boundaries += 1
        return self._driver.step(self._run.id)

    def die(self) -> None:
        """Let the run go as a crash does: the operating system frees the owner's lock, the row stays."""
        self._owner.close()

    def close(self) -> None:
        """Let the file go."""
        self.conn.close_for_good()
        self._owner.close()
