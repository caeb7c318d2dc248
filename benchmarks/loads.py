"""Phases that keep a run busy in one way or another, until it is cancelled; for the server in `server.py`."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from itertools import repeat
from typing import Any

from benchmarks.floor import NOTES
from statemachine.contract import RunContext

CHUNK = 200_000
SCHEMA = [f"{NOTES};"]


def count(limit: int) -> int:
    """Burn processor time in pure Python, some milliseconds of it."""
    total = 0
    for number in range(limit):
        total += number & 1
    return total


def _rest(ctx: RunContext[Any]) -> None:
    never = threading.Event()
    while True:
        ctx.clock.wait(never, 0.01)
        ctx.progress(1)
        ctx.raise_if_stopping()


def _map(ctx: RunContext[Any]) -> None:
    for _ in ctx.map(count, repeat(CHUNK)):
        ctx.progress(1)


def _burn(ctx: RunContext[Any]) -> None:
    while True:
        count(CHUNK)
        ctx.progress(1)
        ctx.raise_if_stopping()


def _return(_ctx: RunContext[Any]) -> None: ...


WAYS: dict[str, Callable[[RunContext[Any]], None]] = {
    "rests": _rest,
    "works in ctx.map": _map,
    "works on its own thread": _burn,
    "returns": _return,
}


def load(_conn: sqlite3.Connection, ctx: RunContext[Any]) -> None:
    """Note the instant of the first line, and do what the run was asked for."""
    ctx.results["began"] = time.monotonic()
    WAYS[ctx.params["way"]](ctx)


PHASES = [(1, "Keeping busy", load)]
