"""A list of phases with a table of its own."""

from __future__ import annotations

import sqlite3
from typing import Any

SCHEMA = ["CREATE TABLE greetings (run_id INTEGER PRIMARY KEY, words TEXT NOT NULL) STRICT;"]


def greet(conn: sqlite3.Connection, ctx: Any) -> None:
    """Write a row."""
    conn.execute("INSERT INTO greetings VALUES (?, 'hello')", (ctx.run_id,))
    ctx.results["greetings"] = 1


PHASES = [(1, "Greeting", greet)]
