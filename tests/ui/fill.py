"""`python -m tests.ui.fill DB`: put into a database what would take a run hours, or a villain, to bring.

A signal EVIL with the sixty hostile comments, a signal MANY with 500 long ones, and 2,000 steps in the
history of the newest failed run. Prints the ids as JSON.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.ui.hostile import BODIES

MANY: Final = 500
STEPS: Final = 2_000
AT: Final = "2025-03-12T17:{:02}:{:02}.000Z"
LONG: Final = "Revenue grew again and the margin with it, so the puts look cheap to me. " * 12


def fill(db: Path) -> dict[str, int]:
    """Fill a database that a run of the pipeline has made."""
    with closing(sqlite3.connect(db, isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        (run_id,) = conn.execute("SELECT max(id) FROM analysis_runs WHERE status = 'completed'").fetchone()
        (broken,) = conn.execute("SELECT max(id) FROM analysis_runs WHERE status = 'failed'").fetchone()
        found = {
            "hostile": _signal(conn, run_id, "EVIL", BODIES),
            "many": _signal(conn, run_id, "MANY", [f"{number}. {LONG}" for number in range(1, MANY + 1)]),
            "broken": broken,
        }
        _to_and_fro(conn, broken)
        conn.execute("COMMIT")
    return found


def _signal(conn: sqlite3.Connection, run_id: int, ticker: str, bodies: Sequence[str]) -> int:
    at = AT.format(0, 0)
    post_id = _insert(conn, "reddit_posts", reddit_id=f"ui{ticker}", title=bodies[0], fetched_at=at)
    signal_id = _insert(
        conn,
        "signals",
        signal_date="2025-03-12",
        created_at=at,
        updated_at=at,
        ticker=ticker,
        signal_type="consensus",
        sentiment_score=0.5,
        prediction="bullish",
        confidence=0.7,
        comment_count=len(bodies),
        has_reasoning=1,
        prior_7d_mentions=3,
        distinct_users=len(bodies),
    )
    for number, body in enumerate(bodies):
        comment_id = _insert(
            conn,
            "comments",
            analysis_run_id=run_id,
            post_id=post_id,
            reddit_id=f"ui{ticker}{number}",
            author=f"u_{number:06}",
            body=body,
            created_utc=AT.format(number // 60, number % 60),
            score=len(bodies) - number,
            sentiment="bullish",
            sarcasm_detected=0,
            has_reasoning=1,
            reasoning_summary=body[:200],
            ai_confidence=0.8,
            author_trust_score=0.5,
            analyzer="lexicon",
            analyzed_at=at,
        )
        _insert(
            conn, "comment_tickers", comment_id=comment_id, ticker=ticker, sentiment="bullish", created_at=at
        )
        _insert(conn, "signal_comments", signal_id=signal_id, comment_id=comment_id, created_at=at)
    return signal_id


def _insert(conn: sqlite3.Connection, table: str, **values: object) -> int:
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    (row_id,) = conn.execute(
        f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING id", tuple(values.values())
    ).fetchone()
    return int(row_id)


def _to_and_fro(conn: sqlite3.Connection, run_id: int) -> None:
    """Resume and cancel a failed run until its history is long; each step is one of the table."""
    phase, state, at, message = conn.execute(
        """SELECT current_phase, (SELECT source FROM run_events WHERE run_id = run.id AND dest = 'failed'
             ORDER BY seq DESC LIMIT 1), updated_at, error_message FROM analysis_runs AS run WHERE id = ?""",
        (run_id,),
    ).fetchone()
    event = (
        "INSERT INTO run_events (run_id, at, trigger, source, dest, phase, attempt) VALUES (?,?,?,?,?,?,1)"
    )
    for _ in range(STEPS // 2):
        conn.execute(
            """UPDATE analysis_runs SET status = 'running', state = ?, error_code = NULL,
                 error_message = NULL, version = version + 1 WHERE id = ?""",
            (state, run_id),
        )
        conn.execute(event, (run_id, at, "resume", "failed", state, phase))
        conn.execute(
            """UPDATE analysis_runs SET status = 'failed', state = 'failed', error_code = 'cancelled',
                 error_message = ?, version = version + 1 WHERE id = ?""",
            (message, run_id),
        )
        conn.execute(event, (run_id, at, "cancel", state, "failed", phase))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(fill(Path(sys.argv[1]))))
