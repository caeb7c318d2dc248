"""Phase 4: turn the day's analysed comments into signals, one ticker after the other.

A day's sample is what all its runs picked, so a second run adds to the first one's signals instead of
replacing them by its own, smaller view. Comments later than `as_of` change nothing, and a text that many
accounts paste counts once, for the first of them.

A signal is one row for its ticker, type and UTC day. A later run of the day updates it and links it anew to
its comments, unless a position was opened on it: then its direction stays, and a day that turned against it
leaves the whole row as it was, as the record of what was traded on. An untraded signal that the day no longer
supports is withdrawn, because the next phase would buy on the strength of it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from phases.config import Config, read_config, start_system
from phases.copies import first_of_each
from phases.scoring.trust import UNKNOWN_AUTHOR
from phases.signal_rules import (
    Evidence,
    Mentions,
    Signal,
    consensus,
    count_users,
    is_emergence,
    quality,
)
from phases.stamps import stamp
from phases.tools import Context

_SAMPLE: Final = """
FROM run_comments r JOIN comments c ON c.id = r.comment_id JOIN comment_tickers t ON t.comment_id = c.id
WHERE r.picked = 1 AND c.created_utc <= :as_of AND c.analyzed_at IS NOT NULL
  AND (r.run_id = :run_id OR r.run_id IN (SELECT run_id FROM run_days WHERE signal_date = :day))
"""

_TICKERS: Final = f"SELECT count(DISTINCT t.ticker) {_SAMPLE}"

_EVIDENCE: Final = f"""
SELECT DISTINCT t.ticker, c.id, c.author, t.sentiment, c.has_reasoning, c.sarcasm_detected, c.ai_confidence,
  c.author_trust_score, c.sketch, c.created_utc {_SAMPLE} ORDER BY t.ticker, c.created_utc, c.id
"""

_SKETCH: Final = 8
"""The column of the evidence that holds the text's sketch."""

_PRIOR_MENTIONS: Final = """
SELECT count(*) FROM comment_tickers t JOIN comments c ON c.id = t.comment_id
WHERE t.ticker = :ticker AND c.created_utc >= :prior_from AND c.created_utc < :day_start
"""

_KNOWN: Final = """
SELECT s.id, s.ticker, s.signal_type, s.prediction,
  s.position_opened = 1 OR EXISTS (SELECT 1 FROM positions p WHERE p.signal_id = s.id)
FROM signals s WHERE s.signal_date = :day
"""

_NOTE_DAY: Final = """
INSERT INTO run_days (run_id, signal_date) VALUES (:run_id, :day)
ON CONFLICT (run_id) DO UPDATE SET signal_date = excluded.signal_date
"""

_UPSERT: Final = """
INSERT INTO signals (signal_date, created_at, updated_at, ticker, signal_type, sentiment_score, prediction,
  confidence, comment_count, has_reasoning, is_emergence, prior_7d_mentions, distinct_users)
VALUES (:day, :now, :now, :ticker, :signal_type, :sentiment_score, :prediction,
  :confidence, :comment_count, :has_reasoning, :is_emergence, :prior_mentions, :distinct_users)
ON CONFLICT (ticker, signal_type, signal_date) DO UPDATE SET
  updated_at = excluded.updated_at, sentiment_score = excluded.sentiment_score,
  prediction = excluded.prediction, confidence = excluded.confidence,
  comment_count = excluded.comment_count, has_reasoning = excluded.has_reasoning,
  is_emergence = excluded.is_emergence, prior_7d_mentions = excluded.prior_7d_mentions,
  distinct_users = excluded.distinct_users
RETURNING id
"""

_UNLINK: Final = "DELETE FROM signal_comments WHERE signal_id = ?"
_LINK: Final = "INSERT INTO signal_comments (signal_id, comment_id, created_at) VALUES (?, ?, ?)"

Facts = Mapping[str, Any]
"""The day, its instants and the run, as SQL parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A signal that the day's sample supports."""

    ticker: str
    signal: Signal
    mentions: Mentions
    is_emergence: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A signal of the day that an earlier run made."""

    id: int
    prediction: str
    is_traded: bool


def detect_signals(conn: sqlite3.Connection, ctx: Context) -> None:
    """Create, update and withdraw the signals of the UTC day of `as_of`.

    Raises:
        ConfigError: A row of `system_config` is not usable.
    """
    day = ctx.tools.as_of.astimezone(UTC).date()
    config = read_config(conn)
    if config.system_start_date is None:
        config = replace(config, system_start_date=day)
    facts = _facts(ctx, day, config)
    findings = list(_findings(conn, ctx, facts, day, config))
    known = _known(conn, facts)
    start_system(conn, day, ctx.clock.now())
    conn.execute(_NOTE_DAY, facts)
    written = [finding for finding in findings if _is_open(finding, known)]
    for finding in written:
        _write(conn, facts, finding)
    stale = _stale(findings, known)
    _delete(conn, stale)
    ctx.results["signals_created"] = len(written)
    ctx.results["signals_by_type"] = dict(Counter(finding.signal.signal_type for finding in written))
    ctx.results["signals_withdrawn"] = len(stale)


def _facts(ctx: Context, day: date, config: Config) -> Facts:
    day_start = datetime.combine(day, time(), UTC)
    return {
        "run_id": ctx.run_id,
        "day": day.isoformat(),
        "day_start": stamp(day_start),
        "prior_from": stamp(day_start - timedelta(days=config.emergence_prior_days)),
        "as_of": stamp(ctx.tools.as_of),
        "now": stamp(ctx.clock.now()),
    }


def _findings(
    conn: sqlite3.Connection, ctx: Context, facts: Facts, day: date, config: Config
) -> Iterator[Finding]:
    """Yield what fires, holding the evidence of one ticker at a time; nothing is written meanwhile."""
    (total,) = conn.execute(_TICKERS, facts).fetchone()
    by_ticker = groupby(conn.execute(_EVIDENCE, facts), key=itemgetter(0))
    for done, (ticker, rows) in enumerate(by_ticker, start=1):
        ctx.raise_if_stopping()
        evidence = [_evidence(row) for row in _originals(list(rows))]
        fired = [signal for rule in (quality, consensus) if (signal := rule(evidence, config))]
        for signal in fired:
            mentions = Mentions(
                prior=conn.execute(_PRIOR_MENTIONS, {**facts, "ticker": ticker}).fetchone()[0],
                current=len(evidence),
                distinct_users=count_users(evidence),
            )
            emerges = is_emergence(mentions, day, config)
            yield Finding(ticker=ticker, signal=signal, mentions=mentions, is_emergence=emerges)
        ctx.progress(done, total, "ticker")


def _originals(rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    """Return the comments on a ticker, oldest first, without those that copy an older one."""
    firsts = first_of_each([row[_SKETCH] for row in rows])
    return [row for index, row in enumerate(rows) if firsts[index] == index]


def _evidence(row: Sequence[Any]) -> Evidence:
    _, comment_id, author, sentiment, has_reasoning, is_sarcastic, ai_confidence, trust, *_ = row
    return Evidence(
        comment_id=comment_id,
        author=author,
        sentiment=sentiment,
        has_reasoning=bool(has_reasoning),
        is_sarcastic=bool(is_sarcastic),
        ai_confidence=ai_confidence,
        author_trust=UNKNOWN_AUTHOR if trust is None else trust,
    )


def _known(conn: sqlite3.Connection, facts: Facts) -> dict[tuple[str, str], Known]:
    return {
        (ticker, signal_type): Known(id=signal_id, prediction=prediction, is_traded=bool(is_traded))
        for signal_id, ticker, signal_type, prediction, is_traded in conn.execute(_KNOWN, facts).fetchall()
    }


def _is_open(finding: Finding, known: Mapping[tuple[str, str], Known]) -> bool:
    """Return whether the finding may be written: a traded signal never changes its direction."""
    before = known.get((finding.ticker, finding.signal.signal_type))
    return before is None or not before.is_traded or before.prediction == finding.signal.prediction


def _write(conn: sqlite3.Connection, facts: Facts, finding: Finding) -> None:
    signal = finding.signal
    columns = {
        **facts,
        "ticker": finding.ticker,
        "signal_type": signal.signal_type,
        "sentiment_score": signal.sentiment_score,
        "prediction": signal.prediction,
        "confidence": signal.confidence,
        "comment_count": len(signal.comment_ids),
        "has_reasoning": signal.has_reasoning,
        "is_emergence": finding.is_emergence,
        "prior_mentions": finding.mentions.prior,
        "distinct_users": signal.distinct_users,
    }
    ((signal_id,),) = conn.execute(_UPSERT, columns).fetchall()
    conn.execute(_UNLINK, (signal_id,))
    conn.executemany(_LINK, [(signal_id, comment_id, facts["now"]) for comment_id in signal.comment_ids])


def _stale(findings: Sequence[Finding], known: Mapping[tuple[str, str], Known]) -> list[int]:
    """Return the ids of the untraded signals that the day no longer supports."""
    fired = {(finding.ticker, finding.signal.signal_type) for finding in findings}
    return [before.id for key, before in known.items() if key not in fired and not before.is_traded]


def _delete(conn: sqlite3.Connection, signal_ids: Sequence[int]) -> None:
    ids = [(signal_id,) for signal_id in signal_ids]
    conn.executemany(_UNLINK, ids)
    conn.executemany("DELETE FROM signals WHERE id = ?", ids)
