"""A commit while the write-ahead log still grows, beside one into a log that has been used before.

A file that grows makes the file system sync its own records too; growing the log once would save that.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from benchmarks.engine import Engine
from benchmarks.floor import Floor, bare_copy
from benchmarks.rounds import Figure, taking_turns

BOUNDARIES = 100
PAGES = 1_000
"""The size of the log at which SQLite moves it into the file and begins again."""


def figures(folder: Path, rounds: int) -> Iterator[Figure]:
    """Yield the floor's boundary on a new file and on one whose log has its full size."""
    Engine(folder / "model.db", phases=1, rows=0).close()
    used = _floor(folder, "used")
    for _ in range(PAGES):
        used.boundary()
    spent: list[tuple[float, float]] = []
    for each in range(rounds):
        fresh, again = taking_turns(_floor(folder, f"fresh-{each}").boundary, used.boundary, BOUNDARIES)
        spent.append((statistics.median(fresh.wall_ms), statistics.median(again.wall_ms)))
    yield Figure(
        what="bare boundary into a used write-ahead log, and into a growing one",
        unit="ms",
        ours=[again for _, again in spent],
        floor=[fresh for fresh, _ in spent],
    )


def _floor(folder: Path, name: str) -> Floor:
    floor = Floor(bare_copy(folder / "model.db", folder / f"{name}.db"), phases=BOUNDARIES, rows=0)
    floor.start()
    return floor
