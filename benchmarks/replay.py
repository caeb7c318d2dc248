"""Whether a replay's day costs the same however many days there are: `benchmarks/replay.py [--days 28]`.

A made-up archive of so many days is replayed twice: cut into days once, as `phaseline replay` does, and
reading the whole archive again for each day, as so many single analyses would. A row shows the seconds of a
run by the clock, its own fetch phase apart, on average over the first and the last quarter of the days.
"""

from __future__ import annotations

import argparse
import json
import random  # noqa: TID251 - a benchmark's chance is its seed
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import make_archive  # noqa: E402 - the repository is put on the path first
from benchmarks.archive import environment  # noqa: E402 - the same

FIRST = date(2025, 3, 13)
"""A Thursday; the day before it is the archive's first."""
HEAD = "| reading | runs | fetch, first quarter | fetch, last quarter | whole run, first | whole run, last |"


def day(number: int, comment_count: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Return one day's posts and comments, with ids of their own."""
    later_s = number * make_archive.DAY_S
    for row in make_archive.posts(10, chance):
        yield {**row, "id": f"{row['id']}d{number}", "created_utc": row["created_utc"] + later_s}
    for row in make_archive.comments(comment_count, 10, chance):
        ids = {name: f"{row[name]}d{number}" for name in ("id", "link_id", "parent_id")}
        yield {**row, **ids, "created_utc": row["created_utc"] + later_s}


def make(path: Path, day_count: int, comment_count: int) -> None:
    chance = random.Random(7)
    with path.open("w") as out:
        for number in range(day_count + 1):
            out.writelines(json.dumps(row) + "\n" for row in day(number, comment_count, chance))


def phaseline(folder: Path, *args: str) -> None:
    subprocess.run(
        [sys.executable, "-P", "-m", "api.cli", *args],
        check=True,
        capture_output=True,
        cwd=folder,
        env={**environment(folder), "PYTHONPATH": str(ROOT)},
    )


def replayed(folder: Path, source: str, last: date) -> Path:
    days = ["--from", FIRST.isoformat(), "--to", last.isoformat()]
    phaseline(folder, "replay", *days, "--source", source, "--db", "replayed.db", "--output", "report")
    return folder / "replayed.db"


def one_by_one(folder: Path, source: str, instants: list[str]) -> Path:
    for at in instants:
        phaseline(folder, "analyze", "--source", source, "--as-of", at, "--db", "single.db")
    return folder / "single.db"


def spans(db: Path) -> list[tuple[float, float]]:
    """Return for each run the seconds of its fetch phase, and of all."""
    with sqlite3.connect(db) as conn:
        runs = [run_id for (run_id,) in conn.execute("SELECT id FROM analysis_runs ORDER BY id")]
        stamps = [
            [datetime.fromisoformat(at) for (at,) in conn.execute(_STAMPS, (run_id,))] for run_id in runs
        ]
    return [((at[1] - at[0]).total_seconds(), (at[-1] - at[0]).total_seconds()) for at in stamps]


_STAMPS = "SELECT at FROM run_events WHERE run_id = ? ORDER BY seq"


def row(name: str, found: list[tuple[float, float]]) -> str:
    quarter = max(1, len(found) // 4)
    cells = [
        f"{fmean(span[which] for span in part):.2f} s"
        for which in (0, 1)
        for part in (found[1 : quarter + 1], found[-quarter:])  # the first run also starts the workers
    ]
    return f"| {name} | {len(found)} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=28, help="calendar days")
    parser.add_argument("--comments", type=int, default=2_000, help="a day")
    asked = parser.parse_args()
    last = FIRST + timedelta(days=asked.days - 1)
    with tempfile.TemporaryDirectory(prefix="phaseline-") as name:
        folder = Path(name)
        make(folder / "days.ndjson", asked.days, asked.comments)
        db = replayed(folder, "archive:days.ndjson", last)
        with sqlite3.connect(db) as conn:
            instants = [at for (at,) in conn.execute("SELECT as_of FROM replay_moments ORDER BY 1")]
        print(HEAD)
        print("|---|--:|--:|--:|--:|--:|")
        print(row("cut into days once", spans(db)))
        print(row("the whole archive each day", spans(one_by_one(folder, "archive:days.ndjson", instants))))


if __name__ == "__main__":
    main()
