"""How long texts are kept: what old comments said goes, what was made of it stays.

Bodies, the analyser's summaries and a model's replies (which may quote them) are emptied. Scores, sentiments,
tickers, signals and positions stay, so that no figure changes; so do the authors' pseudonyms, which alone say
how many people there were. An emptied text never comes back: phase 1 keeps it empty when an archive shows it
again.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Final

from phases.stamps import stamp

_OLD: Final = "created_utc < :before AND (body IS NOT NULL OR reasoning_summary IS NOT NULL)"

_COUNT: Final = f"SELECT count(*) FROM comments WHERE {_OLD}"

_EMPTY: Final = f"""
UPDATE comments SET body = NULL, reasoning_summary = NULL, sketch = NULL
WHERE id IN (SELECT id FROM comments WHERE {_OLD} ORDER BY id LIMIT :limit)
"""

_EMPTY_REPLIES: Final = """
UPDATE model_calls SET reply = '' WHERE reply <> '' AND (created_at < :before OR content_hash IN (
  SELECT m.content_hash FROM model_calls m JOIN comments c ON c.model_call_id = m.id WHERE c.body IS NULL))
"""


def count_old(conn: sqlite3.Connection, before: datetime) -> int:
    """Return how many comments of before an instant still have a text."""
    (count,) = conn.execute(_COUNT, {"before": stamp(before)}).fetchone()
    return int(count)


def empty_old(conn: sqlite3.Connection, before: datetime, limit: int) -> int:
    """Empty the texts of at most `limit` such comments; return how many there were."""
    emptied = conn.execute(_EMPTY, {"before": stamp(before), "limit": limit}).rowcount
    conn.execute(_EMPTY_REPLIES, {"before": stamp(before)})
    return emptied
