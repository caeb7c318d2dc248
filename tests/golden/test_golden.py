"""What a released version wrote goes on working: its tables are never edited, its runs verify and end."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from phases import SCHEMA as PHASES_SCHEMA
from statemachine.store import SCHEMA as ENGINE_SCHEMA
from statemachine.store import Event, RunReader
from statemachine.verify import verify
from tests.golden.make import HERE, STORIES, open_runner
from tests.golden.released import RELEASED
from tests.golden.story import ITEMS, PHASES

SCHEMAS: Final[dict[str, Sequence[str]]] = {"engine": ENGINE_SCHEMA, "phases": PHASES_SCHEMA}
FILES: Final = sorted(HERE.glob("*/*.sql"))
AFTERWARDS: Final = {
    "completed": [],
    "failed": ["resume", "advance"],
    "killed": ["resume", "advance"],
}
"""What each story's run still does, by today's code."""


@pytest.mark.parametrize("part", SCHEMAS)
def test_a_released_script_is_never_edited(part: str) -> None:
    now = [hashlib.sha256(script.encode()).hexdigest() for script in SCHEMAS[part]]

    assert tuple(now[: len(RELEASED[part])]) == RELEASED[part], (
        f"a released version of the {part} tables was edited, and files that have it would never learn of "
        f"that: take the edit back and add a new version to SCHEMA"
    )


def test_every_version_has_every_story() -> None:
    versions = {file.parent.name for file in FILES}

    assert versions
    assert {(file.parent.name, file.stem) for file in FILES} == {
        (version, story) for version in versions for story in STORIES
    }


@pytest.fixture(params=FILES, ids=lambda file: f"{file.parent.name} {file.stem}")
def golden(request: pytest.FixtureRequest, db: Path) -> str:
    """Load a golden database; return its story."""
    file: Path = request.param
    with closing(sqlite3.connect(db)) as conn:
        conn.executescript(file.read_text(encoding="utf-8"))
    return file.stem


def _history(db: Path) -> list[Event]:
    with closing(RunReader(db)) as reader:
        return reader.events(1)


def test_an_old_database_verifies_before_and_after_it_is_brought_up_to_date(golden: str, db: Path) -> None:
    assert verify(db) == []
    history = _history(db)

    open_runner(db).close()

    assert verify(db) == []
    assert _history(db) == history


def test_an_old_run_ends_as_if_nothing_had_happened(golden: str, db: Path) -> None:
    before = _history(db)
    with closing(open_runner(db)) as runner:
        replayed = runner.start({"golden": True, "words": ["a", "b"]}, idempotency_key="golden")
        assert replayed.id == 1
        runner.recover()
        runner.wait()
        if golden == "failed":
            runner.resume(1)
            runner.wait()
        runner.start({})
        runner.wait()

    after = _history(db)
    assert after[: len(before)] == before
    assert [event.trigger for event in after[len(before) :]] == AFTERWARDS[golden]
    assert verify(db) == []
    with closing(RunReader(db)) as reader:
        old, new = reader.run(1), reader.run(2)
        rows = reader.conn.execute("SELECT count(*) FROM golden_rows GROUP BY run_id").fetchall()
    assert (old.status, new.status) == ("completed", "completed")
    assert old.results == new.results == {"rows_1": ITEMS, "rows_2": ITEMS}
    assert [warning["type"] for warning in old.warnings or ()] == ["golden"]
    assert rows == [(ITEMS * len(PHASES),)] * 2
