"""The guarded connection beside a plain one: a phase that writes row by row, and the reading of long SQL."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.engine import Engine
from benchmarks.floor import NOTES, ROW, WRITE_NOTE
from benchmarks.rounds import Figure, Target
from statemachine.sql import is_write

ROWS = 100_000
SHORT, LONG = 100_000, 800_000
"""Characters of a statement; SQLite takes at most a million."""


def figures(folder: Path, rounds: int) -> Iterator[Figure]:
    """Yield what a row costs, and how the reading of a statement grows with its length."""
    engine = Engine(folder / "ours.db", phases=1, rows=0)
    plain = sqlite3.connect(folder / "floor.db", isolation_level=None)
    plain.execute("PRAGMA journal_mode = WAL")
    plain.execute(NOTES)
    for name, write in {"execute": _one_by_one, "executemany": _all_at_once}.items():
        ours: list[float] = []
        floor: list[float] = []
        for _ in range(rounds):
            plain.execute("BEGIN IMMEDIATE")
            floor.append(_us_per_row(write, plain))
            plain.execute("ROLLBACK")
            ours.append(_us_per_row(write, engine.conn))
            engine.conn.end("ROLLBACK")
        yield Figure(what=f"{ROWS:,} INSERTs, {name}: a row", unit="µs", ours=ours, floor=floor)
    engine.close()
    yield from _reading(rounds)


def _one_by_one(conn: sqlite3.Connection) -> None:
    for _ in range(ROWS):
        conn.execute(WRITE_NOTE, (ROW,))


def _all_at_once(conn: sqlite3.Connection) -> None:
    conn.executemany(WRITE_NOTE, ((ROW,) for _ in range(ROWS)))


def _us_per_row(write: Callable[[sqlite3.Connection], None], conn: sqlite3.Connection) -> float:
    began = time.perf_counter()
    write(conn)
    return (time.perf_counter() - began) / ROWS * 1e6


def _reading(rounds: int) -> Iterator[Figure]:
    """Time the worst kinds of text at two lengths, 1 to 8: linear means about 8, quadratic 64."""
    kinds = {"open quotes": "'", "open brackets": "[", "open comments": "/*", "words": "a ", "dashes": "--"}
    for name, piece in kinds.items():
        times = [(_ms_to_read(piece, SHORT), _ms_to_read(piece, LONG)) for _ in range(rounds)]
        yield Figure(
            what=f"telling a write from a read, {LONG:,} characters and {SHORT:,}: {name}",
            unit="ms",
            ours=[long for _, long in times],
            floor=[short for short, _ in times],
            target=Target(24),
        )


def _ms_to_read(piece: str, length: int) -> float:
    sql = "WITH x AS (SELECT " + piece * (length // len(piece))
    is_write.cache_clear()
    began = time.perf_counter()
    is_write(sql)
    return (time.perf_counter() - began) * 1e3
