"""What can be exported. Names and columns are an interface: a release may add to them, never take away."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

ROWS_AT_A_TIME: Final = 2_000
JSON_COLUMNS: Final = frozenset({"params", "results", "warnings", "detail"})

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Exported:
    """One table of the interface."""

    table: str
    """Its name in the database."""
    order: str
    about: str


TABLES: Final[Mapping[str, Exported]] = {
    "runs": Exported("analysis_runs", "id", "one row a run: status, phase, results, warnings"),
    "events": Exported("run_events", "seq", "the history of the runs, edge by edge"),
    "posts": Exported("reddit_posts", "id", "posts; stubs are known by their comments only"),
    "comments": Exported("comments", "id", "comments with their annotations; authors are pseudonyms"),
    "run-comments": Exported(
        "run_comments", "run_id, comment_id", "which run looked at, picked, analysed what"
    ),
    "mentions": Exported("comment_tickers", "id", "the stance of a comment on each ticker in it"),
    "authors": Exported("authors", "id", "pseudonyms with what their history says of them"),
    "signals": Exported("signals", "id", "one row a ticker, kind and day"),
    "evidence": Exported("signal_comments", "id", "which comments a signal rests on"),
    "portfolios": Exported("portfolios", "id", "the paper accounts as they stand"),
    "positions": Exported("positions", "id", "what was bought, and how it stands"),
    "exits": Exported("position_exits", "id", "what was sold, when, why and for how much"),
    "prices": Exported("price_history", "id", "daily bars of what was held"),
    "predictions": Exported("predictions", "id", "what each comment's opinion would have made as an option"),
    "periods": Exported("evaluation_periods", "id", "windows of thirty days against the benchmark"),
    "values": Exported(
        "portfolio_values", "portfolio_id, valued_at", "what the portfolios were worth at each look"
    ),
    "premiums": Exported("option_marks", "position_id, at", "what monitoring saw of the options held"),
    "replay-moments": Exported(
        "replay_moments", "as_of", "of a replay: its runs, with the benchmark's price"
    ),
    "replay-values": Exported(
        "replay_values", "as_of, portfolio_id", "of a replay: the portfolios after each run"
    ),
}


class NoSuchTable(Exception):
    """The database has no such table: other phases made it."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one table, read as they are asked for; one statement, so they are of one instant."""

    columns: Mapping[str, str]
    """Names, with the types that the tables declare: INTEGER, REAL or TEXT."""
    count: int
    each: Iterator[Row]


def read(conn: sqlite3.Connection, name: str) -> Rows:
    """Return a table's rows, in the order in which they were made; raises `NoSuchTable`."""
    wanted = TABLES[name]
    conn.execute("BEGIN")  # the count is then that of the rows
    info = conn.execute("SELECT name, type FROM pragma_table_info(?)", (wanted.table,)).fetchall()
    if not info:
        raise NoSuchTable(f"there are no {name} in this database")
    (count,) = conn.execute(f"SELECT count(*) FROM {wanted.table}").fetchone()
    cursor = conn.execute(f"SELECT * FROM {wanted.table} ORDER BY {wanted.order}")
    return Rows(dict(info), count, _in_batches(cursor))


def _in_batches(cursor: sqlite3.Cursor) -> Iterator[Row]:
    while batch := cursor.fetchmany(ROWS_AT_A_TIME):
        yield from batch
