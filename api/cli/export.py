"""`phaseline export`: a table as a file, or as text on stdout."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

import click

from api.cli.exits import BadInput, Mistake, NothingThere
from api.cli.follow import Bar
from api.cli.options import reading, settings, settings_flags
from api.cli.text import clean, is_terminal, say
from api.export import parquet
from api.export.tables import TABLES, NoSuchTable, Row, Rows, read
from api.export.texts import SUFFIXES, write_csv, write_ndjson
from api.files import replacing

PARQUET: Final = "parquet"
ROWS_PER_LOOK: Final = 10_000
ROWS_PER_LINE: Final = 500_000
HELP: Final = "\b\nTables:\n" + "\n".join(f"  {name:<15} {each.about}" for name, each in TABLES.items())


@click.command(epilog=HELP)
@settings_flags()
@click.argument("table", type=click.Choice(list(TABLES)), metavar="TABLE")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "ndjson", PARQUET]),
    help="By default what the file's name says.",
)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; by default stdout.")
@click.option("--force", is_flag=True, help="Replace the file where it exists.")
def export(table: str, form: str | None, output: Path | None, force: bool) -> None:
    """Write a table as CSV, NDJSON or Parquet.

    In CSV a text that a spreadsheet would take for a formula gets a leading apostrophe; NDJSON and Parquet
    are exact. A file appears when it is whole. Parquet wants the extra: pip install "phaseline[parquet]".
    """
    chosen = form or (SUFFIXES.get(output.suffix, "csv") if output else "csv")
    if chosen == PARQUET:
        if output is None:
            raise BadInput("Parquet is no text; say a file with --output")
        _require_parquet()
    with reading(settings()) as reader:
        try:
            rows = read(reader.conn, table)
        except NoSuchTable as error:
            raise NothingThere(str(error)) from error
        if output is None:
            _write_text(rows, rows.each, chosen, sys.stdout)
        else:
            _write_file(rows, table, chosen, output, force=force)


def _require_parquet() -> None:
    try:
        parquet.require()
    except parquet.ParquetMissing as error:
        raise Mistake(str(error)) from error


def _write_text(rows: Rows, each: Iterator[Row], form: str, file: TextIO) -> None:
    try:
        if form == "csv":
            write_csv(rows, each, file, clean if file.isatty() else str)
        else:
            write_ndjson(rows, each, file)
        file.flush()
    except BrokenPipeError:
        sys.stdout = None  # whoever read it has enough; Python must not flush it again


def _write_file(rows: Rows, table: str, form: str, output: Path, *, force: bool) -> None:
    try:
        with replacing(output, force=force) as draft, _counted(rows, table) as each:
            if form == PARQUET:
                parquet.write_parquet(rows, each, draft)
            else:
                with draft.open("w", encoding="utf-8", newline="") as file:
                    _write_text(rows, each, form, file)
    except FileExistsError as error:
        raise Mistake(f"{output} exists already; --force replaces it") from error
    except OSError as error:
        raise Mistake(f"can't write {output}: {error.strerror or error}") from error
    say(f"{rows.count:,} {table} in {output}")


@contextmanager
def _counted(rows: Rows, table: str) -> Generator[Iterator[Row]]:
    """Lend the rows, and show how many have passed: by a bar, or now and then by a line."""
    if not is_terminal():
        yield _passing(rows, table, None)
        return
    with Bar() as bar:
        yield _passing(rows, table, bar)


def _passing(rows: Rows, table: str, bar: Bar | None) -> Iterator[Row]:
    for number, row in enumerate(rows.each, start=1):
        if bar and number % ROWS_PER_LOOK == 0:
            bar.move(f"{number:,} {table}", number / rows.count)
        elif not bar and number % ROWS_PER_LINE == 0:
            say(f"{number:,} of {rows.count:,} {table}")
        yield row
