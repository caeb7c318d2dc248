"""`phaseline export`: rows for spreadsheets, pandas, DuckDB and friends."""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

import click

from api.cli.exits import Mistake, NothingThere
from api.cli.options import reading, settings, settings_flags
from api.cli.text import clean

TABLES: Final[Mapping[str, str]] = {
    "signals": "SELECT * FROM signals ORDER BY id",
    "positions": "SELECT * FROM positions ORDER BY id",
    "comments": "SELECT * FROM comments ORDER BY id",
    "runs": "SELECT * FROM analysis_runs ORDER BY id",
    "events": "SELECT * FROM run_events ORDER BY seq",
}
JSON_COLUMNS: Final = frozenset({"params", "results", "warnings", "detail"})
FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
"""With these a spreadsheet takes a text for a formula."""

Row = Sequence[Any]
Writer = Callable[[Sequence[str], Iterator[Row], TextIO], None]


@click.command()
@settings_flags()
@click.argument("what", type=click.Choice(list(TABLES)))
@click.option("--format", "form", type=click.Choice(["csv", "ndjson"]), default="csv", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; by default stdout.")
def export(what: str, form: str, output: Path | None) -> None:
    """Write signals, positions, comments, runs or events as CSV or NDJSON.

    In CSV a text that a spreadsheet would take for a formula gets a leading apostrophe; NDJSON is exact.
    """
    with reading(settings()) as reader, _writing(output) as file:
        try:
            cursor = reader.conn.execute(TABLES[what])
        except sqlite3.OperationalError as error:
            raise NothingThere(f"there are no {what} in this database: {error}") from error
        WRITERS[form]([column[0] for column in cursor.description], cursor, file)


@contextmanager
def _writing(output: Path | None) -> Generator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    try:
        with output.open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise Mistake(f"can't write {output}: {error.strerror}") from error


def _csv(names: Sequence[str], rows: Iterator[Row], file: TextIO) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(value, file) for value in row])


def _cell(value: Any, file: TextIO) -> Any:
    if not isinstance(value, str):
        return value
    text = f"'{value}" if value.startswith(FORMULAS) else value
    return clean(text) if file.isatty() else text


def _ndjson(names: Sequence[str], rows: Iterator[Row], file: TextIO) -> None:
    for row in rows:
        said = {
            name: json.loads(value) if name in JSON_COLUMNS and value is not None else value
            for name, value in zip(names, row, strict=True)
        }
        file.write(json.dumps(said) + "\n")


WRITERS: Final[Mapping[str, Writer]] = {"csv": _csv, "ndjson": _ndjson}
