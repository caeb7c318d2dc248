"""The questions that the explorer answers with one click, each a SELECT of its own.

A database holds the tables of the phases that ran on it. A question about a table that is not there is left
out, so none leads to an error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A canned query. An empty parameter asks for everything."""

    name: str
    """Its place in the address; like a column's name, it stays."""
    title: str
    about: str
    sql: str
    params: tuple[str, ...] = ()


QUESTIONS: Final = (
    Question(
        name="why_runs_failed",
        title="Why did runs fail?",
        about="Each failed run, newest first: the phase it was in, and the sentence that its error left.",
        sql="""
SELECT r.id AS run_id, r.phase_label AS failed_in, r.error_code, r.error_message, r.attempt,
       r.started_at, r.updated_at AS failed_at, round(r.active_s, 1) AS active_s
FROM analysis_runs AS r
WHERE r.status = 'failed'
ORDER BY r.id DESC""",
    ),
    Question(
        name="time_in_phases",
        title="How long did each phase take?",
        about="Seconds by the wall clock from entering a phase, or taking it up again, to leaving it.",
        sql="""
SELECT run_id, source AS phase, trigger AS left_by, entered_at, at AS left_at,
       round((julianday(at) - julianday(entered_at)) * 86400, 1) AS seconds
FROM (SELECT run_id, seq, trigger, source, at, lag(at) OVER (PARTITION BY run_id ORDER BY seq) AS entered_at
      FROM run_events
      WHERE json_extract(detail, '$.refused') IS NULL)
WHERE entered_at IS NOT NULL AND trigger <> 'resume'
ORDER BY run_id DESC, seq""",
    ),
    Question(
        name="cost_per_run",
        title="What did each run pay a model?",
        about="Calls that have ended, their tokens, and US dollars. Calls of a model without a known price "
        "are counted apart, and cost nothing here.",
        sql="""
SELECT run_id, model, count(*) AS calls, sum(is_answer) AS answers, sum(input_tokens) AS input_tokens,
       sum(output_tokens) AS output_tokens, round(sum(cost_nano_usd) / 1e9, 6) AS cost_usd,
       sum(cost_nano_usd IS NULL) AS calls_without_price
FROM model_calls
GROUP BY run_id, model
ORDER BY run_id DESC, model""",
    ),
    Question(
        name="signals_with_evidence",
        title="Which comments does each signal rest on?",
        about="Signals, newest first, each with its comments, best first. The texts are strangers' words.",
        sql="""
SELECT s.signal_date, s.ticker, s.signal_type, s.prediction, round(s.confidence, 3) AS confidence,
       t.sentiment AS stance, c.score, c.body, c.author, c.reasoning_summary, c.analyzer,
       s.id AS signal_id, c.id AS comment_id
FROM signals AS s
JOIN signal_comments AS e ON e.signal_id = s.id
JOIN comments AS c ON c.id = e.comment_id
LEFT JOIN comment_tickers AS t ON t.comment_id = c.id AND t.ticker = s.ticker
WHERE :ticker IS NULL OR :ticker = '' OR s.ticker = upper(:ticker)
ORDER BY s.signal_date DESC, s.id DESC, c.score DESC, c.id""",
        params=("ticker",),
    ),
    Question(
        name="set_aside_as_injection",
        title="Which comments were set aside, because they give a model orders?",
        about="No analyser read them, and they count for nothing. They are here to be judged by a person.",
        # The plus keeps SQLite from walking all comments by time, which is slow: they lie in another order.
        sql="""
SELECT c.id AS comment_id, c.created_utc, c.score, c.body, c.author, p.title AS post,
       c.analysis_run_id AS seen_first_by_run
FROM comments AS c
JOIN reddit_posts AS p ON p.id = c.post_id
WHERE c.analyzer LIKE 'guard-%'
ORDER BY +c.created_utc DESC, c.id DESC""",
    ),
    Question(
        name="opinions_by_day",
        title="What was said about each ticker, day by day?",
        about="Comments that name a ticker, by stance; one comment counts once for each ticker.",
        sql="""
SELECT substr(c.created_utc, 1, 10) AS day, t.ticker, count(*) AS comments,
       sum(t.sentiment = 'bullish') AS bullish, sum(t.sentiment = 'bearish') AS bearish,
       sum(t.sentiment = 'neutral') AS neutral, count(DISTINCT c.author) AS people
FROM comment_tickers AS t
JOIN comments AS c ON c.id = t.comment_id
WHERE :ticker IS NULL OR :ticker = '' OR t.ticker = upper(:ticker)
GROUP BY day, t.ticker
ORDER BY day DESC, comments DESC, t.ticker""",
        params=("ticker",),
    ),
    Question(
        name="open_positions",
        title="What is held, and how does it stand?",
        about="Open paper positions at their last stored price; a change is a share of one, not percent.",
        sql="""
SELECT p.ticker, f.name AS portfolio, p.direction,
       coalesce(p.shares_remaining, p.contracts_remaining) AS units, p.contract_symbol,
       p.entry_date, p.entry_price, p.last_price,
       round(p.last_price / p.entry_price - 1, 4) AS change, p.last_price_at, p.id AS position_id
FROM positions AS p
JOIN portfolios AS f ON f.id = p.portfolio_id
WHERE p.status = 'open'
ORDER BY p.entry_date DESC, p.id DESC""",
    ),
    Question(
        name="what_was_sold_and_why",
        title="What was sold, and why?",
        about="Each sale of a paper position or of a part of it, newest first, with what it brought.",
        sql="""
SELECT e.exited_at, p.ticker, f.name AS portfolio, e.exit_reason, e.exit_price, p.entry_price,
       e.realized_pnl, coalesce(e.shares_exited, e.contracts_exited) AS units, e.note, p.id AS position_id
FROM position_exits AS e
JOIN positions AS p ON p.id = e.position_id
JOIN portfolios AS f ON f.id = p.portfolio_id
ORDER BY e.exited_at DESC, e.id DESC""",
    ),
    Question(
        name="who_was_right",
        title="Whose predictions came true?",
        about="Authors (pseudonyms) by how many of their predictions ended well. A person's verdict counts.",
        sql="""
SELECT author, count(*) AS resolved, sum(was_right) AS correct, round(avg(was_right), 3) AS share_correct,
       round(avg(simulated_return_pct), 4) AS mean_return
FROM (SELECT c.author, q.simulated_return_pct,
             CASE q.hitl_override WHEN 'correct' THEN 1 WHEN 'incorrect' THEN 0 ELSE q.is_correct END
             AS was_right
      FROM predictions AS q
      JOIN comments AS c ON c.id = q.comment_id
      WHERE q.status = 'resolved' AND c.author IS NOT NULL AND q.hitl_override IS NOT 'excluded')
GROUP BY author
ORDER BY resolved DESC, correct DESC, author""",
    ),
)


def answerable(conn: sqlite3.Connection) -> Iterator[Question]:
    """Yield the questions whose tables and columns this database has."""
    for question in QUESTIONS:
        try:
            conn.execute(f"EXPLAIN {question.sql}", dict.fromkeys(question.params, ""))
        except sqlite3.OperationalError:
            continue
        yield question
