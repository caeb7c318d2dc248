"""The guarded connection that a phase is given.

Theory of operation of `PhaseConnection`. The driver alone ends transactions, so the connection has two
kinds of user: the *engine*, inside `with conn.engine():` (marked by thread, since a phase may lend the
connection to helper threads of its own), and the *phase*, everybody else.

- A phase's first write begins the transaction (`BEGIN IMMEDIATE`); reads don't. SQL is told apart by its
  first keyword (`is_write`); should that ever be wrong, the authorizer refuses a write outside a transaction,
  so nothing can commit itself.
- The authorizer refuses COMMIT, ROLLBACK, ATTACH, setting a PRAGMA, and writes to the engine's tables.
  Python caches prepared statements and SQLite asks the authorizer only when a statement is prepared, so a
  cached COMMIT of the engine would serve a phase as well. The engine's statements therefore carry a random
  comment (`_MARK`): a phase's text is never the same, so it is prepared, asked about and refused.
- When the transaction has ended under a phase (an I/O error, `INSERT OR ROLLBACK`, an interrupt), a second
  lazy BEGIN would commit the later half of the phase's rows. `_began` remembers, and the write is refused.
- `lock` lets one thread at a time into SQLite. Without it two threads on one connection can freeze the
  whole process: the one prepares, holds SQLite's mutex and waits for the interpreter lock to ask the
  authorizer; the other reads a column, holds the interpreter lock and waits for the mutex.
- `revoke()` is for the watchdog, on another thread: it seals the connection against the phase left behind
  and rolls back. Where the phase's statement can't be interrupted, the phase's thread does so when it ends.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, NoReturn, TypeVar, cast

from statemachine.contract import RunAbandoned
from statemachine.errors import ForbiddenStatement, TransactionLost
from statemachine.sql import is_write

ENGINE_TABLES: Final = frozenset(
    {"analysis_runs", "run_events", "registry_edges", "idempotency_keys", "schema_versions"}
)
_INTERRUPTS: Final = 50
_INTERRUPT_S: Final = 0.02
_MARK: Final = f"/*{os.urandom(8).hex()}*/"
RowsT = TypeVar("RowsT")

_READABLE_PRAGMAS: Final = frozenset(
    {
        "application_id", "auto_vacuum", "busy_timeout", "cache_size", "collation_list", "compile_options",
        "data_version", "database_list", "defer_foreign_keys", "encoding", "foreign_key_check",
        "foreign_keys", "freelist_count", "function_list", "integrity_check", "journal_mode",
        "max_page_count", "module_list", "page_count", "page_size", "pragma_list", "query_only",
        "quick_check", "schema_version", "synchronous", "table_list", "user_version", "wal_autocheckpoint",
    }
)  # fmt: skip
_PRAGMAS_THAT_ASK: Final = frozenset(
    {
        "foreign_key_check", "foreign_key_list", "index_info", "index_list", "index_xinfo", "integrity_check",
        "quick_check", "table_info", "table_list", "table_xinfo",
    }
)  # fmt: skip
_SCHEMA_TABLES: Final = frozenset({"sqlite_master", "sqlite_temp_master"})
_ON_ARGUMENT_1: Final = frozenset(
    {
        sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE, sqlite3.SQLITE_CREATE_TABLE,
        sqlite3.SQLITE_CREATE_TEMP_TABLE, sqlite3.SQLITE_CREATE_VIEW, sqlite3.SQLITE_CREATE_TEMP_VIEW,
        sqlite3.SQLITE_CREATE_VTABLE, sqlite3.SQLITE_DROP_TABLE, sqlite3.SQLITE_DROP_TEMP_TABLE,
        sqlite3.SQLITE_DROP_VIEW, sqlite3.SQLITE_DROP_TEMP_VIEW, sqlite3.SQLITE_DROP_VTABLE,
        sqlite3.SQLITE_ANALYZE, sqlite3.SQLITE_REINDEX,
    }
)  # fmt: skip
_ON_ARGUMENT_2: Final = frozenset(
    {
        sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_CREATE_TEMP_INDEX, sqlite3.SQLITE_CREATE_TRIGGER,
        sqlite3.SQLITE_CREATE_TEMP_TRIGGER, sqlite3.SQLITE_DROP_INDEX, sqlite3.SQLITE_DROP_TEMP_INDEX,
        sqlite3.SQLITE_DROP_TRIGGER, sqlite3.SQLITE_DROP_TEMP_TRIGGER, sqlite3.SQLITE_ALTER_TABLE,
    }
)  # fmt: skip


def _objection(action: int, arg1: str | None, arg2: str | None, *, in_transaction: bool) -> str | None:
    """Return why a phase may not do this, or `None` where it may."""
    first, second = (arg1 or "").lower(), (arg2 or "").lower()
    if action in _ON_ARGUMENT_1 or action in _ON_ARGUMENT_2:
        return _objection_to_write(
            first if action in _ON_ARGUMENT_1 else second, in_transaction=in_transaction
        )
    match action:
        case sqlite3.SQLITE_TRANSACTION:
            return f"{arg1} is the driver's: return, or call ctx.checkpoint() to make rows durable earlier"
        case sqlite3.SQLITE_ATTACH | sqlite3.SQLITE_DETACH:
            return (
                "ATTACH and DETACH are not for phases: another file could not be committed with the boundary"
            )
        case sqlite3.SQLITE_PRAGMA if first not in (_READABLE_PRAGMAS if arg2 is None else _PRAGMAS_THAT_ASK):
            return f"PRAGMA {arg1} changes the connection; a phase may only read PRAGMAs"
        case sqlite3.SQLITE_FUNCTION if second == "load_extension":
            return "load_extension is not for phases"
        case _:
            return None


def _objection_to_write(table: str, *, in_transaction: bool) -> str | None:
    if table in ENGINE_TABLES:
        return f"the table {table} is the engine's; a phase may read it, and write to its own tables"
    # SQLite asks for these when it only declares a table-valued function (json_each); whatever really changes
    # the schema is asked for by its own action as well.
    if in_transaction or table in _SCHEMA_TABLES:
        return None
    return "a write outside a transaction would commit itself"


def _guarded(cursor: sqlite3.Cursor) -> PhaseConnection:
    return cast("PhaseConnection", cursor.connection)


class PhaseCursor(sqlite3.Cursor):
    """A cursor that begins the transaction before the first write."""

    def execute(self, sql: str, parameters: Any = (), /) -> PhaseCursor:
        """Run one statement."""
        _guarded(self).guard(super().execute, sql, parameters)
        return self

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> PhaseCursor:
        """Run one statement for each set of parameters."""
        rows = list(parameters)  # first: what makes them may take its time, and the lock and transaction wait
        _guarded(self).guard(super().executemany, sql, rows)
        return self

    def fetchone(self) -> Any:
        """Return the next row, or `None`."""
        return self._fetched(super().fetchone)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return the next rows, by default as many as `arraysize` says."""
        return self._fetched(super().fetchmany, self.arraysize if size is None else size)

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        return self._fetched(super().fetchall)

    def __next__(self) -> Any:
        return self._fetched(super().__next__)

    def _fetched(self, fetch: Callable[..., RowsT], *size: int) -> RowsT:
        conn = _guarded(self)
        with conn.lock:
            conn.raise_if_revoked()
            try:
                return fetch(*size)
            except sqlite3.OperationalError:
                conn.raise_if_revoked()
                raise

    def executescript(self, _sql_script: str, /) -> NoReturn:
        """Refuse: it would commit first."""
        raise ForbiddenStatement("executescript commits first; use execute() for each statement")


class PhaseConnection(sqlite3.Connection):
    """The run thread's own connection, safe in the hands of a phase."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lock = threading.RLock()
        """Held by whoever uses SQLite: the phase, the driver, or the watchdog that revokes."""
        self.revoked = False
        self._engine = threading.local()
        self._began = False
        self._refusals: list[str] = []
        self._cursors: weakref.WeakSet[PhaseCursor] = weakref.WeakSet()
        self._own = sqlite3.Cursor(self)  # has no row factory, whatever a phase sets
        super().set_authorizer(self._authorize)

    # -- the engine's side --

    @contextmanager
    def engine(self) -> Generator[None]:
        """Let the current thread use the connection as the engine."""
        with self.lock:
            before, text = getattr(self._engine, "on", False), self.text_factory
            self._engine.on, self.text_factory = True, str
            try:
                yield
            finally:
                self._engine.on, self.text_factory = before, text

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement of the engine on its own cursor; call it inside `engine()`."""
        return self._own.execute(_MARK + sql, parameters)

    @property
    def lost(self) -> bool:
        """Whether a transaction that the phase began is no longer open."""
        return self._began and not self.in_transaction

    def begin(self) -> None:
        """Make sure that a write transaction is open; raise `TransactionLost` if the phase's has ended."""
        self.raise_if_revoked()
        if self.lost:
            raise TransactionLost(
                "the transaction was ended under the phase (an I/O error, ON CONFLICT ROLLBACK, an interrupt "
                "or a check point that failed): its earlier rows are gone, so its later rows are refused"
            )
        if not self.in_transaction:
            with self.engine():
                self.run("BEGIN IMMEDIATE")
            self._began = True

    def end(self, how: str) -> None:
        """COMMIT or ROLLBACK the open transaction, if there is one."""
        with self.engine():
            if self.in_transaction:
                self.run(how)
        self._began = False

    def spoil(self) -> None:
        """Roll back, and refuse what the phase would still write: it would be the later half of its rows."""
        self.end("ROLLBACK")
        self._began = True

    def raise_if_revoked(self) -> None:
        """Raise `RunAbandoned` once the watchdog has sealed the connection."""
        if self.revoked:
            raise RunAbandoned("this phase was cut off; it can't use the database any more")

    def reset(self) -> None:
        """Undo what a phase may have left behind: open cursors, factories, a handler that interrupts."""
        with self.lock:
            for cursor in list(self._cursors):
                cursor.close()
            self.row_factory = None
            self.text_factory = str
            self.set_progress_handler(None, 0)

    def revoke(self) -> None:
        """Seal the connection against the phase that still runs on it; for the watchdog's thread.

        What is uncommitted is rolled back: now, or when a statement ends that can't be interrupted because it
        waits for another writer or for a function of the phase.
        """
        self.revoked = True
        with suppress(sqlite3.Error):  # closed: its thread has just ended; or the ROLLBACK was refused
            for _ in range(_INTERRUPTS):
                self.interrupt()  # again and again: one that comes before a statement begins is lost
                if self.lock.acquire(timeout=_INTERRUPT_S):
                    try:
                        self._discard()
                    finally:
                        self.lock.release()
                    return

    def _discard(self) -> None:
        self.reset()  # an open SELECT would keep the interrupt pending, and the ROLLBACK would be met by it
        self.end("ROLLBACK")

    def close_for_good(self) -> None:
        """Close the connection; what is uncommitted is rolled back."""
        with self.lock:
            with suppress(sqlite3.Error):  # closed already, or its transaction has ended
                self._discard()  # SQLite keeps a closed connection, and its lock, while a cursor is open
            super().close()

    # -- the phase's side --

    def guard(self, execute: Callable[..., object], sql: str, parameters: Any) -> None:
        """Execute for the phase: begin before a write, and say clearly why a statement was refused."""
        with self.lock:
            if getattr(self._engine, "on", False):
                execute(sql, parameters)
                return
            self.raise_if_revoked()
            self._refusals.clear()
            try:
                if is_write(sql):
                    self._begin_for_phase()
                execute(sql, parameters)
            except sqlite3.DatabaseError as error:
                if self._refusals and not self.revoked:
                    raise ForbiddenStatement(self._refusals[0]) from error
                raise
            finally:
                if self.revoked:  # meanwhile
                    self._discard()
                    self.raise_if_revoked()

    def _begin_for_phase(self) -> None:
        try:
            self.begin()
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorname", "") == "SQLITE_BUSY_SNAPSHOT":
                error.add_note("A SELECT is still open: fetch all its rows before the first write.")
            raise

    def _authorize(
        self, action: int, arg1: str | None, arg2: str | None, _db: str | None, _by: str | None
    ) -> int:
        if getattr(self._engine, "on", False):
            return sqlite3.SQLITE_OK
        refusal = _objection(action, arg1, arg2, in_transaction=self.in_transaction)
        if refusal is None:
            return sqlite3.SQLITE_OK
        self._refusals.append(refusal)
        return sqlite3.SQLITE_DENY

    def cursor(self, factory: Any = PhaseCursor) -> Any:
        """Return a cursor; only a `PhaseCursor` passes, for any other would go round the guard."""
        with self.lock:
            made: sqlite3.Cursor = super().cursor(factory)
            if not isinstance(made, PhaseCursor):
                raise ForbiddenStatement(f"{factory!r} makes cursors that go round the guard; leave it out")
            self._cursors.add(made)
        return made

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """Run one statement on a new cursor."""
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
        """Run one statement for each set of parameters, on a new cursor."""
        return self.cursor().executemany(sql, parameters)

    def executescript(self, _sql_script: str, /) -> NoReturn:
        """Refuse: it would commit first."""
        raise ForbiddenStatement("executescript commits first; use execute() for each statement")

    def commit(self) -> NoReturn:
        """Refuse: the driver commits."""
        raise ForbiddenStatement("commit() is the driver's: return, or call ctx.checkpoint()")

    def rollback(self) -> NoReturn:
        """Refuse: raise an exception instead, and the driver rolls back."""
        raise ForbiddenStatement("rollback() is the driver's: raise an exception and it rolls back")

    def __enter__(self) -> NoReturn:
        raise ForbiddenStatement("`with conn:` would commit; the driver does, at the boundary")

    def close(self) -> NoReturn:
        """Refuse: the connection is the run's."""
        raise ForbiddenStatement("the connection is the run's; the driver closes it")

    def set_authorizer(self, authorizer_callback: object) -> NoReturn:  # noqa: ARG002  # the name is sqlite3's
        """Refuse: the guard is the engine's."""
        raise ForbiddenStatement("the authorizer is the engine's")

    def blobopen(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse: a blob handle writes past the guard."""
        raise ForbiddenStatement("blob handles are not for phases; use a parameter")
