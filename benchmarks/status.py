"""Reading a run's row: `RunReader` beside a bare SELECT of the same columns on a read-only connection.

Measured every 2 ms: while nothing happens, and while another thread makes one durable boundary after the
other.
"""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.engine import Engine
from benchmarks.rounds import Figure, Spent, Target, quantile, taking_turns
from statemachine.store import Run, RunReader

READS = 200
PAUSE_S = 0.002
PHASES = 50


def figures(folder: Path, rounds: int) -> Iterator[Figure]:
    """Yield the latency of a status read, at rest and during a run."""
    db = folder / "ours.db"
    engine = Engine(db, phases=PHASES, rows=1)
    run_id = engine.start().id
    reader = RunReader(db)
    bare = _bare_select(db, run_id)
    for name, doing in [("at rest", _nothing), ("during a run", _boundaries)]:
        spent: list[tuple[Spent, Spent]] = []
        for _ in range(rounds):
            with doing(engine):
                spent.append(taking_turns(bare, lambda: reader.read(run_id), READS, pause_s=PAUSE_S))
        for share, word, target in [
            (0.5, "p50", Target(0.06, of="ours")),
            (0.99, "p99", Target(1, of="ours")),
        ]:
            yield Figure(
                what=f"status read {name}, {word}",
                unit="ms",
                ours=[quantile(ours.wall_ms, share) for _, ours in spent],
                floor=[quantile(floor.wall_ms, share) for floor, _ in spent],
                target=target,
            )
    engine.close()


def _bare_select(db: Path, run_id: int) -> Callable[[], object]:
    conn = sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True, isolation_level=None)
    columns = ", ".join(each.name for each in dataclasses.fields(Run))
    sql = f"SELECT {columns} FROM analysis_runs WHERE id = ?"
    return lambda: conn.execute(sql, (run_id,)).fetchone()


@contextmanager
def _nothing(_engine: Engine) -> Generator[None]:
    yield


@contextmanager
def _boundaries(engine: Engine) -> Generator[None]:
    """Drive runs on another thread for as long as the caller reads."""
    enough = threading.Event()

    def drive() -> None:
        while not enough.is_set():
            engine.start()
            for _ in range(PHASES):
                engine.boundary()

    thread = threading.Thread(target=drive)
    thread.start()
    yield
    enough.set()
    thread.join()
