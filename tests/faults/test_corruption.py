"""A damaged file is refused or found out; nothing hangs, and no error but a clear one comes through."""

from __future__ import annotations

import random  # noqa: TID251  # chance is passed in: a Random made from a seed
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from statemachine.errors import DatabaseUnusable
from statemachine.verify import verify
from tests.faults.corruption import DAMAGES, contents, damaged, used, verdict
from tests.faults.forkserver import Server
from tests.faults.life import Life, live
from tests.faults.sweep import folder


@pytest.fixture(scope="module")
def original(plain_server: Server) -> Iterator[Path]:
    """A database with a run of each kind, the last of them interrupted, and no write-ahead log."""
    with folder() as where:
        db = where / "runs.db"
        for act in ("raise", "cancel", "late", "jump", "kill"):
            plain_server.run(live, Life(db=db, acts={"2.kept1": act}))
        conn = sqlite3.connect(db)
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        conn.close()
        yield db


def _damage(server: Server, original: Path, name: str, cases: int) -> Counter[str]:
    before, chance, seen = contents(original), random.Random(3), Counter[str]()
    for _ in range(cases):
        with folder() as where:
            db = where / "runs.db"
            damaged(original, db, name, chance)
            checked = server.run(verdict, db)
            changed = checked.report == "clean" and contents(db) != before
            lived = server.run(used, db)

            assert checked.complaint == ""
            assert lived.complaint == ""
            assert lived.report in {"refused", "unusable", "completed", "failed", "AlreadyRunning"}
            seen[checked.report] += 1
            seen["clean, and yet different"] += changed
    return seen


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_refused_or_found_and_nothing_hangs(
    plain_server: Server, original: Path, name: str
) -> None:
    seen = _damage(plain_server, original, name, 8)

    assert seen["refused"] + seen["found"] + seen["clean"] == 8


@pytest.mark.tier1
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", DAMAGES)
def test_much_damage_is_refused_or_found(plain_server: Server, original: Path, name: str) -> None:
    seen = _damage(plain_server, original, name, 300)

    print(f"{name}: {dict(seen)}")  # noqa: T201  # the figures of docs/reliability.md
    if name != "a bit flipped":  # SQLite keeps no check sums: a flipped bit of a value is only another value
        assert seen["clean, and yet different"] == 0


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"SQLite format 3\0", b"not a database at all" * 99])
def test_verify_refuses_what_is_no_database_of_ours(content: bytes) -> None:
    with folder() as where:
        (where / "runs.db").write_bytes(content)

        with pytest.raises(DatabaseUnusable):
            verify(where / "runs.db")


def test_verify_says_that_a_page_is_damaged(original: Path) -> None:
    conn = sqlite3.connect(original)
    (page,) = conn.execute("SELECT rootpage FROM sqlite_master WHERE name = 'run_events'").fetchone()
    conn.close()
    content = bytearray(original.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = bytes(4096)
    with folder() as where:
        (where / "runs.db").write_bytes(content)

        assert {each.invariant for each in verify(where / "runs.db")} == {"file_is_intact"}


def test_bytes_that_are_no_text_are_called_damage(original: Path) -> None:
    content = original.read_bytes().replace(b"CREATE TABLE run_events", b"CREATE TABLE \xff\xfe\xfd_events")
    with folder() as where:
        (where / "runs.db").write_bytes(content)

        with pytest.raises(DatabaseUnusable, match="damaged"):
            verify(where / "runs.db")


def test_a_run_in_no_state_of_ours_keeps_no_other_from_recovery(plain_server: Server, original: Path) -> None:
    with folder() as where:
        (where / "runs.db").write_bytes(original.read_bytes())
        conn = sqlite3.connect(where / "runs.db")
        conn.execute("DROP TRIGGER runs_move_by_the_table")
        conn.execute("UPDATE analysis_runs SET state = 'no_such_phase' WHERE status = 'running'")
        conn.commit()
        conn.close()

        assert plain_server.run(used, where / "runs.db").report == "AlreadyRunning"
