"""Every database that a test leaves behind is verified: what the engine promises holds, whatever happened."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from statemachine.verify import verify
from tests.fakes import FakeClock

# The same examples each time: a failure is of this change. `--hypothesis-profile=search` looks further.
settings.register_profile("house", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=2_000, deadline=None)
# That a mutant fails is enough to know; how little it takes to fail is not worth the minutes.
settings.register_profile(
    "mutants", derandomize=True, deadline=None, database=None, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("house")

_MEMORY = Path("/dev/shm")
"""Where present, a file system without a disk: the engine syncs every commit, and tests make many."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a report of hostile text through the pipe of the processes that share the tests: it is UTF-8."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


def _is_the_engines(file: Path) -> bool:
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as conn:
        try:
            found = conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'run_events'").fetchone()
        except sqlite3.DatabaseError:  # some tests make files that are no databases
            return False
    return found is not None


def assert_verified(folder: Path) -> None:
    """Assert that every engine database below a folder is as the engine promises."""
    for file in sorted(folder.rglob("*.db")):
        if _is_the_engines(file):
            assert verify(file) == []


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory; the databases (`*.db`) in it are verified at the end."""
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="phaseline-test-", dir=place) as name:
        yield Path(name)
        assert_verified(Path(name))


@pytest.fixture
def db(folder: Path) -> Path:
    """Where a test's database is made."""
    return folder / "runs.db"


@pytest.fixture(autouse=True)
def _verified(request: pytest.FixtureRequest) -> Iterator[None]:
    """The same for a test that uses `tmp_path`."""
    used = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if used is not None:
        assert_verified(used)
