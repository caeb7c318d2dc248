"""Opening the database: what writes is durable and keeps foreign keys, and what is wrong is said."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from statemachine.errors import DatabaseUnusable, StoreBusy
from statemachine.guard import PhaseConnection

BUSY_TIMEOUT_S: Final = 10.0
CACHE_KIB: Final = 32 * 1024
UNREADABLE: Final = (sqlite3.Error, UnicodeDecodeError)
"""What reading a file may raise: SQLite's sentence about damage can quote the damaged bytes."""
MAX_TRIES: Final = 20
"""So many other processes may be met while a new file is switched to WAL."""
ConnectionT = TypeVar("ConnectionT", bound=sqlite3.Connection)


def connect(
    path: Path,
    factory: type[ConnectionT],
    *,
    checkpoints: bool = False,
    busy_timeout_s: float = BUSY_TIMEOUT_S,
) -> ConnectionT:
    """Open a connection for writing: WAL, foreign keys, every commit durable; and check that it is so.

    Args:
        path: The database file; it and its folder are made, readable by their owner only.
        factory: The class of the connection.
        checkpoints: Whether this connection moves the write-ahead log into the database as it grows. One
            connection does (SQLite before 3.51.3 can corrupt a file on which two do).
        busy_timeout_s: How long a statement waits for another writer.

    Raises:
        DatabaseUnusable: With what is wrong and what to do.
    """
    _make_private(path)
    try:
        conn = sqlite3.connect(
            path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False, factory=factory
        )
    except sqlite3.Error as error:
        raise DatabaseUnusable(f"can't open the database {path}: {error}") from error
    try:
        with engine_of(conn):
            _set_up(conn, path, checkpoints=checkpoints)
    except BaseException:
        _close(conn)
        raise
    return conn


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open a connection that can't write; for status reads and queries."""
    try:
        conn = sqlite3.connect(
            f"file:{quote(os.fsencode(path.resolve()))}?mode=ro",
            uri=True,
            timeout=1.0,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            conn.execute("PRAGMA query_only = 1")
            conn.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        except BaseException:
            conn.close()
            raise
    except UNREADABLE as error:
        raise DatabaseUnusable(_why(path, error)) from error
    return conn


def _make_private(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():  # and never open an existing one: closing it would drop SQLite's locks
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        why = "its folder is a file" if isinstance(error, FileExistsError) else error.strerror
        raise DatabaseUnusable(
            f"can't write the database {path}: {why}; choose another place with PHASELINE_DB"
        ) from error


def _set_up(conn: sqlite3.Connection, path: Path, *, checkpoints: bool) -> None:
    wanted = {"synchronous": 2, "journal_mode": "wal", "foreign_keys": 1}
    try:
        for name, value in wanted.items():
            _waiting(conn, f"PRAGMA {name} = {value}")
        conn.execute(f"PRAGMA wal_autocheckpoint = {1000 if checkpoints else 0}")
        if checkpoints:  # it writes the most: a million rows by random key need their index at hand
            conn.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        found = {name: conn.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted}
    except UNREADABLE as error:
        raise DatabaseUnusable(_why(path, error)) from error
    if found != wanted:
        raise DatabaseUnusable(
            f"the database {path} did not take {wanted}, but has {found}; is it on a network drive?"
        )


def _waiting(conn: sqlite3.Connection, pragma: str) -> None:
    """Run a PRAGMA; where another process holds the file, wait for that one and try again.

    Of several that switch a new file to WAL at once, SQLite refuses all but one without waiting.
    """
    for _ in range(MAX_TRIES):
        try:
            conn.execute(pragma)
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            conn.execute("BEGIN IMMEDIATE")  # this does wait
            conn.execute("ROLLBACK")
        else:
            return
    conn.execute(pragma)


def _why(path: Path, error: Exception) -> str:
    hint = {
        "SQLITE_NOTADB": "it is not a SQLite database; name another file",
        "SQLITE_CORRUPT": "it is damaged; restore it from a backup",
        "SQLITE_READONLY": "it can't be written; check its permissions",
        "SQLITE_CANTOPEN": "it can't be opened; check that it exists, its permissions and ulimit -n",
        "SQLITE_BUSY": "another process holds it; try again in a moment",
        "SQLITE_FULL": "the disk is full; make room and try again",
    }.get(_named(error), f"{error}")
    return f"the database {path} can't be used: {hint}"


def _named(error: Exception) -> str:
    unreadable = "SQLITE_CORRUPT" if isinstance(error, UnicodeDecodeError) else ""
    return getattr(error, "sqlite_errorname", unreadable)


@contextmanager
def naming_damage(path: Path) -> Generator[None]:
    """Raise `DatabaseUnusable` where SQLite finds, in mid-work, that the file is damaged."""
    try:
        yield
    except UNREADABLE as error:
        if _named(error).startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise DatabaseUnusable(_why(path, error)) from error
        raise


@contextmanager
def transaction(conn: sqlite3.Connection) -> Generator[None]:
    """One write transaction of the engine: committed at the end, rolled back on any exception.

    Raises `StoreBusy` when another connection keeps the write lock for the whole busy timeout.
    """
    try:
        conn.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if is_busy(error):
            raise StoreBusy("the database is busy with another write; try again in a moment") from error
        raise
    try:
        yield
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether an error only means that another connection was writing."""
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")


def engine_of(conn: sqlite3.Connection) -> AbstractContextManager[None]:
    """Return the context in which the engine may use `conn`; nothing for a plain connection."""
    return conn.engine() if isinstance(conn, PhaseConnection) else nullcontext()


def _close(conn: sqlite3.Connection) -> None:
    if isinstance(conn, PhaseConnection):
        conn.close_for_good()
    else:
        conn.close()
