"""`python -m tests.golden.make`: write the golden databases of this version, once, as SQL text.

One run that completed, one that failed with a refused step in its history, and one whose process was killed
in mid-phase. Later versions must open, verify and end them all.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from api.version import version
from statemachine.errors import IllegalTransition
from statemachine.registry import Registry
from statemachine.runner import Runner
from tests.golden.released import released_pipeline
from tests.golden.story import PHASES, SCHEMA

HERE: Final = Path(__file__).parent
Misfortune = Callable[[], None]


def open_runner(db: Path, misfortune: Misfortune | None = None) -> Runner:
    """Open a database with the golden phases; the misfortune happens in the middle of the second."""
    schema = {"golden": SCHEMA, **released_pipeline()}
    return Runner(db, Registry.of(PHASES), tools=lambda _: misfortune, schema=schema, executor="threads")


def _live(db: Path, misfortune: Misfortune | None) -> None:
    with closing(open_runner(db, misfortune)) as runner:
        runner.start({"golden": True, "words": ["a", "b"]}, idempotency_key="golden")
        runner.wait()
        with suppress(IllegalTransition):
            runner.cancel(1)


def _fail() -> None:
    raise ValueError("it broke in the middle")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


STORIES: Final[dict[str, Misfortune | None]] = {"completed": None, "failed": _fail, "killed": _die}


def main() -> None:
    """Write each story's database; a version's folder is written once."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden.make", description=__doc__)
    parser.add_argument("--story", nargs=2, metavar=("NAME", "DB"), help=argparse.SUPPRESS)
    story: list[str] | None = parser.parse_args().story
    if story is not None:
        _live(Path(story[1]), STORIES[story[0]])
        return
    folder = HERE / version()
    if folder.exists():
        sys.exit(f"{folder.name} is there already; golden databases are never written again")
    folder.mkdir()
    for name in STORIES:
        (folder / f"{name}.sql").write_text(_dumped(name), encoding="utf-8")


def _dumped(name: str) -> str:
    """Return what a process that lived a story leaves behind."""
    with tempfile.TemporaryDirectory() as place:
        db = Path(place) / "golden.db"
        lived = [sys.executable, "-m", "tests.golden.make", "--story", name, str(db)]
        subprocess.run(lived, check=name != "killed", stderr=subprocess.DEVNULL)
        with closing(sqlite3.connect(db)) as conn:
            said = "".join(f"{line}\n" for line in conn.iterdump())
    return said.replace(f"{HERE.parents[1]}/", "")  # a stored traceback names the files of this machine


if __name__ == "__main__":
    main()
