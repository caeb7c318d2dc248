"""Damage a database file as a failing disk would, and see whether anybody notices."""

from __future__ import annotations

import logging
import random  # noqa: TID251  # chance is passed in: a Random made from a seed
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from statemachine.errors import AlreadyRunning, DatabaseUnusable
from statemachine.verify import verify
from tests.faults.life import Life, VirtualClock, runner_of
from tests.faults.pipeline import World

Random = random.Random
PAGE: Final = 4096
SECTOR: Final = 512


def _flip(content: bytearray, chance: Random) -> None:
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def _zero(content: bytearray, chance: Random) -> None:
    at = chance.randrange(len(content) // SECTOR) * SECTOR
    content[at : at + SECTOR] = bytes(SECTOR)


def _garble(content: bytearray, chance: Random) -> None:
    at = chance.randrange(len(content) // SECTOR) * SECTOR
    content[at : at + SECTOR] = chance.randbytes(SECTOR)


def _swap(content: bytearray, chance: Random) -> None:
    one, other = (chance.randrange(len(content) // PAGE) * PAGE for _ in range(2))
    content[one : one + PAGE], content[other : other + PAGE] = (
        content[other : other + PAGE],
        content[one : one + PAGE],
    )


def _truncate(content: bytearray, chance: Random) -> None:
    del content[chance.randrange(len(content)) :]


DAMAGES: Final[Mapping[str, Callable[[bytearray, Random], None]]] = {
    "a bit flipped": _flip,
    "a sector of zeros": _zero,
    "a sector of garbage": _garble,
    "two pages swapped": _swap,
    "the end cut off": _truncate,
}


def damaged(original: Path, target: Path, name: str, chance: Random) -> None:
    """Write a damaged copy of a database that nobody has open."""
    content = bytearray(original.read_bytes())
    DAMAGES[name](content, chance)
    target.write_bytes(content)


def verdict(db: Path) -> str:
    """Return what `verify` says: `refused`, `found` or `clean`."""
    try:
        return "found" if verify(db) else "clean"
    except DatabaseUnusable:
        return "refused"


def contents(db: Path) -> Any:
    """Return all rows of all tables."""
    conn = sqlite3.connect(f"{db.resolve().as_uri()}?mode=ro", uri=True)
    try:
        tables = [name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        conn.text_factory = bytes  # a damaged text may be none
        return {table: conn.execute(f"SELECT * FROM {table}").fetchall() for table in sorted(tables)}
    finally:
        conn.close()


def used(db: Path) -> str:
    """Open a damaged database as a process would, recover, and start a run; return how that ends."""
    logging.disable(logging.CRITICAL)
    clock = VirtualClock()
    try:
        runner = runner_of(Life(db=db), World(lambda _moment: None), clock)
    except DatabaseUnusable:
        return "refused"
    try:
        runner.recover()
        runner.wait()
        run = runner.start({})
        runner.wait()
        return runner._ledger.read(run.id).status
    except AlreadyRunning:
        return "AlreadyRunning"
    except DatabaseUnusable:
        return "unusable"
    finally:
        runner.close()
