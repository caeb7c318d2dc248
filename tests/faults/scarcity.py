"""Take something away from a living process - disk, descriptors, memory - and give it back."""

from __future__ import annotations

import logging
import os
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from statemachine.errors import PhaselineError
from statemachine.runner import Runner
from tests.faults.life import Actor, Life, Shim, VirtualClock, runner_of, try_again
from tests.faults.pipeline import World

KILOBYTE: Final = 1024
MEGABYTE: Final = 1024 * KILOBYTE

Squeeze = Callable[[Path, int], AbstractContextManager[None]]


@contextmanager
def little_disk(folder: Path, spare: int) -> Iterator[None]:
    """Fill the file system of `folder`, but for `spare` kilobytes."""
    ballast = folder / "ballast"
    disk = os.statvfs(folder)
    size = disk.f_bavail * disk.f_frsize - spare * KILOBYTE
    with ballast.open("wb") as file:
        file.write(b"\0" * max(0, size))
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def few_descriptors(_folder: Path, spare: int) -> Iterator[None]:
    """Let the process open only `spare` files more."""
    fd = os.open("/dev/null", os.O_RDONLY)  # the lowest number that is free
    os.close(fd)
    with _limited(resource.RLIMIT_NOFILE, fd + spare):
        yield


@contextmanager
def little_memory(_folder: Path, spare: int) -> Iterator[None]:
    """Let the process have only `spare` megabytes more of address space."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    with _limited(resource.RLIMIT_AS, pages * resource.getpagesize() + spare * MEGABYTE):
        yield


@contextmanager
def _limited(which: int, soft: int) -> Iterator[None]:
    before = resource.getrlimit(which)
    resource.setrlimit(which, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(which, before)


def squeezed(db: Path, squeeze: Squeeze, spare: int, params: dict[str, Any]) -> dict[str, Any]:
    """Start a run while something is scarce; return what came of it, and of one more afterwards."""
    logging.disable(logging.CRITICAL)
    clock = VirtualClock()
    actor = Actor(Life(db=db), Shim(), clock)
    runner = actor.runner = runner_of(actor.life, World(actor.reached), clock)
    report: dict[str, Any] = {"error": None}
    try:
        with squeeze(db.parent, spare):
            report["error"] = _tried(runner, params)
        try_again(runner, clock)
        report["first"] = [run.status for run in runner._ledger._reader.runs()]
        report["again"] = _ended(runner, runner.start({}).id)
    finally:
        runner.close()
    return report


def _tried(runner: Runner, params: dict[str, Any]) -> str | None:
    try:
        runner.start(params)
    except (PhaselineError, sqlite3.Error, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        runner.wait()
    return None


def _ended(runner: Runner, run_id: int) -> str:
    runner.wait()
    return runner._ledger.read(run_id).status


def opened(db: Path, squeeze: Squeeze, spare: int) -> str:
    """Open the database while something is scarce; return "ready" or the error."""
    logging.disable(logging.CRITICAL)
    clock = VirtualClock()
    with squeeze(db.parent, spare):
        try:
            runner = runner_of(Life(db=db), World(lambda _moment: None), clock)
        except (PhaselineError, sqlite3.Error, MemoryError, OSError) as error:
            return f"{type(error).__name__}: {error}"
    runner.close()
    return "ready"
