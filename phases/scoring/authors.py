"""What is known of an author: a row of `authors`, made anew from all rows that bear the pseudonym.

Nothing is ever added to a total. Whoever has news (a comment that was analysed, a prediction that was
resolved or judged by a person) is counted afresh from the ordered history, so that neither a second run nor a
crash counts twice, an override may come at any time, and the order of runs doesn't matter. The marks of what
was taken in, `comments.conviction_score` and `predictions.accuracy_applied_at`, only tell who has news.

The row knows everything up to `known_until`. Who asks for an earlier instant gets an answer from the history
up to that instant: no comment, outcome or override that came later.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from phases.config import Config
from phases.scoring.trust import UNKNOWN_AUTHOR, accuracy, author_trust, conviction, verdict
from phases.stamps import instant, stamp

_DAY: Final = timedelta(days=1)

_WITH_NEWS: Final = """
SELECT author FROM comments WHERE author IS NOT NULL AND analyzed_at IS NOT NULL AND conviction_score IS NULL
UNION
SELECT c.author FROM predictions p JOIN comments c ON c.id = p.comment_id
WHERE p.status = 'resolved' AND p.accuracy_applied_at IS NULL AND c.author IS NOT NULL
ORDER BY 1
"""

_UNCOUNTED: Final = """
SELECT id, length(coalesce(body, '')), has_reasoning, ai_confidence FROM comments
WHERE author = ? AND analyzed_at IS NOT NULL AND conviction_score IS NULL
"""

_COUNT: Final = "UPDATE comments SET conviction_score = ? WHERE id = ?"

_COMMENTS: Final = """
SELECT created_utc, score, has_reasoning, conviction_score FROM comments
WHERE author = :author AND analyzed_at IS NOT NULL AND created_utc <= :as_of ORDER BY id
"""

# CROSS JOIN keeps SQLite from walking all resolved predictions for each author.
_OUTCOMES: Final = """
SELECT p.resolved_at, p.is_correct, p.hitl_override, p.hitl_override_at
FROM comments c CROSS JOIN predictions p ON p.comment_id = c.id
WHERE c.author = :author AND p.status = 'resolved' AND p.resolved_at <= :as_of ORDER BY p.resolved_at, p.id
"""

_APPLY: Final = """
UPDATE predictions SET accuracy_applied_at = :now
WHERE status = 'resolved' AND accuracy_applied_at IS NULL
  AND comment_id IN (SELECT id FROM comments WHERE author = :author)
"""

_WRITE: Final = """
INSERT INTO authors (username, first_seen, total_comments, high_quality_comments, total_upvotes,
  avg_conviction_score, avg_sentiment_accuracy, last_active, known_until)
VALUES (:author, :first, :total_comments, :high_quality_comments, :total_upvotes,
  :avg_conviction, :accuracy, :last, :known_until)
ON CONFLICT (username) DO UPDATE SET
  total_comments = excluded.total_comments, high_quality_comments = excluded.high_quality_comments,
  total_upvotes = excluded.total_upvotes, avg_conviction_score = excluded.avg_conviction_score,
  avg_sentiment_accuracy = excluded.avg_sentiment_accuracy, known_until = excluded.known_until,
  first_seen = CASE WHEN excluded.first_seen < authors.first_seen THEN excluded.first_seen
    ELSE authors.first_seen END,
  last_active = CASE WHEN excluded.last_active > authors.last_active THEN excluded.last_active
    ELSE authors.last_active END
"""

_END_OF_TIME: Final = "9999"
"""Later than any stamp."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What an author's trust rests on."""

    total_comments: int
    """Analysed ones."""
    high_quality_comments: int
    """Those with reasoning."""
    accuracy: float | None
    """`None` where no prediction was resolved."""


def with_news(conn: sqlite3.Connection) -> list[str]:
    """Return the authors whose rows don't know of everything yet."""
    return [author for (author,) in conn.execute(_WITH_NEWS).fetchall()]


def refresh(conn: sqlite3.Connection, author: str, config: Config, now: datetime) -> None:
    """Make an author's row know of everything."""
    fresh = [
        (conviction(chars=chars, has_reasoning=bool(argued), ai_confidence=confidence), comment_id)
        for comment_id, chars, argued, confidence in conn.execute(_UNCOUNTED, (author,)).fetchall()
    ]
    conn.executemany(_COUNT, fresh)
    conn.execute(_APPLY, {"author": author, "now": stamp(now)})
    comments, outcomes = _history(conn, author, _END_OF_TIME)
    conn.execute(_WRITE, {"author": author, **_row(comments, outcomes, config)})


TRUST_COLUMNS: Final = """
  a.first_seen, a.known_until, a.total_comments, a.high_quality_comments, a.avg_sentiment_accuracy
"""
"""What `History.trust` wants of `authors AS a`."""


@dataclass(frozen=True, slots=True)
class History:
    """Knows what could be known of authors at an instant."""

    conn: sqlite3.Connection
    config: Config
    as_of: datetime

    def trust(self, author: str, known: Sequence[Any]) -> float:
        """Return the trust in an author, of whom `known` holds the `TRUST_COLUMNS` (`None` without a row)."""
        first_seen, known_until, *totals = known
        if first_seen is None:
            return UNKNOWN_AUTHOR
        is_later = known_until is not None and known_until > stamp(self.as_of)
        standing = self._standing(author) if is_later else Standing(*totals)
        return author_trust(
            self.config,
            total_comments=standing.total_comments,
            high_quality_comments=standing.high_quality_comments,
            accuracy=standing.accuracy,
            days_active=(self.as_of - instant(first_seen)) / _DAY,
        )

    def _standing(self, author: str) -> Standing:
        as_of = stamp(self.as_of)
        comments, outcomes = _history(self.conn, author, as_of)
        return Standing(
            total_comments=len(comments),
            high_quality_comments=sum(argued for _, _, argued, _ in comments),
            accuracy=_accuracy(outcomes, self.config, as_of),
        )


Facts = list[tuple[Any, ...]]


def _history(conn: sqlite3.Connection, author: str, as_of: str) -> tuple[Facts, Facts]:
    """Return an author's analysed comments, and what became of the predictions from them, oldest first."""
    facts = {"author": author, "as_of": as_of}
    return conn.execute(_COMMENTS, facts).fetchall(), conn.execute(_OUTCOMES, facts).fetchall()


def _accuracy(outcomes: Facts, config: Config, as_of: str) -> float | None:
    verdicts = (
        verdict(is_correct=bool(is_correct), override=said if said_at is None or said_at <= as_of else None)
        for _, is_correct, said, said_at in outcomes
    )
    return accuracy((right for right in verdicts if right is not None), config.accuracy_ema_weight)


def _row(comments: Facts, outcomes: Facts, config: Config) -> dict[str, Any]:
    made, scores, argued, convictions = zip(*comments, strict=True)
    later = [at for resolved_at, _, _, said_at in outcomes for at in (resolved_at, said_at) if at is not None]
    return {
        "first": min(made),
        "last": max(made),
        "known_until": max([*made, *later]),
        "total_comments": len(comments),
        "high_quality_comments": sum(argued),
        "total_upvotes": sum(scores),
        "avg_conviction": math.fsum(convictions) / len(convictions),
        "accuracy": _accuracy(outcomes, config, _END_OF_TIME),
    }
