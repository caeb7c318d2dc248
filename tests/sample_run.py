"""A real run of the bundled sample by the command line, with hostile texts put into it afterwards."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parents[1]
END_S = 90


def environment(**more: str) -> dict[str, str]:
    """Return an environment that knows no setting of this machine."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PHASELINE_")}
    return {**own, "PYTHONPATH": str(ROOT), **more}


def command(*args: str) -> list[str]:
    """Return the command line of `phaseline ARGS`."""
    return [sys.executable, "-P", "-m", "api.cli", *args]


def phaseline(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command(*args), env=environment(**more), capture_output=True, text=True, timeout=END_S, check=False
    )


def sample_run(db: Path, hostile: Sequence[str]) -> Path:
    """Analyse the sample into `db`; put hostile texts where evidence and titles are."""
    made = phaseline("analyze", "--db", str(db), "--executor", "threads")
    assert made.returncode == 0, made.stderr
    with closing(sqlite3.connect(db)) as conn, conn:
        evidence = conn.execute("SELECT DISTINCT comment_id FROM signal_comments ORDER BY 1").fetchall()
        bodies = [(body, row[0]) for body, row in zip(hostile, evidence, strict=False)]
        conn.executemany("UPDATE comments SET body = ? WHERE id = ?", bodies)
        conn.execute("UPDATE comments SET body = ? WHERE analyzer = 'guard-1'", (hostile[0],))
        conn.execute("UPDATE reddit_posts SET title = ?", (hostile[0],))
    return db
