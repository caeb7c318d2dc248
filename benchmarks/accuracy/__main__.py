"""`python -m benchmarks.accuracy [FOLDER]`: how right the embedded analyser is, kept in docs/accuracy.md.

FOLDER holds the labelled sets; it lies beside the repository and is never part of it. Needs the dependency
group `train` (`make accuracy` installs it). Sets are reported one by one, never pooled: their labels follow
guides of their own.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.accuracy.sarcasm import TWEETS
from benchmarks.accuracy.tables import SETS, SPANS, tables
from tools.train_stance import DEFAULT_FOLDER, ROOT

DOCUMENT = ROOT / "docs" / "accuracy.md"
NEEDED = ("sklearn", "vaderSentiment")


def main() -> int:
    """Measure, print and keep the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy")
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    folder = parser.parse_args().folder
    if missing := [name for name in (*SETS, SPANS, TWEETS) if not (folder / name).is_file()]:
        parser.error(f"there is no {missing[0]} in {folder}; give the folder that holds the labelled sets")
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        parser.error("this compares with VADER and trains; `make accuracy` installs what that needs")
    made: dict[str, str] = {}
    for name, table in tables(folder):
        print(f"\n{name}\n\n{table}", flush=True)
        made[name] = table
    DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8"), made), encoding="utf-8")
    return 0


def filled(document: str, made: Mapping[str, str]) -> str:
    """Return the document with each table between its two markers."""
    for name, table in made.items():
        begin, end = f"<!-- {name}: begin, written by `make accuracy` -->", f"<!-- {name}: end -->"
        head, _, rest = document.partition(begin)
        _, found, tail = rest.partition(end)
        if not found:
            raise ValueError(f"{DOCUMENT.name} has no place for the table {name}: {begin} ... {end}")
        document = f"{head}{begin}\n{table}\n{end}{tail}"
    return document


if __name__ == "__main__":
    sys.exit(main())
