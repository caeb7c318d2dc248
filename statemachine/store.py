"""The runs in the database: all SQL about them, and their rows as values.

The row is the run. A `Run` is a row as it was read; `RunStore.save` writes its successor only where the row
is still that one (id, state, owner and version), so whoever lost ownership changes nothing.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

from statemachine.connection import UNREADABLE, connect, connect_read_only, transaction
from statemachine.contract import Json, RunMovedOn
from statemachine.errors import DatabaseUnusable, RunNotFound
from statemachine.guard import PhaseConnection
from statemachine.registry import Registry
from statemachine.table import INITIAL, START, status_of

SCHEMA: Final = (Path(__file__).with_name("schema.sql").read_text(encoding="utf-8"),)
"""Versions of the engine's tables, oldest first; a released one is never changed."""

MAX_REFUSALS: Final = 100
"""So many refused steps of one run are recorded, so that a loop of requests can't fill the disk."""

Results = dict[str, Json]
Warnings = list[dict[str, Json]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One row of `analysis_runs`. Times are ISO 8601 UTC texts."""

    id: int
    status: str
    state: str
    current_phase: int
    phase_label: str
    progress_current: int
    progress_total: int
    step_current: int | None = None
    step_total: int | None = None
    step_unit: str | None = None
    params: dict[str, Json]
    results: Results = field(default_factory=dict[str, Json])
    warnings: Warnings | None = None
    started_at: str
    updated_at: str
    completed_at: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    attempt: int = 1
    version: int = 1
    active_s: float = 0.0
    """Seconds of active time up to the last commit."""
    owner: str | None = None
    registry: str
    cancel_requested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One row of `run_events`."""

    seq: int = 0
    run_id: int
    at: str
    trigger: str
    source: str
    dest: str
    phase: int
    attempt: int
    detail: dict[str, Json] | None = None


class CancelWaiting(Exception):
    """A cancel was requested before this boundary could be committed."""


_encode: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_decode: Final = json.JSONDecoder().decode


def dumps(value: Json) -> str:
    """Return compact JSON; raise `ValueError` or `TypeError` for what JSON can't say (NaN, objects)."""
    return _encode(value)


_COLUMNS: Final = tuple(each.name for each in dataclasses.fields(Run))
_JSON: Final = frozenset({"params", "results", "warnings"})
_FIXED: Final = frozenset({"id", "registry", "params", "started_at", "progress_total", "cancel_requested"})
_MUTABLE: Final = tuple(name for name in _COLUMNS if name not in _FIXED)
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM main.analysis_runs"
_CREATE: Final = (
    f"INSERT INTO main.analysis_runs ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
)
_WHERE_STILL_OLD: Final = "id = ? AND state = ? AND owner IS ? AND version = ? AND cancel_requested <= ?"
_EVENT_COLUMNS: Final = tuple(each.name for each in dataclasses.fields(Event))
_EVENTS: Final = f"SELECT {', '.join(_EVENT_COLUMNS)} FROM main.run_events"
_RECORD: Final = (
    f"INSERT INTO main.run_events ({', '.join(_EVENT_COLUMNS[1:])}) VALUES ({', '.join('?' * 8)})"
)


def _run(row: Sequence[Any]) -> Run:
    values = dict(zip(_COLUMNS, row, strict=True))
    for name in _JSON:
        values[name] = None if values[name] is None else _decode(values[name])
    values["cancel_requested"] = bool(values["cancel_requested"])
    return Run(**values)


def _event(row: Sequence[Any]) -> Event:
    values = dict(zip(_EVENT_COLUMNS, row, strict=True))
    values["detail"] = None if values["detail"] is None else json.loads(values["detail"])
    return Event(**values)


def _update(names: Sequence[str]) -> str:
    columns = "".join(f"{name} = ?, " for name in names)
    return f"UPDATE main.analysis_runs SET {columns}cancel_requested = 0 WHERE {_WHERE_STILL_OLD}"


def _stored(run: Run, name: str) -> Any:
    value = getattr(run, name)
    return dumps(value) if name in _JSON and value is not None else value


class Executor(Protocol):
    """The one thing that the store needs of a connection."""

    def __call__(self, sql: str, parameters: Sequence[Any] = (), /) -> sqlite3.Cursor:
        """Run one statement."""
        ...


class RunStore:
    """Reads and writes runs through one connection; who calls it begins and commits."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        """Use `conn`; on a run thread's connection the caller is inside `conn.engine()`."""
        self._execute: Executor = conn.run if isinstance(conn, PhaseConnection) else conn.execute

    def read(self, run_id: int) -> Run:
        """Return a run; raise `RunNotFound`."""
        if not 0 < run_id < 2**63:
            raise RunNotFound(run_id)
        row = self._execute(f"{_SELECT} WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            raise RunNotFound(run_id)
        return _run(row)

    def runs(self, *, status: str | None = None, before: int | None = None, limit: int = 50) -> list[Run]:
        """Return runs, newest first: those of a status, with an id below `before`."""
        wanted = [("status = ?", status), ("id < ?", before)]
        given = [(clause, value) for clause, value in wanted if value is not None]
        where = " AND ".join(clause for clause, _ in given) or "1"
        values = [value for _, value in given]
        rows = self._execute(f"{_SELECT} WHERE {where} ORDER BY id DESC LIMIT ?", (*values, limit)).fetchall()
        return [_run(row) for row in rows]

    def active(self) -> list[Run]:
        """Return the active runs, oldest first."""
        rows = self._execute(f"{_SELECT} WHERE status = 'running' ORDER BY id").fetchall()
        return [_run(row) for row in rows]

    def events(self, run_id: int, *, after: int = 0, limit: int = 200) -> list[Event]:
        """Return a run's history with `seq` above `after`, oldest first."""
        rows = self._execute(
            f"{_EVENTS} WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?", (run_id, after, limit)
        ).fetchall()
        return [_event(row) for row in rows]

    def create(self, registry: Registry, params: dict[str, Json], *, at: str, owner: str) -> Run:
        """Insert a run in its first phase, and its `start` event."""
        start = registry.edges[0]
        phase = registry.phase_of(start.dest)
        run = Run(
            id=self._execute("SELECT coalesce(max(id), 0) + 1 FROM main.analysis_runs").fetchone()[0],
            status=status_of(start.dest),
            state=start.dest,
            current_phase=phase.number,
            phase_label=phase.label,
            progress_current=1,
            progress_total=len(registry.phases),
            params=params,
            started_at=at,
            updated_at=at,
            owner=owner,
            registry=registry.fingerprint,
        )
        self._execute(_CREATE, [_stored(run, name) for name in _COLUMNS])
        self.record(run, trigger=START, source=start.source)
        return run

    def save(self, old: Run, new: Run, *, even_if_cancelled: bool) -> None:
        """Write `new` where the row is still `old`.

        Raises:
            CancelWaiting: When a cancel was requested and `even_if_cancelled` is not set.
            RunMovedOn: When the row is another owner's or was moved; nothing is written.
        """
        # Only what changes: SQLite then leaves the other columns' CHECKs and indexes alone.
        names = [name for name in _MUTABLE if name in _JSON or getattr(new, name) != getattr(old, name)]
        values = [_stored(new, name) for name in names]
        where = (old.id, old.state, old.owner, old.version, int(even_if_cancelled))
        if self._execute(_update(names), (*values, *where)).rowcount == 1:
            return
        now = self.read(old.id)
        if now.cancel_requested and (now.state, now.owner, now.version) == (
            old.state,
            old.owner,
            old.version,
        ):
            raise CancelWaiting
        raise RunMovedOn(
            f"run {old.id} is no longer in {old.state!r} under this owner (now {now.state!r}); "
            "nothing was written"
        )

    def let_go(self, run: Run, *, at: str, active_s: float, cancelling: bool) -> Run:
        """Take a run's owner away and no edge: whoever starts next goes on with it, and finds a cancel."""
        cancelling = cancelling or self.read(run.id).cancel_requested  # perhaps since `run` was read
        free = dataclasses.replace(
            run,
            owner=None,
            version=run.version + 1,
            active_s=active_s,
            updated_at=max(at, run.updated_at),
        )
        self.save(run, free, even_if_cancelled=True)
        if cancelling:
            self.request_cancel(run)
        return free

    def request_cancel(self, run: Run) -> bool:
        """Ask the owner of a run to cancel it; return whether the run was still active."""
        changed = self._execute(
            "UPDATE main.analysis_runs SET cancel_requested = 1 WHERE id = ? AND status = 'running'",
            (run.id,),
        )
        return changed.rowcount == 1

    def record(
        self,
        run: Run,
        *,
        trigger: str,
        source: str,
        detail: dict[str, Json] | None = None,
        at: str | None = None,
    ) -> None:
        """Append an event that leaves the run as `run` is."""
        said = None if detail is None else dumps(detail)
        values = (
            run.id,
            at or run.updated_at,
            trigger,
            source,
            run.state,
            run.current_phase,
            run.attempt,
            said,
        )
        self._execute(_RECORD, values)

    def record_refusal(self, run: Run, *, state: str, trigger: str, why: str, at: str) -> None:
        """Append a refused step to the history; the first `MAX_REFUSALS` of a run are enough."""
        (known,) = self._execute(
            "SELECT count(*) FROM main.run_events WHERE run_id = ? AND detail LIKE '{\"refused\":%'",
            (run.id,),
        ).fetchone()
        if known < MAX_REFUSALS:
            then = dataclasses.replace(run, state=state)
            self.record(then, trigger=trigger, source=state, detail={"refused": why}, at=at)

    def keyed_run(self, key: str) -> tuple[str, int] | None:
        """Return the request hash and run of an idempotency key, if it was used."""
        row = self._execute(
            "SELECT request, run_id FROM main.idempotency_keys WHERE key = ?", (key,)
        ).fetchone()
        return None if row is None else (row[0], row[1])

    def remember_key(self, key: str, request: str, run_id: int) -> None:
        """Remember which run an idempotency key made."""
        self._execute(
            "INSERT INTO main.idempotency_keys (key, request, run_id) VALUES (?, ?, ?)",
            (key, request, run_id),
        )


class RunReader(RunStore):
    """A store on a read-only connection of its own. One thread at a time."""

    def __init__(self, db: Path) -> None:
        """Open `db`; raises `DatabaseUnusable`."""
        self.conn = connect_read_only(db)
        super().__init__(self.conn)

    def run(self, run_id: int) -> Run:
        """Return a run; raise `RunNotFound`."""
        return self.read(run_id)

    def close(self) -> None:
        """Close the connection."""
        self.conn.close()


# --- the file ---


def prepare(db: Path, registry: Registry, schema: Mapping[str, Sequence[str]] = MappingProxyType({})) -> None:
    """Make the file ready: create or bring up to date the tables, and teach the guards this registry.

    A file that is up to date is only read, so that starting needs no write lock.

    Args:
        db: The database file.
        registry: The phases that this process runs.
        schema: For each further part (a pipeline) the scripts that make its tables, version by version.

    Raises:
        DatabaseUnusable: When it can't be used, or was written by a newer version.
    """
    conn = connect(db, sqlite3.Connection)
    try:
        _migrate(conn, db, {"engine": SCHEMA, **schema})
        _teach(conn, registry)
    except UNREADABLE as error:
        raise DatabaseUnusable(f"the database {db} can't be prepared: {error}") from error
    finally:
        conn.close()


def _versions(conn: sqlite3.Connection) -> dict[str, int]:
    if conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_versions'").fetchone() is None:
        return {}
    return dict(conn.execute("SELECT part, version FROM schema_versions").fetchall())


def _known_versions(conn: sqlite3.Connection, db: Path, known: Mapping[str, int]) -> dict[str, int]:
    found = _versions(conn)
    for part, version in known.items():
        if found.get(part, 0) > version:
            raise DatabaseUnusable(
                f"the database {db} was written by a newer version ({part} tables {found[part]}, "
                f"this one knows {version}); update phaseline, or name another file"
            )
    return found


def _migrate(conn: sqlite3.Connection, db: Path, parts: Mapping[str, Sequence[str]]) -> None:
    wanted = {part: len(scripts) for part, scripts in parts.items()}
    found = _known_versions(conn, db, wanted)
    if all(found.get(part, 0) == version for part, version in wanted.items()):
        return
    with transaction(conn):
        conn.execute(
            "CREATE TABLE IF NOT EXISTS schema_versions"
            " (part TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID"
        )
        found = _known_versions(conn, db, wanted)  # another process may have been quicker
        for part, scripts in parts.items():
            for script in scripts[found.get(part, 0) :]:
                for statement in _statements(script):
                    conn.execute(statement)
            conn.execute(
                "INSERT INTO schema_versions VALUES (?, ?)"
                " ON CONFLICT (part) DO UPDATE SET version = excluded.version",
                (part, len(scripts)),
            )


def _statements(script: str) -> list[str]:
    """Split a script into statements, without ending the transaction as `executescript` would."""
    statements: list[str] = []
    rest = ""
    for line in script.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            statements.append(rest)
            rest = ""
    return [*statements, rest]  # the last one may lack its semicolon; one that is empty does nothing


def _rows(registry: Registry) -> list[tuple[Any, ...]]:
    numbers = {state: registry.phase_of(state).number for state in registry.states}
    name = registry.fingerprint
    return [
        (name, edge.source, edge.dest, edge.trigger, numbers.get(edge.dest), int(edge.only_where_it_failed))
        for edge in registry.edges
    ]


def _teach(conn: sqlite3.Connection, registry: Registry) -> None:
    """Put the rows of the one table where the SQL guards read them."""
    if _knows(conn, registry):
        return
    with transaction(conn):
        if not _knows(conn, registry):  # another process may have been quicker
            rows = reversed(_rows(registry))  # start comes last, and closes the table
            conn.executemany("INSERT INTO registry_edges VALUES (?, ?, ?, ?, ?, ?)", rows)


def _knows(conn: sqlite3.Connection, registry: Registry) -> bool:
    known = conn.execute(
        "SELECT 1 FROM registry_edges WHERE registry = ? AND source = ?", (registry.fingerprint, INITIAL)
    )
    return known.fetchone() is not None
