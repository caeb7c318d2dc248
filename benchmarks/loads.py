"""Phases that keep a run busy in one way or another, until it is cancelled; for the server in `server.py`."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from itertools import repeat
from typing import Any

from benchmarks.floor import NOTES, ROW, WRITE_NOTE
from statemachine.contract import RunContext

CHUNK = 200_000
SCHEMA = [f"{NOTES};"]


def count(limit: int) -> int:
    """Burn processor time in pure Python, some milliseconds of it."""
    total = 0
    for number in range(limit):
        total += number & 1
    return total


def _rest(_conn: sqlite3.Connection, ctx: RunContext[Any]) -> None:
    never = threading.Event()
    while True:
        ctx.clock.wait(never, 0.01)
        ctx.progress(1)
        ctx.raise_if_stopping()


def _hold(conn: sqlite3.Connection, ctx: RunContext[Any]) -> None:
    conn.execute(WRITE_NOTE, (ROW,))
    _rest(conn, ctx)


def _map(_conn: sqlite3.Connection, ctx: RunContext[Any]) -> None:
    for _ in ctx.map(count, repeat(CHUNK)):
        ctx.progress(1)


def _burn(_conn: sqlite3.Connection, ctx: RunContext[Any]) -> None:
    while True:
        count(CHUNK)
        ctx.progress(1)
        ctx.raise_if_stopping()


def _return(_conn: sqlite3.Connection, _ctx: RunContext[Any]) -> None: ...


WAYS: dict[str, Callable[[sqlite3.Connection, RunContext[Any]], None]] = {
    "rests": _rest,
    "holds a write transaction": _hold,
    "works in ctx.map": _map,
    "works on its own thread": _burn,
    "returns": _return,
}


def load(conn: sqlite3.Connection, ctx: RunContext[Any]) -> None:
    """Note the instant of the first line, and do what the run was asked for."""
    ctx.results["began"] = time.monotonic()
    WAYS[ctx.params["way"]](conn, ctx)


PHASES = [(1, "Keeping busy", load)]
