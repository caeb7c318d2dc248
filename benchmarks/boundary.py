"""A durable boundary: wall time and processor time, beside the floor."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.engine import Engine
from benchmarks.floor import Floor, bare_copy
from benchmarks.rounds import Figure, Spent, Target, taking_turns

PHASES = 100
QUANTITIES: list[tuple[str, Callable[[Spent], float], Target | None]] = [
    ("median", lambda spent: statistics.median(spent.wall_ms), Target(1.15)),
    ("mean", lambda spent: statistics.fmean(spent.wall_ms), None),
    ("processor time", lambda spent: statistics.fmean(spent.cpu_ms), Target(1.4)),
]


def figures(folder: Path, rounds: int) -> Iterator[Figure]:
    """Yield the figures of a phase that writes nothing, and of one that writes ten rows."""
    for rows, name in [(0, "no rows"), (10, "10 rows")]:
        floor, ours = measured(folder / f"rows-{rows}", rounds, rows=rows)
        for what, value, target in QUANTITIES:
            yield Figure(
                what=f"boundary, {name}: {what}",
                unit="ms",
                ours=[value(each) for each in ours],
                floor=[value(each) for each in floor],
                target=target,
            )


def measured(folder: Path, rounds: int, *, rows: int) -> tuple[list[Spent], list[Spent]]:
    """Drive one run of `PHASES` phases a round on either side, boundary by boundary in turn."""
    folder.mkdir()
    ours = Engine(folder / "ours.db", phases=PHASES, rows=rows)
    floor = Floor(bare_copy(folder / "ours.db", folder / "floor.db"), phases=PHASES, rows=rows)
    spent: list[tuple[Spent, Spent]] = []
    for _ in range(rounds + 1):  # the first warms up
        ours.start()
        floor.start()
        spent.append(taking_turns(floor.boundary, ours.boundary, PHASES))
    ours.close()
    return [each for each, _ in spent[1:]], [each for _, each in spent[1:]]
