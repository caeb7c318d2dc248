"""A replay's own tables: its plan, and what its portfolios were worth after each run."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Final, Self

from api.replay.plan import Moment, Plan
from phases.config import ConfigError, read_config
from phases.money import usd
from phases.stamps import stamp
from phases.tools import Quote
from statemachine.connection import connect, connect_read_only, transaction
from statemachine.store import Run, RunReader

PART: Final = "replay"
SCHEMA: Final = (files("api.replay").joinpath("schema.sql").read_text(encoding="utf-8"),)
"""Versions of the tables, oldest first; a released one is never changed."""


class NotThisReplay(Exception):
    """The database is another replay's, or none's; the message says what to do."""


class BadRule(ValueError):
    """A rule that was to be set can't be; the message says what is allowed."""


def refuse_ordinary(db: Path) -> None:
    """Raise `NotThisReplay` where the file holds runs, but not those of a replay."""
    if not db.exists() or db.stat().st_size == 0:
        return
    with closing(connect_read_only(db)) as conn:
        if _has(conn, "analysis_runs") and not _has(conn, "replay_plan"):
            raise NotThisReplay(f"{db} is no replay's database; name another one with --db")


def read_plan(conn: sqlite3.Connection, db: Path) -> Plan:
    """Return the plan of the replay in `db`; raises `NotThisReplay`."""
    row = conn.execute("SELECT plan FROM replay_plan").fetchone() if _has(conn, "replay_plan") else None
    if row is None:
        raise NotThisReplay(f"{db} holds no replay; `phaseline replay` makes one")
    return Plan.of_json(json.loads(row[0]))


def _has(conn: sqlite3.Connection, table: str) -> bool:
    return conn.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None


class Ledger:
    """Reads and writes them beside the runner, between two runs. Not thread-safe."""

    def __init__(self, db: Path) -> None:
        """Open `db`, which a runner with `PART` and `SCHEMA` has prepared."""
        self._db = db
        self._conn = connect(db, sqlite3.Connection)
        self._reader = RunReader(db)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self._conn.close()

    def begin(self, plan: Plan, now: datetime) -> None:
        """Note the plan, or find that it goes on with the one that was noted.

        Raises:
            NotThisReplay: Another replay was begun here.
            BadRule: One of the plan's rules is unknown or out of its bounds; nothing is noted.
        """
        with transaction(self._conn):
            if _has_row(self._conn):
                self._go_on(plan)
            else:
                self._conn.execute(
                    "INSERT INTO replay_plan VALUES (1, ?, ?)", (json.dumps(plan.as_json()), stamp(now))
                )
                self._set(plan.rules, now)

    def _go_on(self, plan: Plan) -> None:
        begun = read_plan(self._conn, self._db)
        if others := begun.differences(plan):
            raise NotThisReplay(
                f"{self._db} holds a replay with another {' and another '.join(others)}; "
                "say the same to go on with it, or name another --db"
            )
        later = begun if begun.end > plan.end else plan
        self._conn.execute("UPDATE replay_plan SET plan = ?", (json.dumps(later.as_json()),))

    def _set(self, rules: Mapping[str, str], now: datetime) -> None:
        self._conn.executemany(
            "INSERT INTO system_config (key, value, updated_at) VALUES (?, ?, ?)",
            [(key, value, stamp(now)) for key, value in rules.items()],
        )
        try:
            read_config(self._conn)
        except ConfigError as error:
            raise BadRule(str(error)) from error

    def run_of(self, moment: Moment) -> Run | None:
        """Return the run of a moment, if there is one."""
        row = self._conn.execute(
            "SELECT max(id) FROM analysis_runs WHERE json_extract(params, '$.as_of') = ?",
            (stamp(moment.as_of),),
        ).fetchone()
        return None if row[0] is None else self._reader.run(row[0])

    def is_noted(self, moment: Moment) -> bool:
        """Return whether the moment's outcome is written down: then it is done."""
        found = self._conn.execute("SELECT 1 FROM replay_moments WHERE as_of = ?", (stamp(moment.as_of),))
        return found.fetchone() is not None

    def note(self, moment: Moment, run_id: int, benchmark: Quote | None) -> None:
        """Write down what the portfolios, and the benchmark, are worth after a completed run."""
        at, price = stamp(moment.as_of), None if benchmark is None else usd(benchmark.price)
        with transaction(self._conn):
            self._conn.execute(
                "INSERT INTO replay_moments VALUES (?, ?, ?, ?)", (at, moment.day.isoformat(), run_id, price)
            )
            self._conn.execute(
                "INSERT INTO replay_values SELECT ?, id, current_value FROM portfolios ORDER BY id", (at,)
            )


def _has_row(conn: sqlite3.Connection) -> bool:
    return conn.execute("SELECT 1 FROM replay_plan").fetchone() is not None
