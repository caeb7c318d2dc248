"""Every call to a model, kept as it came: what it cost, and an answer that is never bought twice.

A call's row is written on the run's thread before the annotation that was read from it, so both are durable
with the same check point.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from phases.stamps import stamp
from phases.tools import ModelCall

NANO_PER_USD: Final = 1_000_000_000

_KEEP: Final = """
INSERT INTO model_calls (run_id, content_hash, attempt, model, prompt_version, prompt_hash, outcome,
  is_answer, served_model, reply, input_tokens, output_tokens, cost_nano_usd, created_at)
VALUES (:run_id, :content_hash, :attempt, :model, :prompt_version, :prompt_hash, :outcome,
  :is_answer, :served_model, :reply, :input_tokens, :output_tokens, :cost_nano_usd, :now) RETURNING id
"""

_RECALL: Final = """
SELECT id, reply FROM model_calls WHERE content_hash = ? AND is_answer = 1 ORDER BY id DESC LIMIT 1
"""

_COST: Final = "SELECT coalesce(sum(cost_nano_usd), 0) FROM model_calls WHERE run_id = ?"

_ANSWERS: Final = "SELECT count(*) FROM model_calls WHERE run_id = ? AND is_answer = 1"

_TOTALS: Final = """
SELECT count(*), sum(input_tokens), sum(output_tokens), sum(cost_nano_usd) FROM model_calls WHERE run_id = ?
"""

_COST_SINCE: Final = "SELECT coalesce(sum(cost_nano_usd), 0) FROM model_calls WHERE created_at >= ?"

_OUTCOMES: Final = """
SELECT outcome, count(*) FROM model_calls WHERE run_id = ? GROUP BY outcome ORDER BY outcome
"""

_REUSED: Final = """
SELECT count(c.model_call_id) - count(DISTINCT CASE WHEN m.run_id = r.run_id THEN m.id END)
FROM run_comments r JOIN comments c ON c.id = r.comment_id JOIN model_calls m ON m.id = c.model_call_id
WHERE r.run_id = ? AND r.newly_analyzed = 1
"""


class KeptCalls:
    """The `Calls` of one run, in its database. For the thread of the run only."""

    def __init__(self, conn: sqlite3.Connection, run_id: int, now: Callable[[], datetime]) -> None:
        self._conn = conn
        self._run_id = run_id
        self._now = now

    def recall(self, content_hash: str) -> tuple[int, str] | None:
        """Return the number and the reply of the newest kept answer to that content, of any run."""
        found: tuple[int, str] | None = self._conn.execute(_RECALL, (content_hash,)).fetchone()
        return found

    def keep(self, call: ModelCall) -> int:
        """Keep a call and return its number."""
        columns = {**asdict(call), "run_id": self._run_id, "now": stamp(self._now())}
        (number,) = self._conn.execute(_KEEP, columns).fetchone()
        return int(number)

    def cost_nano_usd(self) -> int:
        """Return what the run has cost so far, in US dollars times 10^9."""
        return int(self._conn.execute(_COST, (self._run_id,)).fetchone()[0])

    def cost_nano_usd_since(self, at: datetime) -> int:
        """Return what all runs have cost since an instant."""
        return int(self._conn.execute(_COST_SINCE, (stamp(at),)).fetchone()[0])

    def answers(self) -> int:
        """Return how many answers the run has got from a model so far."""
        return int(self._conn.execute(_ANSWERS, (self._run_id,)).fetchone()[0])

    def summary(self) -> dict[str, Any] | None:
        """Return calls, tokens, cost and outcomes of the run; `None` where no model had a part in it."""
        calls, input_tokens, output_tokens, cost = self._conn.execute(_TOTALS, (self._run_id,)).fetchone()
        (reused,) = self._conn.execute(_REUSED, (self._run_id,)).fetchone()
        if not calls and not reused:
            return None
        return {
            "calls": calls,
            "answers_reused": reused,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cost_usd": None if cost is None else cost / NANO_PER_USD,
            "outcomes": dict(self._conn.execute(_OUTCOMES, (self._run_id,)).fetchall()),
        }


class ForgottenCalls:
    """The `Calls` of work without a database: adds up the cost, keeps nothing else."""

    def __init__(self) -> None:
        self._kept = self._answers = self._cost_nano_usd = 0

    def recall(self, content_hash: str) -> None:
        """Return nothing: no answer is kept."""

    def keep(self, call: ModelCall) -> int:
        """Count a call and return its number."""
        self._kept += 1
        self._answers += call.is_answer
        self._cost_nano_usd += call.cost_nano_usd or 0
        return self._kept

    def cost_nano_usd(self) -> int:
        """Return what all calls have cost, in US dollars times 10^9."""
        return self._cost_nano_usd

    def answers(self) -> int:
        """Return how many answers there were."""
        return self._answers
