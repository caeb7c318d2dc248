"""Parquet through DuckDB, which the extra `parquet` brings.

Rows go through a file of JSON lines beside the target: DuckDB reads it as a stream with the types that the
tables declare, so that memory stays bounded. Its own reader of SQLite is not part of its package, and would
have to be downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from api.export.tables import Row, Rows

if TYPE_CHECKING:
    import duckdb

TYPES: Final = {"INTEGER": "BIGINT", "REAL": "DOUBLE", "TEXT": "VARCHAR"}
OPTIONS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": "false",  # nothing is ever downloaded
    "memory_limit": "512MB",
    "threads": "1",
}


class ParquetMissing(Exception):
    """The extra is not installed; the message says how to get it."""


def require() -> None:
    """Raise `ParquetMissing` where DuckDB is not installed."""
    _connect().close()


def write_parquet(rows: Rows, each: Iterator[Row], path: Path) -> None:
    """Write the rows to `path`, with their types."""
    lines = path.with_name(f"{path.name}.lines")
    try:
        with lines.open("w", encoding="ascii") as file:
            for row in each:
                file.write(json.dumps(dict(zip(rows.columns, row, strict=True))) + "\n")
        _convert(rows, lines, path)
    finally:
        lines.unlink(missing_ok=True)


def _convert(rows: Rows, lines: Path, path: Path) -> None:
    columns = ", ".join(f"{_quoted(name)}: {_quoted(TYPES[kind])}" for name, kind in rows.columns.items())
    with _connect() as duck:
        duck.execute(
            f"COPY (SELECT * FROM read_json({_quoted(str(lines))}, format = 'newline_delimited', "
            f"columns = {{{columns}}})) TO {_quoted(str(path))} (FORMAT parquet, COMPRESSION zstd)"
        )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _connect() -> duckdb.DuckDBPyConnection:
    try:
        import duckdb  # noqa: PLC0415  # an extra: not everybody has it
    except ImportError as error:
        raise ParquetMissing('Parquet wants DuckDB: pip install "phaseline[parquet]"') from error
    return duckdb.connect(":memory:", config=OPTIONS)
