"""Small writes beside the runs: a person's close, a verdict, a clearing-out. Each is one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from statemachine.connection import connect, transaction

PATIENCE_S: Final = 2.0
"""How long such a write waits for a phase that is writing, before it says `StoreBusy`."""


@contextmanager
def writing(db: Path, busy_timeout_s: float = PATIENCE_S) -> Generator[sqlite3.Connection]:
    """Lend a connection inside a write transaction: committed at the end, rolled back on any exception.

    Raises:
        StoreBusy: Somebody else kept the write lock for all of `busy_timeout_s`.
        DatabaseUnusable: The file can't be used.
    """
    with (
        closing(connect(db, sqlite3.Connection, busy_timeout_s=busy_timeout_s)) as conn,
        transaction(conn),
    ):
        yield conn
