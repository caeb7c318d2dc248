"""Small lists of phases, as somebody else would write them: plain tuples, and their tables beside them."""

from __future__ import annotations

import logging
import sqlite3
import sys
from pathlib import Path
from typing import Any

SCHEMA = [
    "CREATE TABLE notes (run_id INTEGER NOT NULL, phase TEXT NOT NULL, PRIMARY KEY (run_id, phase)) STRICT;"
]


def note(conn: sqlite3.Connection, ctx: Any) -> None:
    """Write a row."""
    ctx.results["notes"] = ctx.results.get("notes", 0) + 1
    conn.execute("INSERT INTO notes VALUES (?, ?)", (ctx.run_id, f"{ctx.results['notes']}"))


def gate(conn: sqlite3.Connection, ctx: Any) -> None:
    """Wait until somebody opens the other end of the named pipe, then check point."""
    ctx.progress(1, 3, "gate")
    Path(ctx.params["gate"]).read_bytes()
    ctx.checkpoint()


def hold(conn: sqlite3.Connection, ctx: Any) -> None:
    """Wait at the gate with the write transaction open."""
    note(conn, ctx)
    gate(conn, ctx)


def look(conn: sqlite3.Connection, ctx: Any) -> None:
    """Tell how this process shares the interpreter."""
    ctx.results["switch_s"] = sys.getswitchinterval()


def break_down(conn: sqlite3.Connection, ctx: Any) -> None:
    """Fail, with a secret in the message."""
    ctx.warn("unwell", "it is going to break", figure=1)
    raise RuntimeError("it broke at https://example.org/?key=SECRET123")


def talk(conn: sqlite3.Connection, ctx: Any) -> None:
    """Log a line, as a library would that knows nothing of runs."""
    logging.getLogger("somebody.else").info("a word\nand another")


def talk_and_fail(conn: sqlite3.Connection, ctx: Any) -> None:
    """Log a line, then fail."""
    talk(conn, ctx)
    raise RuntimeError("enough")


def go_on(conn: sqlite3.Connection, ctx: Any) -> None:
    """Have much to tell."""
    ctx.results["story"] = "and then " * 500


QUICK = [(1, "First note", note), (5, "Second note", note)]
GATED = [(1, "First note", note), (2, "Gate", gate), (3, "Last note", note)]
HOLDING = [(1, "Hold", hold)]
CURIOUS = [(1, "Look", look)]
BROKEN = [(1, "First note", note), (2, "Break down", break_down)]
TALKING = [(1, "First word", talk), (2, "Last word", talk_and_fail)]
TALKATIVE = [(1, "Go on", go_on)]
EMPTY: list[Any] = []
