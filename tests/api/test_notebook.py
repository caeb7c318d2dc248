"""The connection for notebooks reads everything, writes nothing, and its page's queries run."""

from __future__ import annotations

import re
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from api.cli.root import run
from api.notebook import connect

PAGE = (Path(__file__).parents[2] / "docs" / "notebooks.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, analysed once."""
    path = tmp_path_factory.mktemp("notebook") / "sample.db"
    assert run(["analyze", "--db", str(path), "--executor", "threads", "--source", "sample"]) == 0
    return path


@pytest.fixture
def conn(db: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(db)) as opened:
        yield opened


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM comments",
        "CREATE TABLE mine (x)",
        "PRAGMA user_version = 9",
        "PRAGMA journal_mode = DELETE",
        "VACUUM",
    ],
)
def test_nothing_can_be_written(db: Path, conn: sqlite3.Connection, statement: str) -> None:
    before = db.read_bytes()

    with pytest.raises(sqlite3.OperationalError):
        conn.execute(statement)

    assert db.read_bytes() == before


def test_not_even_after_asking_for_it(conn: sqlite3.Connection) -> None:
    conn.execute("PRAGMA query_only = 0")

    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        conn.execute("DELETE FROM comments")


def test_it_reads_while_somebody_writes(db: Path, conn: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(db, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE portfolios SET name = name || '!'")
        names = [name for (name,) in conn.execute("SELECT name FROM portfolios")]
        writer.execute("ROLLBACK")

    assert len(names) == 4
    assert not any(name.endswith("!") for name in names)


def test_a_missing_file_is_said_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no database .*none\.db"):
        connect(tmp_path / "none.db")

    assert list(tmp_path.iterdir()) == []


def test_the_page_has_three_queries() -> None:
    assert len(QUERIES) == 3


@pytest.mark.parametrize("query", QUERIES, ids=["signals", "trades", "mood"])
def test_the_queries_of_the_page_find_something(conn: sqlite3.Connection, query: str) -> None:
    assert conn.execute(query).fetchall()


def test_pandas_takes_the_connection_as_it_is(conn: sqlite3.Connection) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pandas says of its own making
        import pandas as pd  # noqa: PLC0415  # half a second

        frame = pd.read_sql(QUERIES[0], conn)
        conn.row_factory = sqlite3.Row
        again = pd.read_sql(QUERIES[0], conn)

    assert list(frame.columns)[:3] == ["signal_date", "ticker", "signal_type"]
    assert len(frame) > 0
    assert frame.equals(again)
