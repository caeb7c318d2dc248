"""How often a boundary makes the disk sync, and how much it writes, counted by the kernel's own trace.

The child process below drives so many boundaries; what two lengths differ by is free of the set-up.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.engine import Engine
from benchmarks.floor import Floor, bare_copy
from benchmarks.rounds import Figure, Target

SHORT, LONG = 20, 120
"""Boundaries: few enough that the write-ahead log is not moved into the file in between."""
FAR = 4_020
"""Boundaries, with all the moving in between."""


def figures(folder: Path, rounds: int) -> Iterator[Figure]:
    """Yield the syncs of a boundary; nothing where there is no strace."""
    del rounds  # a count does not vary
    if shutil.which("strace") is None:
        return
    for name, end, bound in [("between checkpoints", LONG, 1.0), ("checkpoints included", FAR, 1.15)]:
        ours, floor = (
            (_syncs(folder, side, end) - _syncs(folder, side, SHORT)) / (end - SHORT)
            for side in ("ours", "floor")
        )
        what = f"syncs a boundary, {name}"
        yield Figure(what=what, unit="", ours=[ours], floor=[floor], target=Target(bound, of="ours"))


def _syncs(folder: Path, side: str, boundaries: int) -> int:
    calls = folder / "calls"
    work = [sys.executable, "-m", "benchmarks.syncs", side, str(boundaries), tempfile.mkdtemp(dir=folder)]
    trace = ["strace", "-f", "-e", "trace=fdatasync,fsync", "-o", str(calls)]
    subprocess.run([*trace, *work], check=True)
    return calls.read_text().count("sync(")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=["ours", "floor"])
    parser.add_argument("boundaries", type=int)
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    engine = Engine(asked.folder / "ours.db", phases=asked.boundaries + 1, rows=1)
    side: Engine | Floor = engine
    if asked.side == "floor":
        side = Floor(bare_copy(asked.folder / "ours.db", asked.folder / "floor.db"), phases=1, rows=1)
    side.start()
    for _ in range(asked.boundaries):
        side.boundary()


if __name__ == "__main__":
    main()
