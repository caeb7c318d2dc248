"""Break one storage operation of a run, then another one, until every one of them has been broken."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.faults.forkserver import Death, Server
from tests.faults.life import ERROR, KILL, TORN_ERROR, TORN_KILL, Fault, Life, live
from tests.faults.pipeline import violations

MEMORY: Final = Path("/dev/shm")  # a file system in memory: the shim, not the disk, decides what is lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One way to break an operation."""

    kind: int
    error: int = errno.EIO
    for_ever: bool = False
    heals: bool = False

    def at(self, operation: int) -> Fault:
        return Fault(kind=self.kind, at=operation, error=self.error, for_ever=self.for_ever)


KINDS: Final[Mapping[str, Kind]] = {
    "kill": Kind(kind=KILL),
    "half a write, then kill": Kind(kind=TORN_KILL),
    "EIO once": Kind(kind=ERROR),
    "EIO for ever": Kind(kind=ERROR, for_ever=True),
    "EIO until healed": Kind(kind=ERROR, for_ever=True, heals=True),
    "ENOSPC once": Kind(kind=ERROR, error=errno.ENOSPC),
    "ENOSPC until healed": Kind(kind=ERROR, error=errno.ENOSPC, for_ever=True, heals=True),
    "half a write, then ENOSPC": Kind(kind=TORN_ERROR, error=errno.ENOSPC, heals=True),
}


@dataclass(slots=True)
class Figures:
    """What a harness did, and what it found."""

    cases: int = 0
    lives: int = 0
    kills: int = 0
    problems: list[str] = field(default_factory=list)
    began_s: float = field(default_factory=time.perf_counter)

    def __str__(self) -> str:
        took_s = time.perf_counter() - self.began_s
        return (
            f"{self.cases} cases, {self.lives} lives, {self.kills} killed, "
            f"{len(self.problems)} violations, {took_s:.1f} s"
        )


@contextmanager
def folder() -> Iterator[Path]:
    """Give a fresh folder, in memory where there is room for it."""
    made = Path(tempfile.mkdtemp(prefix="faults-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        yield made
    finally:
        shutil.rmtree(made)


@dataclass(slots=True)
class Case:
    """One database and the lives that follow each other on it."""

    server: Server
    figures: Figures
    name: str
    where: Path

    def __post_init__(self) -> None:
        (self.where / "db").mkdir()
        self.figures.cases += 1

    @property
    def db(self) -> Path:
        return self.where / "db" / "runs.db"

    def live(self, **what: Any) -> Death:
        """Live a life, and check the database as it leaves it."""
        self.figures.lives += 1
        death = self.server.run(live, Life(db=self.db, trace=self.where / "trace", **what))
        self.figures.kills += death.was_killed
        self.note([death.complaint] if death.complaint else [])
        self.note(problems(self.db) + again(self.where / "trace"))
        return death

    def heals(self) -> None:
        """End with a life without faults, in which everything must come right."""
        report = self.live().report or {"error": "no report", "started": None}
        if report["error"] is not None or report["started"] is None:
            self.note([f"the healthy life says {report}"])
        self.note([f"run {run} is {status}" for run, status in unfinished(self.db)])

    def note(self, found: Iterable[str]) -> None:
        self.figures.problems += [f"{self.name}: {each}" for each in found]


def problems(db: Path) -> list[str]:
    """Return what is wrong with a database, which may not have been made yet."""
    return violations(db) if is_made(db) else []


def is_made(db: Path) -> bool:
    try:
        return db.exists() and bool(_rows(db, "SELECT 1 FROM sqlite_master WHERE name = 'schema_versions'"))
    except sqlite3.OperationalError as error:
        # Killed before it was in WAL mode: the next process that may write rolls that first journal back.
        if error.sqlite_errorname != "SQLITE_READONLY_ROLLBACK":
            raise
        return False


def unfinished(db: Path) -> list[tuple[int, str]]:
    return _rows(db, "SELECT id, status FROM analysis_runs WHERE status = 'running'")


def _rows(db: Path, sql: str) -> list[Any]:
    conn = sqlite3.connect(f"{db.resolve().as_uri()}?mode=ro", uri=True)
    try:
        return conn.execute(sql).fetchall()
    finally:
        conn.close()


def again(trace: Path) -> list[str]:
    """Return the phases that were entered after a later one had been: completed ones that ran twice."""
    last: dict[str, int] = {}
    found: list[str] = []
    for line in trace.read_text().splitlines() if trace.exists() else []:
        run, phase = line.split(".")
        if int(phase) < last.get(run, 0):
            found.append(f"run {run} entered phase {phase} after phase {last[run]}")
        last[run] = int(phase)
    return found


def operations(server: Server, **what: Any) -> int:
    """Return how many storage operations a life without faults makes."""
    with folder() as where:
        case = Case(server, Figures(), "counting", where)
        return int(case.live(**what).report["operations"])


def sweep(server: Server, name: str, points: Iterable[int], figures: Figures, **what: Any) -> None:
    """Break each of these operations in a life of its own; after it, all must come right."""
    kind = KINDS[name]
    for at in points:
        with folder() as where:
            case = Case(server, figures, f"{name} at operation {at}", where)
            report = case.live(fault=kind.at(at), heals=kind.heals, **what).report
            if kind.heals and report is not None and report["again"] not in {None, "completed"}:
                case.note([f"the same process, healed, gives {report}"])
            case.heals()


def sweep_twice(
    server: Server, firsts: Iterable[int], seconds: Callable[[int], Iterable[int]], figures: Figures
) -> None:
    """Kill at an operation, and the recovery after it at each of its operations in turn."""
    for first in firsts:
        with folder() as base:
            killed = Case(server, Figures(), f"first kill at {first}", base)
            killed.live(fault=KINDS["kill"].at(first))
            with _copied(killed, server, Figures(), "counting") as counting:
                count = int(counting.live().report["operations"])
            for second in seconds(count):
                name = f"kill at operation {first}, then at {second} of the recovery"
                with _copied(killed, server, figures, name) as case:
                    case.live(fault=KINDS["kill"].at(second))
                    case.heals()


@contextmanager
def _copied(case: Case, server: Server, figures: Figures, name: str) -> Iterator[Case]:
    with folder() as where:
        copy = Case(server, figures, name, where)
        shutil.copytree(case.where, where, dirs_exist_ok=True)
        yield copy
