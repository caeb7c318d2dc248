"""How archives of three sizes go through: reading alone, and a whole run, phase by phase.

    .venv/bin/python benchmarks/archive.py [--comments 10000 100000 1000000] [--folder FOLDER]

Each figure is taken in a process of its own, because peak memory never goes down again. The floor is to
iterate over the same file and parse each line with orjson, keeping nothing. Reading is given in seconds of
processor time, phases by the clock, from the run's own events. The last row is the processor time of the
whole command: its start, all phases and the workers. A first small run, not counted, lets Python keep its
compiled files, as any installation does.
"""

from __future__ import annotations

import argparse
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import orjson  # noqa: E402 - the repository is put on the path first, so that this runs as a script

from benchmarks.make_archive import AS_OF, make_archive  # noqa: E402 - the same
from phases.sources.archive import ArchiveSource  # noqa: E402 - the same

PARAMS = '{"picks_per_post": 50}'  # the analysis has a benchmark of its own
HEAD = "| comments | file | what | seconds | lines/s | x floor | peak MiB |\n|---|---|---|---|---|---|---|"


def parse(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for line in lines if orjson.loads(line) is not None)


def read(path: Path) -> int:
    source = ArchiveSource([path])
    return sum(1 for _ in source.read(subreddit="wallstreetbets", as_of=AS_OF, progress=lambda *_: None))


def in_process(name: str, path: Path) -> tuple[float, int, float]:
    """Return seconds, lines and the peak in MiB of one function, run in a new process."""
    command = [sys.executable, __file__, "--only", name, "--file", str(path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(said[0]), int(said[1]), float(said[2])


def only(name: str, path: Path) -> None:
    start = time.process_time()
    lines = {"parse": parse, "read": read}[name](path)
    seconds = time.process_time() - start
    print(seconds, lines, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


@dataclass(frozen=True)
class Run:
    """What a run of `phaseline analyze` took."""

    phases: list[tuple[str, float]]
    """Names, and seconds by the clock."""
    cpu_s: float
    """Of its process and its workers, their start included."""
    peak_mib: float
    """Of its process."""


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which Python keeps its compiled files, in a folder that goes away."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}


def children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def analyze(path: Path, database: Path) -> Run:
    before_s = children_s()
    command = f"import sys; from api.cli import main; sys.argv[0] = 'phaseline'; {PEAK}; main()"
    done = subprocess.run(
        [
            *(sys.executable, "-c", command, "analyze", "--db", str(database)),
            *("--source", f"archive:{path}", "--as-of", AS_OF.isoformat(), "--params", PARAMS),
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(database.parent),
    )
    cpu_s = children_s() - before_s
    peak_mib = float(done.stderr.rsplit("peak ", 1)[1])
    with sqlite3.connect(database) as conn:
        events = conn.execute("SELECT dest, at FROM run_events ORDER BY seq").fetchall()
    spans = [
        (phase, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
        for (phase, start), (_, end) in pairwise(events)
    ]
    return Run(spans, cpu_s, peak_mib)


PEAK = (
    "import atexit, resource; atexit.register(lambda: "
    "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr))"
)


def measure(folder: Path, comment_count: int, suffix: str) -> None:
    path = folder / f"{comment_count}.ndjson{suffix}"
    make_archive(path, comment_count=comment_count, seed=7)
    rows = []
    floor_s = None
    for name in ("parse", "read") if not suffix else ("read",):
        seconds, lines, peak_mib = in_process(name, path)
        floor_s = floor_s or (seconds if name == "parse" else None)
        ratio = f"{seconds / floor_s:.1f}" if floor_s else ""
        rows.append((name, seconds, f"{lines / seconds:,.0f}", ratio, f"{peak_mib:.0f}"))
    if not suffix:
        run = analyze(path, folder / f"{comment_count}.db")
        rows += [
            (phase, seconds, f"{comment_count / max(seconds, 0.001):,.0f}", "", "")
            for phase, seconds in run.phases
        ]
        total_s = sum(seconds for _, seconds in run.phases)
        assert floor_s is not None, "parse was measured above"
        rows.append(("all phases", total_s, "", f"{total_s / floor_s:.0f}", f"{run.peak_mib:.0f}"))
        rows.append(("all of it, processor", run.cpu_s, "", f"{run.cpu_s / floor_s:.0f}", ""))
    for name, seconds, *cells in rows:
        print(f"| {comment_count:,} | {suffix or 'plain'} | {name} | {seconds:.2f} | {' | '.join(cells)} |")
    path.unlink()


def warm_up(folder: Path) -> None:
    path = folder / "small.ndjson"
    make_archive(path, comment_count=200, seed=7)
    analyze(path, folder / "small.db")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--comments", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--only", choices=["parse", "read"], help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only:
        only(asked.only, asked.file)
        return
    print(HEAD)
    with tempfile.TemporaryDirectory(prefix="phaseline-", dir=asked.folder) as folder:
        warm_up(Path(folder))
        for comment_count in asked.comments:
            for suffix in ("", ".zst"):
                measure(Path(folder), comment_count, suffix)


if __name__ == "__main__":
    main()
