"""A person's verdict on a prediction: it counts instead of the market's, whenever it comes."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Final

from phases.config import read_config
from phases.scoring.authors import refresh
from phases.scoring.trust import Verdict
from phases.stamps import stamp

_OVERRIDE: Final = """
UPDATE predictions SET hitl_override = :verdict, hitl_override_at = :at
WHERE id = :id RETURNING comment_id
"""

_AUTHOR: Final = "SELECT author FROM comments WHERE id = ? AND author IS NOT NULL AND analyzed_at IS NOT NULL"


def override(conn: sqlite3.Connection, prediction_id: int, verdict: Verdict | None, now: datetime) -> bool:
    """Write a verdict (`None` takes it back) and count its author anew; `False` for no such prediction.

    It counts from `now` on: a run that pretends to be at an earlier instant doesn't know of it. Before the
    prediction is resolved it waits.
    """
    written = conn.execute(
        _OVERRIDE, {"id": prediction_id, "verdict": verdict, "at": stamp(now) if verdict else None}
    ).fetchall()
    for (comment_id,) in written:
        for (author,) in conn.execute(_AUTHOR, (comment_id,)).fetchall():
            refresh(conn, author, read_config(conn), now)
    return bool(written)
