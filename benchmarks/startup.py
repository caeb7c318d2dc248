"""What a process takes until it is of use: imports, the command's help, resuming, a long history."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.engine import SCHEMA, Engine
from benchmarks.floor import Floor, bare_copy
from benchmarks.rounds import Figure, Target
from statemachine.runner import Runner

FINISHED = 10_000
"""Runs in the history."""
_IMPORT = "import statemachine.runner, sys; assert not {'fastapi', 'pydantic'} & set(sys.modules)"
_MEMORY = "print(*[line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')])"


def figures(folder: Path, rounds: int) -> Iterator[Figure]:
    """Yield the figures of a start."""
    python = Python(folder / "bytecode")
    yield _importing(python, rounds)
    if Path("/proc/self/status").exists():
        yield _memory(python)
    yield _helping(python, rounds)
    yield _resuming(python, folder, rounds)
    yield _opening(folder, rounds)


class Python:
    """Starts interpreters that keep their bytecode, as an installed program does."""

    def __init__(self, bytecode: Path) -> None:
        """Keep it in a folder of its own, whatever the caller's environment says."""
        self._environment = {
            **os.environ,
            "PYTHONPYCACHEPREFIX": str(bytecode),
            "PYTHONDONTWRITEBYTECODE": "",
        }

    def said(self, *arguments: str) -> str:
        """Run an interpreter to its end and return its output."""
        command = [sys.executable, *arguments]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=self._environment)
        return done.stdout

    def took_s(self, *arguments: str) -> float:
        """Run an interpreter and return how long it lived."""
        began = time.perf_counter()
        self.said(*arguments)
        return time.perf_counter() - began

    def reached_s(self, *arguments: str) -> float:
        """Return how long an interpreter took to the instant that it prints."""
        began = time.monotonic()
        return float(self.said(*arguments)) - began

    def side_by_side(
        self, rounds: int, bare: Sequence[str], ours: Sequence[str]
    ) -> list[tuple[float, float]]:
        """Run both in turn; the first turn, which compiles, doesn't count."""
        return [(self.took_s(*bare), self.took_s(*ours)) for _ in range(rounds + 1)][1:]


def _importing(python: Python, rounds: int) -> Figure:
    pairs = python.side_by_side(rounds, ["-c", "import sqlite3"], ["-c", _IMPORT])
    return Figure(
        what="process that imports statemachine.runner, and one that imports sqlite3",
        unit="s",
        ours=[ours for _, ours in pairs],
        floor=[bare for bare, _ in pairs],
        target=Target(0.08, of="difference"),
    )


def _memory(python: Python) -> Figure:
    return Figure(
        what="memory of these two processes",
        unit="MB",
        ours=[int(python.said("-c", f"{_IMPORT}\n{_MEMORY}")) / 1024],
        floor=[int(python.said("-c", f"import sqlite3\n{_MEMORY}")) / 1024],
        target=Target(20, of="ours"),
    )


def _helping(python: Python, rounds: int) -> Figure:
    pairs = python.side_by_side(rounds, ["-c", ""], ["-m", "api.cli", "--help"])
    return Figure(
        what="phaseline --help, and an interpreter that does nothing",
        unit="s",
        ours=[ours for _, ours in pairs],
        floor=[bare for bare, _ in pairs],
        target=Target(0.3, of="ours"),
    )


def _resuming(python: Python, folder: Path, rounds: int) -> Figure:
    db, bare_db = folder / "resumed.db", folder / "bare.db"
    pairs: list[tuple[float, float]] = []
    for _ in range(rounds + 1):  # the first compiles
        crashed = Engine(db, phases=1, rows=0)  # its connection stays open, and the log with it
        crashed.start()
        crashed.die()
        if not pairs:
            Floor(bare_copy(db, bare_db), phases=1, rows=0).start()
        bare = python.reached_s("-m", "benchmarks.bare_resume", str(bare_db))
        pairs.append((bare, python.reached_s("-m", "benchmarks.resume", str(db))))
        crashed.conn.close_for_good()
    return Figure(
        what="process start to the first line of the resumed phase",
        unit="s",
        ours=[ours for _, ours in pairs[1:]],
        floor=[bare for bare, _ in pairs[1:]],
        target=Target(0.1, of="ours"),
    )


def _opening(folder: Path, rounds: int) -> Figure:
    long, short = folder / "long.db", folder / "short.db"
    engine = Engine(long, phases=1, rows=0)
    with engine.conn.engine():
        engine.conn.run("PRAGMA synchronous = OFF")  # the history is not what is timed
    for _ in range(FINISHED):
        engine.start()
        engine.boundary()
    engine.die()
    pairs = [(_opened_ms(short), _opened_ms(long)) for _ in range(rounds)]
    engine.conn.close_for_good()
    return Figure(
        what=f"opening and taking over an interrupted run, {FINISHED:,} finished ones in the file, and none",
        unit="ms",
        ours=[ours for _, ours in pairs],
        floor=[bare for bare, _ in pairs],
        target=Target(100, of="ours"),
    )


def _opened_ms(db: Path) -> float:
    crashed = Engine(db, phases=1, rows=0)
    crashed.start()
    crashed.die()
    began = time.perf_counter()
    runner = Runner(db, crashed.registry, schema=SCHEMA)
    assert len(runner.recover()) == 1, "the interrupted run is taken over"
    took_ms = (time.perf_counter() - began) * 1e3
    runner.wait()
    runner.close()
    crashed.conn.close_for_good()
    return took_ms
