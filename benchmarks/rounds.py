"""Rounds: the same two things measured in turn, so that both meet the same minutes of the machine.

A machine's disk and processor change by factors within seconds. What stays is the ratio of two things that
were measured side by side; so floor and ours take turns, a ratio is taken within each round, and the figure
is the median of the rounds' ratios.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

ROUNDS = 9
"""Rounds of each benchmark, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be: at most (or at least) `bound`, as a ratio to the floor or as a value."""

    bound: float
    of: Literal["ratio", "ours", "difference"] = "ratio"
    at_least: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured quantity: a value per round, ours and (where there is one) the floor's."""

    what: str
    unit: str
    ours: Sequence[float]
    floor: Sequence[float] = ()
    target: Target | None = None

    @property
    def ratios(self) -> list[float]:
        """Ours to the floor, round by round."""
        return [ours / floor for ours, floor in zip(self.ours, self.floor, strict=False) if floor]

    @property
    def differences(self) -> list[float]:
        """Ours above the floor, round by round."""
        return [ours - floor for ours, floor in zip(self.ours, self.floor, strict=False)]

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; `None` where there is none."""
        target = self.target
        if target is None:
            return None
        values = {"ratio": self.ratios, "ours": self.ours, "difference": self.differences}[target.of]
        reached = statistics.median(values)
        return reached >= target.bound if target.at_least else reached <= target.bound


@dataclass(slots=True)
class Spent:
    """Wall and processor time of each of many repetitions, in milliseconds."""

    wall_ms: list[float]
    cpu_ms: list[float]

    @classmethod
    def nothing(cls) -> Spent:
        """Return empty notes."""
        return cls([], [])

    def on(self, work: Callable[[], object]) -> None:
        """Do some work on this thread and note what it took."""
        cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
        work()
        self.wall_ms.append((time.perf_counter_ns() - wall) / 1e6)
        self.cpu_ms.append((time.thread_time_ns() - cpu) / 1e6)


def taking_turns(
    floor: Callable[[], object], ours: Callable[[], object], times: int, *, pause_s: float = 0.0
) -> tuple[Spent, Spent]:
    """Do both `times` times, by turns, each going first every other time, with a pause before each turn."""
    spent = Spent.nothing(), Spent.nothing()
    both = [(spent[0], floor), (spent[1], ours)]
    never = threading.Event()
    for turn in range(times):
        never.wait(pause_s)
        for notes, work in both if turn % 2 else both[::-1]:
            notes.on(work)
    return spent


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
