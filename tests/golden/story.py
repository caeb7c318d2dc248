"""The phases that the golden databases were written with. They never change: old runs go on with them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Final

SCHEMA: Final = (
    """CREATE TABLE golden_rows (
  run_id INTEGER NOT NULL, phase INTEGER NOT NULL, item INTEGER NOT NULL, PRIMARY KEY (run_id, phase, item)
) STRICT;
""",
)
ITEMS: Final = 4


def collect(conn: sqlite3.Connection, ctx: Any) -> None:
    """Write four rows, with a check point behind the second."""
    ctx.warn("golden", "a warning with its context", item=1)
    _write(conn, ctx, 1)


def judge(conn: sqlite3.Connection, ctx: Any) -> None:
    """Do as `collect`; what `ctx.tools` has in store happens behind the check point."""
    _write(conn, ctx, 2, ctx.tools)


def _write(
    conn: sqlite3.Connection, ctx: Any, phase: int, misfortune: Callable[[], None] | None = None
) -> None:
    for item in range(1, ITEMS + 1):
        conn.execute(
            "INSERT INTO golden_rows VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (ctx.run_id, phase, item)
        )
        ctx.progress(item, ITEMS, "rows")
        if item == ITEMS // 2:
            ctx.results[f"rows_{phase}"] = item
            ctx.checkpoint()
            if misfortune is not None:
                misfortune()
    ctx.results[f"rows_{phase}"] = ITEMS


PHASES: Final = [(1, "Collecting golden rows", collect), (4, "Judging golden rows", judge)]
