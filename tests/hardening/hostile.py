"""Phases that say whatever could take over a terminal, or make a line of its own."""

from __future__ import annotations

import logging
import sqlite3
from typing import Any

ESCAPES = (
    "\x1b[2J", "\x1b]0;owned\x07", "\x1b]8;;https://evil.example\x1b\\here", "\x9b31m", "\x9d0;owned\x9c",
    "\r", "\x08\x08", "\x00", "\x7f", "\u202egnp.exe", "\u2066", "\u200b", "\ufeff", "\u2028", "\x85",
    "\ud800",
)  # fmt: skip
TEXT = "GME " + "".join(ESCAPES) + "\nrun 9 completed"
STORABLE = TEXT.replace("\ud800", "")
"""The same for SQLite, which takes no half characters."""


def say(conn: sqlite3.Connection, ctx: Any) -> None:
    """Warn, log and count in hostile words, and fail with them where the params say so."""
    ctx.warn(STORABLE, STORABLE, **{STORABLE: STORABLE})
    ctx.results |= {STORABLE: 1, "words": STORABLE}
    ctx.progress(1, 2, STORABLE)
    logging.getLogger(STORABLE).warning("heard %s", TEXT, extra={"run_id": ctx.run_id})
    if ctx.params.get("fail"):
        raise RuntimeError(TEXT)


PHASES = [(1, "Say", say)]
