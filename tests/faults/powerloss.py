"""What the disk may hold after a power cut: rebuilt from the log of a life's storage operations.

The log (see shim.c) is cut after any operation. What had been synced by then is on the disk; of the rest,
nothing, everything, or any 512-byte sectors. A file that was never synced may be missing; an unlink is only
sure once anything in the folder was synced after it. The `-shm` file is memory and never survives.
"""

from __future__ import annotations

import random  # noqa: TID251  # chance is passed in: a Random made from a seed
import shutil
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from tests.faults.forkserver import Server
from tests.faults.life import COMPLETED, Life, live
from tests.faults.pipeline import NUMBERS
from tests.faults.sweep import Case, Figures, folder, is_made, problems

SECTOR: Final = 512
Survivors = Literal["none", "all", "some"]
Random = random.Random


@dataclass(frozen=True, slots=True)
class Operation:
    """One record of the log."""

    kind: str
    path: str
    offset: int
    data: bytes


def operations_of(log: Path) -> Iterator[Operation]:
    raw, at = log.read_bytes(), 0
    while at < len(raw):
        kind, length = struct.unpack_from("<cH", raw, at)
        path = raw[at + 3 : at + 3 + length].decode()
        offset, size = struct.unpack_from("<qq", raw, at + 3 + length)
        begin = at + 19 + length
        at = begin + size
        yield Operation(kind.decode(), path, offset, raw[begin:at])


@dataclass(slots=True)
class _File:
    durable: bytearray | None = None
    """What is on the disk; `None` while the file itself may be lost."""
    pending: list[Operation] = field(default_factory=list[Operation])

    def surviving(self, which: Survivors, chance: Random) -> bytearray | None:
        if which == "none":
            return self.durable
        if self.durable is None and which == "some" and chance.random() < 0.25:
            return None
        content = bytearray(self.durable or b"")
        for operation in self.pending:
            _apply(content, operation, None if which == "all" else chance)
        return content


def _apply(content: bytearray, operation: Operation, chance: Random | None) -> None:
    if operation.kind == "T":
        if chance is None or chance.random() < 0.5:
            content[operation.offset :] = b"\0" * max(0, operation.offset - len(content))
        return
    for start in range(0, len(operation.data), SECTOR):
        if chance is None or chance.random() < 0.5:
            part = operation.data[start : start + SECTOR]
            at = operation.offset + start
            content.extend(b"\0" * (at - len(content)))
            content[at : at + len(part)] = part


@dataclass(slots=True)
class Disk:
    """A disk with a write cache."""

    files: dict[str, _File] = field(default_factory=dict[str, _File])
    unlinked: dict[str, _File] = field(default_factory=dict[str, _File])
    """Files whose removal a power cut may undo."""
    acknowledged: int = 0

    def take(self, operation: Operation) -> None:
        """Let an operation happen."""
        match operation.kind:
            case "M":
                self.acknowledged = max(self.acknowledged, operation.offset)
            case "U":
                removed = self.files.pop(operation.path, None)
                if removed is not None:
                    self.unlinked[operation.path] = removed
            case "S":
                self.unlinked.clear()
                self._sync(operation.path)
            case _:
                self.files.setdefault(operation.path, _File()).pending.append(operation)

    def _sync(self, path: str) -> None:
        synced = self.files.get(path)
        if synced is not None:
            synced.durable = bytearray(synced.durable or b"")
            for operation in synced.pending:
                _apply(synced.durable, operation, None)
            synced.pending.clear()

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to chance."""
        return not self.unlinked and not any(each.pending for each in self.files.values())

    def write(self, target: Path, which: Survivors, chance: Random) -> None:
        """Write what a power cut leaves into a folder."""
        undone = self.unlinked if which == "none" or (which == "some" and chance.random() < 0.5) else {}
        for path, each in {**undone, **self.files}.items():
            content = None if path.endswith("-shm") else each.surviving(which, chance)
            if content is not None:
                (target / Path(path).name).write_bytes(content)


def logged(server: Server, log: Path, lives: Iterable[Life]) -> None:
    """Let lives follow each other on one database, and log what they do to the disk."""
    with folder() as where:
        (where / "db").mkdir()
        for each in lives:
            death = server.run(live, replace(each, db=where / "db" / "runs.db", log=log))
            assert not death.complaint, death.complaint


def cut(
    server: Server, log: Path, figures: Figures, chance: Random, *, every: int = 1, some: int = 3
) -> None:
    """Cut the power after every so many operations, and look at each disk that this may leave."""
    disk = Disk()
    for number, operation in enumerate(operations_of(log), start=1):
        disk.take(operation)
        if operation.kind == "M" or number % every:
            continue
        for variant in _variants(disk, some):
            with folder() as where:
                case = Case(server, figures, f"cut after {number}, {variant} survives", where)
                disk.write(case.db.parent, variant, chance)
                case.note(problems(case.db) + list(lost(case.db, disk.acknowledged)))
                if variant == "none":
                    case.heals()


def _variants(disk: Disk, some: int) -> list[Survivors]:
    if disk.is_settled:
        return ["none"]
    variants: list[Survivors] = ["none", "all"]
    return variants + ["some" for _ in range(some)]


def lost(db: Path, acknowledged: int) -> Iterator[str]:
    """Say what had been acknowledged and is not there."""
    if acknowledged == 0:
        return
    run_id, rest = divmod(acknowledged, 10_000)
    position, items = divmod(rest, 1_000)
    if not is_made(db):
        yield f"run {run_id} was acknowledged, and there are no tables"
        return
    copy = db.with_name("copy.db")  # looking at it must not recover it
    for suffix in ("", "-wal"):
        if (source := Path(f"{db}{suffix}")).exists():
            shutil.copyfile(source, f"{copy}{suffix}")
    conn = sqlite3.connect(copy)
    try:
        yield from _missing(conn, run_id, NUMBERS[position], items)
    finally:
        conn.close()


def _missing(conn: sqlite3.Connection, run_id: int, phase: int, items: int) -> Iterator[str]:
    row = conn.execute("SELECT status, current_phase FROM analysis_runs WHERE id = ?", (run_id,)).fetchone()
    if row is None:
        yield f"run {run_id} was acknowledged and is lost"
    elif items == COMPLETED:
        if row[0] != "completed":
            yield f"run {run_id} had completed, and is {row[0]}"
    elif row[1] < phase:
        yield f"run {run_id} had entered phase {phase}, and is in {row[1]}"
    else:
        sql = "SELECT count(*) FROM harvest WHERE run_id = ? AND phase = ?"
        kept = conn.execute(sql, (run_id, phase)).fetchone()[0]
        if kept < items:
            yield f"run {run_id} had kept {items} items of phase {phase}, and has {kept}"
