"""Whole histories from a seed: lives of a process, each with its own bad luck, then a fault-free tail.

In the tail every run must end and one more must complete (liveness); all along, every law must hold (safety).
`python -m tests.faults.simulation SEED...` replays seeds and tells their stories.
"""

from __future__ import annotations

import random  # noqa: TID251  # chance is passed in: a Random made from a seed
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.faults.forkserver import Server
from tests.faults.life import Life, person
from tests.faults.pipeline import ITEMS, NUMBERS
from tests.faults.sweep import KINDS, Case, Figures, folder, is_made
from tests.faults.toolchain import built_shim

OPERATIONS: Final = 160
"""About as many storage operations as a life makes."""
ACTS: Final = ("kill", "raise", "stop", "cancel", "late", "jump", "leap")
Random = random.Random


@dataclass(slots=True)
class Simulation:
    """Histories lived so far, and what came of their runs."""

    server: Server
    figures: Figures = field(default_factory=Figures)
    outcomes: Counter[str] = field(default_factory=Counter[str])
    seeds: int = 0
    tells: bool = False

    def run(self, seeds: Iterable[int]) -> Simulation:
        """Live the histories of these seeds."""
        for seed in seeds:
            with folder() as where:
                self._history(Case(self.server, self.figures, f"seed {seed}", where), random.Random(seed))
            self.seeds += 1
        return self

    def _history(self, case: Case, chance: Random) -> None:
        for _ in range(chance.randint(1, 6)):
            luck = _luck(chance)
            death = case.live(**luck)
            self._tell(case, f"{luck} -> {death.report or death}")
            if chance.random() < 0.2:
                self._resume(case)
        case.heals()
        self.outcomes.update(_outcomes(case.db))
        self._tell(case, f"in the end {_outcomes(case.db)}")

    def _resume(self, case: Case) -> None:
        """Have a person resume the last run, if it has failed."""
        runs = _rows(case.db, "SELECT id, status FROM analysis_runs ORDER BY id DESC LIMIT 1")
        if runs and runs[0][1] == "failed" and not _rows(case.db, _ACTIVE):
            trace = case.where / "trace"
            death = case.server.run(person, Life(db=case.db, trace=trace), "resume", runs[0][0])
            case.note([death.complaint] if death.complaint else [])
            self.outcomes["resumed by a person"] += 1

    def _tell(self, case: Case, story: str) -> None:
        if self.tells:
            sys.stdout.write(f"{case.name}: {story}\n")

    def __str__(self) -> str:
        outcomes = ", ".join(f"{count} {name}" for name, count in self.outcomes.most_common())
        return f"{self.seeds} seeds: {self.figures}; runs: {outcomes}"


_ACTIVE: Final = "SELECT id FROM analysis_runs WHERE status = 'running'"


def _luck(chance: Random) -> dict[str, Any]:
    """Draw what one life is to do and to suffer."""
    luck: dict[str, Any] = {
        "params": {"stubborn": True} if chance.random() < 0.2 else {},
        "max_attempts": chance.choice([0, 1, 3]),
        "recovery": chance.choice(["resume", "resume", "resume", "fail"]),
        "shutdown": chance.choice(["finish", "checkpoint"]),
    }
    if chance.random() < 0.6:
        kind = KINDS[chance.choice(list(KINDS))]
        luck |= {"fault": kind.at(chance.randint(1, OPERATIONS)), "heals": kind.heals}
    if chance.random() < 0.6:
        luck["acts"] = {_moment(chance): chance.choice(ACTS) for _ in range(chance.randint(1, 2))}
    return luck


def _moment(chance: Random) -> str:
    item = chance.randrange(ITEMS)
    return (
        f"{chance.choice(NUMBERS)}.{chance.choice(['entered', f'written{item}', f'kept{item}', 'leaving'])}"
    )


def _outcomes(db: Path) -> list[str]:
    return [name for (name,) in _rows(db, "SELECT coalesce(error_code, status) FROM analysis_runs")]


def _rows(db: Path, sql: str) -> list[Any]:
    if not is_made(db):
        return []
    conn = sqlite3.connect(db)
    try:
        return conn.execute(sql).fetchall()
    finally:
        conn.close()


def main(seeds: Iterable[int]) -> int:
    """Tell the stories of some seeds; return 1 if one of them broke a law."""
    with tempfile.TemporaryDirectory() as made, Server(built_shim(Path(made))) as server:
        simulation = Simulation(server, tells=True).run(seeds)
    sys.stdout.write("\n".join([*simulation.figures.problems, str(simulation), ""]))
    return bool(simulation.figures.problems)


if __name__ == "__main__":
    sys.exit(main(int(seed) for seed in sys.argv[1:]))
