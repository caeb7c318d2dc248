"""Eight processes that do one thing at the same moment on one database: exactly one of them may win."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Final

from tests.faults.forkserver import Server
from tests.faults.life import Life, decide, live
from tests.faults.sweep import folder, problems

RACERS: Final = 8
_REFUSED: Final = "AlreadyRunning 1"


def race(server: Server, life: Life, what: str) -> tuple[list[str], list[str]]:
    """Let all do `what` at once; return what each says, sorted, and what is wrong."""
    deaths = server.race([(decide, (life, what))] * RACERS)
    wrong = [death.complaint for death in deaths if death.complaint] + problems(life.db)
    return sorted(str(death.report) for death in deaths), wrong


def race_to_start(server: Server) -> list[str]:
    """Return what is wrong with a race to start a run on a database that is not there yet."""
    with folder() as where:
        life = Life(db=where / "runs.db", acts={"1.entered": "meet"})
        said, wrong = race(server, life, "start")
        if said != [_REFUSED] * (RACERS - 1) + ["won 1"]:
            wrong.append(f"the racers to start say {said}")
        runs = _query(life.db, "SELECT id, status FROM analysis_runs")
        return wrong + ([] if runs == [(1, "completed")] else [f"the runs are {runs}"])


def race_to_recover(server: Server) -> list[str]:
    """Return what is wrong with a race to take over the run of a process that was killed."""
    with folder() as where:
        db = where / "runs.db"
        server.run(live, Life(db=db, acts={"2.kept1": "kill"}))
        said, wrong = race(server, Life(db=db, acts={"2.entered": "meet"}), "recover")
        if said != ["took 0"] * (RACERS - 1) + ["took 1"]:
            wrong.append(f"the racers to recover say {said}")
        edges = [trigger for (trigger,) in _query(db, "SELECT trigger FROM run_events ORDER BY seq")]
        taken = edges == ["start", "advance", "resume", "advance", "advance"]
        return wrong + ([] if taken else [f"the edges are {edges}"])


def _query(db: Path, sql: str) -> list[Any]:
    conn = sqlite3.connect(db)
    try:
        return conn.execute(sql).fetchall()
    finally:
        conn.close()
