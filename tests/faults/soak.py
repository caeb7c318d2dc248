"""`python -m tests.faults.soak [--lives N] [--cuts N] [--races N] [--seed S]`: hours of bad luck.

Histories, power cuts, double kills and races take turns until there were as many as asked. Each round draws
fresh seeds from the first one, prints its figures and writes the report anew; a violation names the seed that
replays it (`python -m tests.faults.simulation SEED`). Returns 1 if there was one.
"""

from __future__ import annotations

import argparse
import random  # noqa: TID251  # chance is passed in: a Random made from a seed
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.faults.forkserver import Server
from tests.faults.life import KILL, Fault, Life
from tests.faults.powerloss import cut, logged
from tests.faults.races import RACERS, race_to_recover, race_to_start
from tests.faults.simulation import OPERATIONS, Simulation
from tests.faults.sweep import Figures, operations, sweep_twice
from tests.faults.toolchain import built_shim

ROUNDS: Final = 100
"""Turns that everything asked for is shared out over."""
STRIDE: Final = 20
"""Of the operations of a recovery, one in so many is killed in a round."""
Random = random.Random


@dataclass(frozen=True, slots=True)
class Goal:
    """How much of each there is to be."""

    lives: int
    cuts: int
    races: int


@dataclass(slots=True)
class Soak:
    """What was lived through so far, one life after the other."""

    server: Server
    plain_server: Server
    chance: Random
    goal: Goal
    simulation: Simulation = field(init=False)
    cuts: Figures = field(default_factory=Figures)
    twice: Figures = field(default_factory=Figures)
    races: Figures = field(default_factory=Figures)

    def __post_init__(self) -> None:
        self.simulation = Simulation(self.server)

    @property
    def figures(self) -> tuple[Figures, Figures, Figures, Figures]:
        """Histories, power cuts, double kills and races."""
        return self.simulation.figures, self.cuts, self.twice, self.races

    def rounds(self) -> Iterator[Soak]:
        """Go on, a round at a time, until there was as much of each as asked."""
        for done in range(1, ROUNDS + 1):
            while self.simulation.figures.lives * ROUNDS < self.goal.lives * done:
                self.simulation.run([self.chance.randrange(2**48)])
            while self.cuts.cases * ROUNDS < self.goal.cuts * done:
                self._cut()
            while self.races.cases * ROUNDS < self.goal.races * done:
                self._race()
            self._kill_twice()
            yield self

    def _cut(self) -> None:
        """Cut the power in the lives after a kill at a random operation."""
        killed = Life(db=Path(), fault=Fault(kind=KILL, at=self.chance.randint(1, OPERATIONS)))
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            logged(self.server, log, [killed, Life(db=Path())])
            cut(self.server, log, self.cuts, self.chance, some=2)

    def _race(self) -> None:
        race = self.chance.choice([race_to_start, race_to_recover])
        self.races.problems += [f"{race.__name__}: {each}" for each in race(self.plain_server)]
        self.races.cases += 1

    def _kill_twice(self) -> None:
        first = self.chance.randint(1, operations(self.server))
        some = range(1 + first % STRIDE, OPERATIONS, STRIDE)
        sweep_twice(self.server, [first], lambda count: [at for at in some if at <= count], self.twice)


@dataclass(frozen=True, slots=True)
class Found:
    """What several soaks side by side have found."""

    soaks: Sequence[Soak]
    took_s: float

    def _sum(self, figures: Callable[[Soak], Figures]) -> Figures:
        each = [figures(soak) for soak in self.soaks]
        return Figures(
            cases=sum(one.cases for one in each),
            lives=sum(one.lives for one in each),
            kills=sum(one.kills for one in each),
            problems=[problem for one in each for problem in one.problems],
        )

    @property
    def problems(self) -> list[str]:
        """Every violation."""
        return [problem for soak in self.soaks for figures in soak.figures for problem in figures.problems]

    def __str__(self) -> str:
        """Return the figures as Markdown."""
        histories, cuts, twice, races = (self._sum(lambda soak, at=at: soak.figures[at]) for at in range(4))
        outcomes: Counter[str] = sum((soak.simulation.outcomes for soak in self.soaks), Counter())
        ends = ", ".join(f"{count:,} {name}" for name, count in outcomes.most_common())
        versions = f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}"
        rows = [
            (
                f"lives, in {sum(soak.simulation.seeds for soak in self.soaks):,} seeded histories",
                histories.lives,
                histories,
            ),
            ("disks rebuilt after a power cut", cuts.cases, cuts),
            ("a second kill, in the recovery", twice.cases, twice),
            (f"races of {RACERS} processes", races.cases, races),
        ]
        return "\n".join(
            [
                "| what | times | violations |",
                "|---|--:|--:|",
                *(f"| {name} | {count:,} | {len(each.problems)} |" for name, count, each in rows),
                "",
                f"Of the lives {histories.kills:,} were killed. The runs of the histories: {ends}.",
                "",
                f"{self.took_s / 60:.0f} minutes, {len(self.soaks)} at a time; {versions}.",
                *(f"\n{problem}" for problem in self.problems),
            ]
        )


def soak(asked: argparse.Namespace, shim: Path) -> Found:
    """Soak as asked, and print and keep what was found after each round."""
    began_s, jobs = time.monotonic(), range(asked.jobs)
    goal = Goal(-(-asked.lives // asked.jobs), -(-asked.cuts // asked.jobs), -(-asked.races // asked.jobs))
    with ExitStack() as stack, ThreadPoolExecutor(asked.jobs) as pool:
        soaks = [
            Soak(
                stack.enter_context(Server(shim)),
                stack.enter_context(Server(None)),
                random.Random(f"{asked.seed}/{job}"),
                goal,
            )
            for job in jobs
        ]
        rounds = [one.rounds() for one in soaks]
        while any(list(pool.map(lambda one: next(one, None), rounds))):
            found = Found(soaks, time.monotonic() - began_s)
            sys.stdout.write(f"{found}\n\n")
            sys.stdout.flush()
            if asked.report is not None:
                asked.report.write_text(_report(found, asked), encoding="utf-8")
        return found


def _report(found: Found, asked: argparse.Namespace) -> str:
    command = (
        f"python -m tests.faults.soak --lives {asked.lives} --cuts {asked.cuts} --races {asked.races} "
        f"--jobs {asked.jobs} --seed {asked.seed}"
    )
    return f"# A soak\n\nWritten by `{command}`.\n\n{found}\n"


def main() -> int:
    """Read the command line, soak, and print what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lives", type=int, default=100_000)
    parser.add_argument("--cuts", type=int, default=50_000)
    parser.add_argument("--races", type=int, default=1_000)
    parser.add_argument(
        "--jobs", type=int, default=4, help="how many at a time; a life waits more than it works"
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--report", type=Path, help="a Markdown file to write the figures to")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shim = built_shim(Path(folder))
        if shim is None:
            sys.exit("there is no C compiler (cc) here to build the shim with")
        return bool(soak(asked, shim).problems)


if __name__ == "__main__":
    sys.exit(main())
