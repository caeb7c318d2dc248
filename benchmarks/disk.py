"""What a boundary leaves on the disk, at several lengths of the history: it must not grow with it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from benchmarks.engine import Engine
from benchmarks.rounds import Figure, Target

LENGTHS = (1_000, 2_000, 4_000, 8_000, 16_000)
PHASES = 100


def figures(folder: Path, rounds: int) -> Iterator[Figure]:
    """Yield the bytes a boundary between each two lengths, and the size of the write-ahead log."""
    del rounds  # a size does not vary
    db = folder / "ours.db"
    engine = Engine(db, phases=PHASES, rows=0)
    with engine.conn.engine():
        engine.conn.run("PRAGMA synchronous = OFF")  # sizes are the same, and the disk is spared
    sizes = [(each, _size_at(engine, each)) for each in LENGTHS]
    wal_bytes = Path(f"{db}-wal").stat().st_size
    engine.close()
    for (fewer, small), (more, large) in pairwise(sizes):
        yield Figure(
            what=f"on disk a boundary, {fewer:,} to {more:,} boundaries",
            unit="B",
            ours=[(large - small) / (more - fewer)],
            target=Target(100, of="ours"),
        )
    yield Figure(what=f"write-ahead log after {LENGTHS[-1]:,} boundaries", unit="MB", ours=[wal_bytes / 1e6])


def _size_at(engine: Engine, boundaries: int) -> int:
    """Drive runs until the history has so many boundaries; return the pages in use, in bytes."""
    while engine.boundaries < boundaries:
        engine.start()
        for _ in range(PHASES):
            engine.boundary()
    with engine.conn.engine():
        pages = engine.conn.run("PRAGMA page_count").fetchone()[0]
        page_bytes = engine.conn.run("PRAGMA page_size").fetchone()[0]
    return int(pages * page_bytes)
