"""CSV and NDJSON, row by row.

CSV is for spreadsheets: a text that one would take for a formula gets a leading apostrophe, and NULL looks
like an empty text. NDJSON is exact, and its columns of JSON are JSON.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TextIO

from api.export.tables import JSON_COLUMNS, Row, Rows

FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""With these, wide ones included, a spreadsheet takes a text for a formula."""

Show = Callable[[str], str]
"""What becomes of a text in CSV; a terminal must not be moved by it."""


def write_csv(rows: Rows, each: Iterator[Row], file: TextIO, show: Show = str) -> None:
    """Write a header and one line a row."""
    # Every text is quoted: Python leaves a lone carriage return bare, which others read as the end of a row.
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(rows.columns)
    for row in each:
        writer.writerow([_cell(value, show) for value in row])


def _cell(value: Any, show: Show) -> Any:
    if not isinstance(value, str):
        return value
    return show(f"'{value}" if value.startswith(FORMULAS) else value)


def write_ndjson(rows: Rows, each: Iterator[Row], file: TextIO) -> None:
    """Write one JSON object a row, in ASCII."""
    for row in each:
        said = {
            name: json.loads(value) if name in JSON_COLUMNS and value is not None else value
            for name, value in zip(rows.columns, row, strict=True)
        }
        file.write(json.dumps(said) + "\n")


SUFFIXES: Final[Mapping[str, str]] = {
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
}
"""Which format a file's name asks for."""
