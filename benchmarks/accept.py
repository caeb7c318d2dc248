"""From being asked for a run to the first line of its first phase.

The floor is one commit (the run's row and its event) and the start of a thread.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.engine import SCHEMA, pipeline
from benchmarks.floor import Floor, bare_copy
from benchmarks.rounds import Figure, Target
from statemachine.contract import RunContext
from statemachine.runner import Runner

TIMES = 20
"""Starts a round."""


class Arrival:
    """Notes the instant at which a thread gets somewhere."""

    def __init__(self) -> None:
        self.at = 0.0
        self._is_there = threading.Event()

    def phase(self, _conn: object = None, _ctx: RunContext[object] | None = None) -> None:
        """Be the first phase, or the body of a bare thread."""
        self.at = time.perf_counter()
        self._is_there.set()

    def wait_ms(self, began: float) -> float:
        """Wait for the arrival and return how long it took since `began`."""
        self._is_there.wait()
        self._is_there.clear()
        return (self.at - began) * 1e3


def figures(folder: Path, rounds: int) -> Iterator[Figure]:
    """Yield the delay of a start."""
    arrival = Arrival()
    runner = Runner(folder / "ours.db", pipeline(1, arrival.phase), schema=SCHEMA)
    floor = Floor(bare_copy(folder / "ours.db", folder / "floor.db"), phases=1, rows=0)
    spent: list[tuple[float, float]] = []
    for _ in range(rounds):
        pairs = [(_bare_ms(floor, arrival), _runner_ms(runner, arrival)) for _ in range(TIMES)]
        spent.append(
            (statistics.median(bare for bare, _ in pairs), statistics.median(ours for _, ours in pairs))
        )
    runner.close()
    yield Figure(
        what="asked for a run to the first line of its first phase",
        unit="ms",
        ours=[ours for _, ours in spent],
        floor=[bare for bare, _ in spent],
        target=Target(3, of="difference"),
    )


def _bare_ms(floor: Floor, arrival: Arrival) -> float:
    began = time.perf_counter()
    floor.start()
    thread = threading.Thread(target=arrival.phase)
    thread.start()
    taken_ms = arrival.wait_ms(began)
    thread.join()
    return taken_ms


def _runner_ms(runner: Runner, arrival: Arrival) -> float:
    began = time.perf_counter()
    runner.start({})
    taken_ms = arrival.wait_ms(began)
    runner.wait()
    return taken_ms
