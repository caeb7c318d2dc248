"""Runners on a real database, with the test's own clock and real threads."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Protocol

import pytest

from statemachine.registry import Registry
from statemachine.runner import Runner
from statemachine.store import Event, Run, RunReader
from tests.fakes import FakeClock

SCHEMA = {"test": ("CREATE TABLE items (item INTEGER PRIMARY KEY) STRICT;\n",)}
"""What the test phases write: one row an item."""

Body = Callable[[sqlite3.Connection, Any], object]


class MakeRunner(Protocol):
    def __call__(self, *phases: Body | tuple[int, str, Body], **settings: Any) -> Runner: ...


def registered(phases: tuple[Body | tuple[int, str, Body], ...]) -> list[tuple[int, str, Body]]:
    """Number and label what came as a bare function."""
    return [
        phase if isinstance(phase, tuple) else (number, f"Phase {number}", phase)
        for number, phase in enumerate(phases, start=1)
    ]


@pytest.fixture
def make_runner(db: Path, clock: FakeClock) -> Iterator[MakeRunner]:
    """Make runners of given phases; they are closed at the end, and their runs with them."""
    made: list[Runner] = []

    def make(*phases: Body | tuple[int, str, Body], **settings: Any) -> Runner:
        given = {"db": db, "clock": clock, "schema": SCHEMA, "executor": "threads"} | settings
        made.append(Runner(given.pop("db"), Registry.of(registered(phases)), **given))
        return made[-1]

    yield make
    for runner in made:
        runner.close()


class Gate:
    """A phase that says that it was entered, and goes on when told."""

    def __init__(
        self, before: Body = lambda _conn, _ctx: None, after: Body = lambda _conn, _ctx: None
    ) -> None:
        self.entered = threading.Event()
        self.go = threading.Event()
        self._before, self._after = before, after

    def __call__(self, conn: sqlite3.Connection, ctx: Any) -> None:
        self._before(conn, ctx)
        self.entered.set()
        assert self.go.wait(60)
        self._after(conn, ctx)

    def until_entered(self) -> None:
        assert self.entered.wait(60)


def writes(*items: int) -> Body:
    """Return a phase that writes rows."""

    def phase(conn: sqlite3.Connection, _ctx: Any) -> None:
        conn.executemany("INSERT INTO items VALUES (?)", [(item,) for item in items])

    return phase


def items(db: Path) -> list[int]:
    """Return the committed rows of the test phases."""
    with closing(RunReader(db)) as reader:
        return [item for (item,) in reader.conn.execute("SELECT item FROM items ORDER BY item")]


def row(db: Path, run_id: int = 1) -> Run:
    """Return a run as it is committed."""
    with closing(RunReader(db)) as reader:
        return reader.run(run_id)


def history(db: Path, run_id: int = 1) -> list[Event]:
    with closing(RunReader(db)) as reader:
        return reader.events(run_id)


def drive(runner: Runner, run_id: int = 1) -> Run:
    """Step a run to its end, on this thread."""
    run = runner.step(run_id)
    while run.owner is not None:
        run = runner.step(run_id)
    return run


def then(*bodies: Body) -> Body:
    """Return a phase that does one thing after the other."""

    def phase(conn: sqlite3.Connection, ctx: Any) -> None:
        for body in bodies:
            body(conn, ctx)

    return phase


def check_point(_conn: sqlite3.Connection, ctx: Any) -> None:
    ctx.checkpoint()


def raises(error: BaseException) -> Body:
    def phase(_conn: sqlite3.Connection, _ctx: Any) -> None:
        raise error

    return phase


def swallowing(*bodies: Body, what: type[BaseException] = BaseException) -> Body:
    """Return a phase that goes on whatever happens."""

    def phase(conn: sqlite3.Connection, ctx: Any) -> None:
        for body in bodies:
            with suppress(what):
                body(conn, ctx)

    return phase


class without_guards:  # noqa: N801  # reads as a block
    """Within it SQL refuses nothing: for what the engine itself would never write."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._guards = conn.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()

    def __enter__(self) -> None:
        for name, _ in self._guards:
            self._conn.execute(f"DROP TRIGGER {name}")

    def __exit__(self, *_: object) -> None:
        for _, sql in self._guards:
            self._conn.execute(sql)
