"""Phase 2: choose which comments of each post are worth analysing.

    priority = 0.4 * financial + 0.3 * author_trust + 0.3 * engagement - depth_penalty

- `financial`: share of finance words among all words, times ten, at most 1.
- `author_trust`: from the author's history up to `as_of` (see `authors.py`), 0.5 for an unknown author.
- `engagement`: ln(upvotes + 1) * direct answers, brought to 0..1 between the least and the most engaging
  comment *of its post*, because that is what it competes with. Votes below zero count as none.
- `depth_penalty`: 0.05 a level, at most 0.3.

The best 50 of a post are picked; more where the analyser takes them at no cost, evenly over the posts
(`params["picks_per_post"]` overrides). Ties go by Reddit's id; comments without a text never are. Picks are
rows (`run_comments.picked`), so nothing passes to the next phase in memory, and the trust of a comment that
was not analysed before is stored beside them for the analysis to use. One post at a time is held in memory.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from phases.config import read_config
from phases.scoring.authors import TRUST_COLUMNS, History
from phases.tools import Context

PAID_PICKS_PER_POST: Final = 50
WEIGHT_FINANCIAL: Final = 0.4
WEIGHT_TRUST: Final = 0.3
WEIGHT_ENGAGEMENT: Final = 0.3
DENSITY_FACTOR: Final = 10
PENALTY_PER_LEVEL: Final = 0.05
MAX_PENALTY: Final = 0.3
COMMENTS_PER_CHECKPOINT: Final = 10_000

_WORD: Final = re.compile(r"p/e\b|\w+")
_FINANCE_WORDS: Final = frozenset(
    {
        "call", "calls", "put", "puts", "option", "options", "strike", "strikes", "expiry", "expiration",
        "expirations", "dd", "earnings", "revenue", "revenues", "p/e", "short", "shorts", "shorting", "long",
        "longs", "squeeze", "squeezes", "gamma", "theta", "delta", "iv",
    }
)  # fmt: skip
_FINANCE_PAIRS: Final = frozenset({("due", "diligence"), ("market", "cap"), ("implied", "volatility")})


def prioritize_comments(conn: sqlite3.Connection, ctx: Context) -> None:
    """Score the run's comments and pick the best of each post.

    Raises:
        ValueError: `params["picks_per_post"]` is unusable.
    """
    history = History(conn, read_config(conn), ctx.tools.as_of)
    posts = conn.execute(_POSTS, (ctx.run_id,)).fetchall()
    picks = picks_per_post(ctx.params, free_picks=ctx.tools.analyzer.free_picks, counts=[n for _, n in posts])
    total = sum(count for _, count in posts)
    done = waiting = 0
    for post_id, count in posts:
        _write(conn, ctx.run_id, _prioritized(conn, ctx.run_id, post_id, history), picks)
        done, waiting = done + count, waiting + count
        ctx.progress(done, total, "comment")
        if waiting >= COMMENTS_PER_CHECKPOINT:
            ctx.checkpoint()
            waiting = 0
    ctx.results["comments_picked"] = conn.execute(_PICKED, (ctx.run_id,)).fetchone()[0]


def picks_per_post(params: Mapping[str, Any], *, free_picks: int, counts: Sequence[int]) -> int:
    """Return how many comments of a post are picked at most, for posts with so many comments."""
    picks = params.get("picks_per_post", max(PAID_PICKS_PER_POST, fair_share(counts, free_picks)))
    if isinstance(picks, bool) or not isinstance(picks, int) or picks < 1:
        raise ValueError(f"picks_per_post must be a whole number of at least 1, not {picks!r}")
    return picks


def fair_share(counts: Sequence[int], budget: int) -> int:
    """Return the most that each may take of what it has, so that all together stay within the budget.

    >>> fair_share([5, 100, 3], budget=30), fair_share([5, 100, 3], budget=1_000)
    (22, 992)
    """
    share = 0
    for index, count in enumerate(sorted(counts)):
        share = budget // (len(counts) - index)
        if count > share:
            break
        budget -= count
    return share


def financial_score(body: str) -> float:
    """Return the density of finance words, 0 to 1; a tenth of all words is enough for 1.

    >>> financial_score("calls on everything"), financial_score("I was called a putz")
    (1.0, 0.0)
    """
    words = _WORD.findall(body.lower())
    found = sum(map(_FINANCE_WORDS.__contains__, words))  # a third of the time of a generator
    found += sum(map(_FINANCE_PAIRS.__contains__, pairwise(words)))
    return min(1.0, DENSITY_FACTOR * found / len(words)) if words else 0.0


def engagement(score: int, answers: int) -> float:
    """Return ln(upvotes + 1) * answers; 0 or more, without an upper end.

    >>> engagement(-7, 3), round(engagement(9, 2), 3)
    (0.0, 4.605)
    """
    return math.log(max(0, score) + 1) * answers


def normalized(values: Sequence[float]) -> list[float]:
    """Return the values between 0 for the least and 1 for the greatest; all 0 where they are equal.

    >>> normalized([2.0, 4.0, 3.0]), normalized([5.0, 5.0])
    ([0.0, 1.0, 0.5], [0.0, 0.0])
    """
    low, high = min(values, default=0.0), max(values, default=0.0)
    return [(value - low) / (high - low) if high > low else 0.0 for value in values]


def depth_penalty(depth: int) -> float:
    """Return what a comment loses for being far down in a thread."""
    return min(MAX_PENALTY, PENALTY_PER_LEVEL * depth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prioritized:
    """One comment with the scores of this run."""

    comment_id: int
    reddit_id: str
    has_text: bool
    trust: float
    priority: float


def best(comments: Sequence[Prioritized], picks: int) -> list[Prioritized]:
    """Return the `picks` comments of highest priority that have a text; ties go by Reddit's id."""
    ranked = sorted((c for c in comments if c.has_text), key=lambda c: (-c.priority, c.reddit_id))
    return ranked[:picks]


_POSTS: Final = """
SELECT c.post_id, count(*) FROM run_comments r JOIN comments c ON c.id = r.comment_id
WHERE r.run_id = ? GROUP BY c.post_id ORDER BY c.post_id
"""

# CROSS JOIN keeps SQLite from walking all of the run's comments once for each post.
_COMMENTS: Final = f"""
SELECT c.id, c.parent_comment_id, c.reddit_id, c.body, c.score, c.depth, c.author, {TRUST_COLUMNS}
FROM comments c CROSS JOIN run_comments r LEFT JOIN authors a ON a.username = c.author
WHERE c.post_id = :post_id AND r.run_id = :run_id AND r.comment_id = c.id
"""

_SCORE_IN_RUN: Final = """
UPDATE run_comments SET priority_score = ?, picked = ? WHERE run_id = ? AND comment_id = ?
"""
_SCORE: Final = "UPDATE comments SET prioritization_score = ? WHERE id = ?"
_KEEP_TRUST: Final = "UPDATE comments SET author_trust_score = ? WHERE id = ? AND analyzed_at IS NULL"
_PICKED: Final = "SELECT count(*) FROM run_comments WHERE run_id = ? AND picked = 1"


def _prioritized(conn: sqlite3.Connection, run_id: int, post_id: int, history: History) -> list[Prioritized]:
    rows = conn.execute(_COMMENTS, {"run_id": run_id, "post_id": post_id}).fetchall()
    # Only answers that the run itself looked at are counted: later ones are not known at `as_of`.
    answers = Counter(parent_id for _, parent_id, *_ in rows)
    engagements = normalized([engagement(score, answers[own_id]) for own_id, _, _, _, score, *_ in rows])
    return [_one(row, its_engagement, history) for row, its_engagement in zip(rows, engagements, strict=True)]


def _one(row: Sequence[Any], its_engagement: float, history: History) -> Prioritized:
    comment_id, _, reddit_id, body, _, depth, author, *known = row
    trust = history.trust(author, known)
    return Prioritized(
        comment_id=comment_id,
        reddit_id=reddit_id,
        has_text=body is not None,
        trust=trust,
        priority=WEIGHT_FINANCIAL * financial_score(body or "")
        + WEIGHT_TRUST * trust
        + WEIGHT_ENGAGEMENT * its_engagement
        - depth_penalty(depth),
    )


def _write(conn: sqlite3.Connection, run_id: int, comments: Sequence[Prioritized], picks: int) -> None:
    picked = best(comments, picks)
    ids = {comment.comment_id for comment in picked}
    scored = [(comment.priority if comment.has_text else None, comment.comment_id) for comment in comments]
    conn.executemany(
        _SCORE_IN_RUN, [(score, int(comment_id in ids), run_id, comment_id) for score, comment_id in scored]
    )
    conn.executemany(_SCORE, scored)
    conn.executemany(_KEEP_TRUST, [(comment.trust, comment.comment_id) for comment in picked])
