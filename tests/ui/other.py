"""A registry of somebody else: it keeps no signals and no positions."""

from __future__ import annotations

import sqlite3
from typing import Any


def hum(conn: sqlite3.Connection, ctx: Any) -> None:
    """Leave no rows."""
    ctx.results["hummed"] = True


PHASES = [(1, "Hum", hum), (2, "Hum again", hum)]
