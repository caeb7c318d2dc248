"""`python -m tests.faults.soak [--minutes N] [--seed S]`: histories and power cuts until time is over.

Each round draws fresh seeds from the first one, and prints its figures; a violation names the seed that
replays it (`python -m tests.faults.simulation SEED`). Returns 1 if there was one.
"""

from __future__ import annotations

import argparse
import random  # noqa: TID251  # chance is passed in: a Random made from a seed
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.faults.forkserver import Server
from tests.faults.life import KILL, Fault, Life
from tests.faults.powerloss import cut, logged
from tests.faults.simulation import OPERATIONS, Simulation
from tests.faults.sweep import Figures, operations, sweep_twice
from tests.faults.toolchain import built_shim

HISTORIES: Final = 200
Random = random.Random


def soak(server: Server, chance: Random, minutes: float) -> list[str]:
    """Go on until the time is over; return every violation."""
    simulation, cuts, twice = Simulation(server), Figures(), Figures()
    ends_s = time.monotonic() + minutes * 60
    while time.monotonic() < ends_s:
        simulation.run(chance.randrange(2**48) for _ in range(HISTORIES))
        _cut(server, chance, cuts)
        _kill_twice(server, chance, twice)
        sys.stdout.write(f"{simulation}\npower cuts: {cuts}\nkilled twice: {twice}\n\n")
        sys.stdout.flush()
    return simulation.figures.problems + cuts.problems + twice.problems


def _cut(server: Server, chance: Random, figures: Figures) -> None:
    """Cut the power in the lives after a kill at a random operation."""
    killed = Life(db=Path(), fault=Fault(kind=KILL, at=chance.randint(1, OPERATIONS)))
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        logged(server, log, [killed, Life(db=Path())])
        cut(server, log, figures, chance, some=2)


def _kill_twice(server: Server, chance: Random, figures: Figures) -> None:
    first = chance.randint(1, operations(server))
    sweep_twice(server, [first], lambda count: range(1 + first % 3, count + 1, 3), figures)


def main() -> int:
    """Read the command line, soak, and print what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shim = built_shim(Path(folder))
        if shim is None:
            sys.exit("there is no C compiler (cc) here to build the shim with")
        sys.stdout.write(f"seed {asked.seed}\n")
        with Server(shim) as server:
            problems = soak(server, random.Random(asked.seed), asked.minutes)
    sys.stdout.write("\n".join([*problems, f"{len(problems)} violations", ""]))
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
