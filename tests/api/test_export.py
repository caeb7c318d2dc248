"""Exports: every format says what the table says, no file is half written, nothing becomes a formula."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.cli.root import run
from api.export import parquet
from api.export.tables import TABLES, NoSuchTable, Rows, read
from api.export.texts import write_csv, write_ndjson
from api.files import replacing
from phases import SCHEMA
from statemachine.store import SCHEMA as ENGINE

COLUMNS = {"id": "INTEGER", "figure": "REAL", "body": "TEXT"}
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
values = st.tuples(
    st.integers(-(2**63), 2**63 - 1) | st.none(),
    st.floats(allow_nan=False, allow_infinity=False) | st.none(),
    texts | st.none(),
)
tables = st.lists(values, max_size=8)


def rows(table: list[tuple[Any, ...]]) -> Rows:
    return Rows(COLUMNS, len(table), iter(table))


# --- formats ---


@given(tables)
def test_ndjson_says_exactly_what_the_rows_say(table: list[tuple[Any, ...]]) -> None:
    file = io.StringIO()

    write_ndjson(rows(table), iter(table), file)

    assert file.getvalue().isascii()
    assert [tuple(json.loads(line).values()) for line in file.getvalue().splitlines()] == table


@given(tables)
def test_no_cell_of_csv_is_a_formula_and_none_is_lost(table: list[tuple[Any, ...]]) -> None:
    file = io.StringIO()

    write_csv(rows(table), iter(table), file)

    header, *lines = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert header == list(COLUMNS)
    assert len(lines) == len(table)
    for line, (_, _, body) in zip(lines, table, strict=True):
        assert not line[2].startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
        assert line[2].removeprefix("'") == (body or "").removeprefix("'")


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(tables)
def test_parquet_keeps_values_and_types(table: list[tuple[Any, ...]]) -> None:
    duckdb = pytest.importorskip("duckdb", reason="the extra parquet is not installed")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "it's a table.parquet")
        parquet.write_parquet(rows(table), iter(table), path)
        with duckdb.connect() as duck:
            found = duck.execute("SELECT * FROM read_parquet(?)", [str(path)])
            kinds = [str(column[1]) for column in found.description]
            kept = found.fetchall()
        left = [each.name for each in Path(folder).iterdir()]

    assert kinds == ["BIGINT", "DOUBLE", "VARCHAR"]
    assert kept == table
    assert left == [path.name]


def test_without_its_extra_parquet_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)

    code = run(["export", "runs", "--output", str(tmp_path / "runs.parquet")])

    assert code == 1
    assert capsys.readouterr().err == 'phaseline: Parquet wants DuckDB: pip install "phaseline[parquet]"\n'


def test_parquet_does_not_go_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "runs", "--format", "parquet"]) == 2
    assert "say a file with --output" in capsys.readouterr().err


# --- tables ---


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:", isolation_level=None)
    for script in (*ENGINE, *SCHEMA):
        made.executescript(script)
    yield made
    made.close()


def test_every_table_of_the_interface_is_there(conn: sqlite3.Connection) -> None:
    for name in (name for name in TABLES if not name.startswith("replay-")):
        found = read(conn, name)
        assert found.columns
        assert len(list(found.each)) == found.count
        conn.execute("COMMIT")


def test_the_count_is_that_of_the_rows_whatever_is_written_meanwhile(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    writer = sqlite3.connect(db, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE signals (id INTEGER PRIMARY KEY, ticker TEXT)")
    writer.executemany("INSERT INTO signals VALUES (?, 'GME')", [(number,) for number in range(5_000)])
    reader = sqlite3.connect(db, isolation_level=None)

    found = read(reader, "signals")
    first = next(found.each)
    writer.execute("INSERT INTO signals VALUES (9999, 'AMD')")
    rest = list(found.each)

    assert (first, 1 + len(rest)) == ((0, "GME"), found.count)
    reader.close()
    writer.close()


def test_a_table_that_is_not_there_is_named() -> None:
    empty = sqlite3.connect(":memory:", isolation_level=None)

    with pytest.raises(NoSuchTable, match="there are no mentions"):
        read(empty, "mentions")
    empty.close()


# --- files ---


def test_a_file_appears_when_it_is_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "t.csv"

    def interrupted() -> None:
        with replacing(target) as draft:
            draft.write_text("half")
            assert not target.exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_replaced_only_by_force(tmp_path: Path) -> None:
    target = tmp_path / "t.csv"
    target.write_text("mine")

    with pytest.raises(FileExistsError), replacing(target) as draft:
        draft.write_text("yours")
    kept = target.read_text()
    with replacing(target, force=True) as draft:
        draft.write_text("yours")

    assert (kept, target.read_text()) == ("mine", "yours")


def test_what_somebody_made_meanwhile_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "t.csv"

    def write() -> None:
        with replacing(target) as draft:
            draft.write_text("mine")
            target.write_text("theirs")

    with pytest.raises(FileExistsError):
        write()

    assert target.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [target]


def test_whoever_reads_only_the_beginning_leaves_no_traceback(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    conn = sqlite3.connect(db)
    conn.execute("CREATE TABLE analysis_runs (id INTEGER)")
    conn.execute("CREATE TABLE signals (id INTEGER PRIMARY KEY, ticker TEXT)")
    conn.executemany("INSERT INTO signals VALUES (?, 'GME')", [(number,) for number in range(100_000)])
    conn.commit()
    conn.close()
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "api.cli", "export", "signals", "--db", str(db)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stderr is not None

    child.stdout.readline()
    child.stdout.close()
    said = child.stderr.read()
    child.stderr.close()

    assert (child.wait(), said) == (0, b"")
