"""Phase 3: have the picked comments annotated, each one once in its life.

A comment that any run has annotated keeps its annotations: paid answers are never bought twice. New ones are
written in groups, each made durable by a check point, so that a crash loses at most one group. An analyser
never sees an author's name, and what it says is sanitised before it is stored.

A comment that gives a model orders is set aside first: its row says so, and no analyser gets to read it.

What an analyser left unanswered goes to its fallback, in a second pass and under the fallback's own name.
So an analyser that turns out to be broken fails the run before anything was answered in its stead, and a
resumed run asks it again.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from phases.analyzers.injection import injection
from phases.annotations import SET_ASIDE, sanitized
from phases.copies import sketch
from phases.model_calls import NANO_PER_USD, KeptCalls
from phases.scoring.trust import UNKNOWN_AUTHOR
from phases.stamps import stamp
from phases.tools import Analyzer, AnalyzerUnavailable, Annotation, Calls, Context, Desk, Excerpt
from statemachine.contract import StopPhase

PAGE: Final = 200
"""Comments read at a time; no SELECT stays open while rows are written."""

MONTH: Final = timedelta(days=30)
MONTHLY_COST_USD: Final = 60.0

MAX_PARENTS: Final = 5
MAX_PARENT_CHARS: Final = 1_000

_WAITING: Final = """
FROM run_comments r JOIN comments c ON c.id = r.comment_id JOIN reddit_posts p ON p.id = c.post_id
WHERE r.run_id = :run_id AND r.picked = 1 AND c.body IS NOT NULL AND c.analyzed_at IS NULL
"""

_COUNT: Final = f"SELECT count(*) {_WAITING}"

_PAGE: Final = f"""
SELECT c.id, c.body, coalesce(c.author_trust_score, :unknown_author), c.parent_comment_id, p.title,
  p.image_analysis, substr(c.created_utc, 1, 10) {_WAITING} AND c.id > :after ORDER BY c.id LIMIT :page
"""

_BODIES: Final = f"SELECT c.id, c.body {_WAITING} AND c.id > :after ORDER BY c.id LIMIT :page"

_PARENTS: Final = """
WITH RECURSIVE chain (id, parent_id, body, distance) AS (
  SELECT id, parent_comment_id, body, 1 FROM comments WHERE id = :parent_id
  UNION ALL
  SELECT c.id, c.parent_comment_id, c.body, chain.distance + 1
  FROM chain JOIN comments c ON c.id = chain.parent_id WHERE chain.distance < :max_parents
)
SELECT substr(body, 1, :max_chars) FROM chain WHERE body IS NOT NULL ORDER BY distance
"""

_ANNOTATE: Final = """
UPDATE comments SET sentiment = :sentiment, sarcasm_detected = :sarcasm_detected,
  has_reasoning = :has_reasoning, reasoning_summary = :reasoning_summary, ai_confidence = :confidence,
  author_trust_score = coalesce(author_trust_score, :unknown_author), analyzer = :analyzer,
  sketch = :sketch, model_call_id = :model_call_id, analyzed_at = :now
WHERE id = :comment_id AND analyzed_at IS NULL
"""

_MARK_NEW: Final = "UPDATE run_comments SET newly_analyzed = 1 WHERE run_id = ? AND comment_id = ?"

_ADD_TICKER: Final = """
INSERT INTO comment_tickers (comment_id, ticker, sentiment, created_at) VALUES (?, ?, ?, ?)
ON CONFLICT (comment_id, ticker) DO UPDATE SET sentiment = excluded.sentiment
"""

_REUSED: Final = """
SELECT count(*) FROM run_comments r JOIN comments c ON c.id = r.comment_id
WHERE r.run_id = ? AND r.picked = 1 AND r.newly_analyzed = 0 AND c.analyzed_at IS NOT NULL
"""

_ANALYZERS: Final = """
SELECT c.analyzer, count(*) FROM run_comments r JOIN comments c ON c.id = r.comment_id
WHERE r.run_id = ? AND r.newly_analyzed = 1 GROUP BY c.analyzer ORDER BY c.analyzer
"""


class Asked(NamedTuple):
    """A comment that waits for its annotation."""

    comment_id: int
    sketch: str | None
    """Of its text, to tell copies by."""


def analyze_comments(conn: sqlite3.Connection, ctx: Context) -> None:
    """Annotate the picked comments of this run that have a text and no annotations yet.

    Raises:
        AnalyzerUnavailable: The analyser can't work, or more than half of the comments have no answer; the
            answers that there are are kept.
    """
    (total,) = conn.execute(_COUNT, {"run_id": ctx.run_id}).fetchone()
    analyzer = ctx.tools.analyzer
    calls = KeptCalls(conn, ctx.run_id, ctx.clock.now)
    try:
        answered = _set_aside(conn, ctx)
        answered += _annotated(conn, ctx, analyzer, calls, before=answered, total=total)
        if ctx.remaining_s() <= 0:
            ctx.checkpoint()
            return  # the driver ends a late run; a resumed one asks the same analyser again
        if analyzer.fallback and answered < total:
            answered += _annotated(conn, ctx, analyzer.fallback, calls, before=answered, total=total)
    except (AnalyzerUnavailable, StopPhase):
        _report_model(ctx, calls)
        ctx.checkpoint()  # keeps what was paid for; raises by itself where the run stops
        raise
    _report(conn, ctx, calls)
    _judge(ctx, answered, total)


def _set_aside(conn: sqlite3.Connection, ctx: Context) -> int:
    """Annotate what speaks to a model as saying nothing, and return how many comments that were."""
    page = {"run_id": ctx.run_id, "after": 0, "page": PAGE}
    found = 0
    while rows := conn.execute(_BODIES, page).fetchall():
        ctx.raise_if_stopping()
        for comment_id, body in rows:
            if injection(body):
                _store(conn, ctx, Asked(comment_id, sketch(body)), SET_ASIDE)
                found += 1
        page["after"] = rows[-1][0]
    if found:
        ctx.warn(
            "comments_set_aside",
            f"{found} of the comments give a model orders; nobody read them, and they count for nothing",
            comments=found,
        )
    return found


def _annotated(
    conn: sqlite3.Connection, ctx: Context, analyzer: Analyzer, calls: Calls, *, before: int, total: int
) -> int:
    """Have an analyser annotate all that waits, and return how many it has answered.

    `before` is how many of `total` were answered before it.
    """
    asked: deque[Asked] = deque()
    answered = 0
    annotations = analyzer.annotate_all(_excerpts(conn, ctx.run_id, asked), _desk(ctx, calls))
    for done, annotation in enumerate(annotations, start=1):
        about = asked.popleft()
        clean = sanitized(annotation) if annotation else None
        if clean:
            _store(conn, ctx, about, clean)
            answered += 1
        ctx.progress(before + (answered if analyzer.fallback else done), total, "comment")
        if done % analyzer.batch == 0:
            ctx.checkpoint()
    return answered


def _desk(ctx: Context, calls: Calls) -> Desk:
    return Desk(
        map=ctx.map,
        calls=calls,
        clock=ctx.clock,
        remaining_s=ctx.remaining_s,
        raise_if_stopping=ctx.raise_if_stopping,
        warn=ctx.warn,
    )


def _excerpts(conn: sqlite3.Connection, run_id: int, asked: deque[Asked]) -> Iterator[Excerpt]:
    """Yield what the analyser may see, comment by comment, noting in `asked` whose it is."""
    page: dict[str, Any] = {"run_id": run_id, "unknown_author": UNKNOWN_AUTHOR, "after": 0, "page": PAGE}
    while rows := conn.execute(_PAGE, page).fetchall():
        for comment_id, body, trust, parent_id, title, image_description, written_on in rows:
            asked.append(Asked(comment_id, sketch(body)))
            yield Excerpt(
                body=body,
                post_title=title,
                image_description=image_description,
                parents=_parents(conn, parent_id),
                author_trust=trust,
                written_on=date.fromisoformat(written_on),
            )
        page["after"] = rows[-1][0]


def _parents(conn: sqlite3.Connection, parent_id: int | None) -> tuple[str, ...]:
    if parent_id is None:
        return ()
    limits = {"parent_id": parent_id, "max_parents": MAX_PARENTS, "max_chars": MAX_PARENT_CHARS}
    return tuple(body for (body,) in conn.execute(_PARENTS, limits).fetchall())


def _store(conn: sqlite3.Connection, ctx: Context, about: Asked, annotation: Annotation) -> None:
    now = stamp(ctx.clock.now())
    columns = {
        "comment_id": about.comment_id,
        "sketch": about.sketch,
        "sentiment": annotation.sentiment,
        "sarcasm_detected": annotation.sarcasm_detected,
        "has_reasoning": annotation.has_reasoning,
        "reasoning_summary": annotation.reasoning_summary,
        "confidence": annotation.confidence,
        "unknown_author": UNKNOWN_AUTHOR,
        "analyzer": annotation.analyzer,
        "model_call_id": annotation.model_call_id,
        "now": now,
    }
    conn.execute(_ANNOTATE, columns)
    conn.execute(_MARK_NEW, (ctx.run_id, about.comment_id))
    conn.executemany(
        _ADD_TICKER,
        [(about.comment_id, stance.ticker, stance.sentiment, now) for stance in annotation.tickers],
    )


def _report(conn: sqlite3.Connection, ctx: Context, calls: KeptCalls) -> None:
    analyzers: dict[str, int] = dict(conn.execute(_ANALYZERS, (ctx.run_id,)).fetchall())
    ctx.results["comments_analyzed"] = sum(analyzers.values())
    ctx.results["comments_reused"] = conn.execute(_REUSED, (ctx.run_id,)).fetchone()[0]
    ctx.results["analyzers"] = analyzers
    _report_model(ctx, calls)
    if "model" in ctx.results:
        _warn_of_cost(ctx, calls)


def _report_model(ctx: Context, calls: KeptCalls) -> None:
    if model := calls.summary():
        ctx.results["model"] = model


def _warn_of_cost(ctx: Context, calls: KeptCalls) -> None:
    """Warn where the model costs more a month than the pipeline is meant to cost; nothing stops."""
    cost_usd = calls.cost_nano_usd_since(ctx.clock.now() - MONTH) / NANO_PER_USD
    if cost_usd > MONTHLY_COST_USD:
        ctx.warn(
            "model_cost_high",
            f"the model has cost ${cost_usd:.2f} in {MONTH.days} days, above ${MONTHLY_COST_USD:.0f}; "
            "LLM_MAX_COST_USD limits each run",
            cost_usd=cost_usd,
        )


def _judge(ctx: Context, answered: int, total: int) -> None:
    """Warn of comments without an answer; fail where signals would rest on less than half of the sample."""
    missing = total - answered
    if not missing:
        return
    said = f"{ctx.tools.analyzer.name} left {missing} of {total} comments without annotations"
    if missing * 2 > total:
        ctx.checkpoint()
        raise AnalyzerUnavailable(f"{said}; see that it works, then resume the run")
    ctx.warn("comments_not_analyzed", f"{said}: they count for nothing", missing=missing, total=total)
