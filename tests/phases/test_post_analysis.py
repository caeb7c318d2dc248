"""Phase 7, the authors: what is known of somebody follows from the rows, up to the instant asked for."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phases.config import Config
from phases.post_analysis import update_author_trust
from phases.scoring.authors import TRUST_COLUMNS, History
from phases.scoring.overrides import override
from phases.scoring.trust import Verdict, accuracy, conviction
from phases.stamps import stamp
from phases.tools import Tools
from statemachine.contract import RunStopping

Making = Callable[..., Any]
NOON = datetime(2025, 3, 12, 12, tzinfo=UTC)

# The fixtures handed to laws are builders without state, so sharing them between examples is safe.
law = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Said:
    """One analysed comment and, perhaps, what became of the prediction from it."""

    author: str
    minute: int
    """After noon of the first day."""
    chars: int
    argued: bool
    confidence: float
    score: int
    came_true: bool | None
    override: str | None


said = st.builds(
    Said,
    author=st.sampled_from(["u_a", "u_b", "u_c"]),
    minute=st.integers(0, 5),
    chars=st.integers(1, 900),
    argued=st.booleans(),
    confidence=st.floats(0, 1),
    score=st.integers(-5, 500),
    came_true=st.sampled_from([None, True, False]),
    override=st.sampled_from([None, "correct", "incorrect", "excluded"]),
)
talks = st.lists(said, max_size=12)


class Forum:
    """A database with analysed comments, as phases 3 and 6 leave it."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn
        conn.execute("INSERT INTO analysis_runs (id) VALUES (1)")
        conn.execute("INSERT INTO reddit_posts (id, reddit_id, title, fetched_at) VALUES (1, 'p', 't', '')")
        conn.commit()

    def hear(self, number: int, one: Said) -> None:
        """Store the comment of that number; a prediction is resolved a minute after it was made."""
        at = NOON + timedelta(minutes=one.minute)
        self.conn.execute(
            "INSERT INTO comments (id, analysis_run_id, post_id, reddit_id, author, body, created_utc, score,"
            " sentiment, ai_confidence, has_reasoning, analyzer, analyzed_at)"
            " VALUES (?, 1, 1, ?, ?, ?, ?, ?, 'bullish', ?, ?, 'fake', ?)",
            (number, f"c{number}", one.author, "x" * one.chars, stamp(at), one.score, one.confidence,
             one.argued, stamp(at)),
        )  # fmt: skip
        if one.came_true is not None:
            self._predict(number, one, at + timedelta(minutes=1))
        self.conn.commit()

    def _predict(self, number: int, one: Said, at: datetime) -> None:
        self.conn.execute(
            "INSERT INTO predictions (id, comment_id, ticker, sentiment, option_type, analysis_run_id,"
            " entry_date, status, entry_premium, contracts, contracts_remaining, is_correct, resolved_at,"
            " hitl_override, hitl_override_at, created_at)"
            " VALUES (?, ?, 'GME', 'bullish', 'call', 1, '2025-03-12', 'resolved', 1, 1, 0, ?, ?, ?, ?, '')",
            (number, number, one.came_true, stamp(at), one.override,
             stamp(at + timedelta(minutes=1)) if one.override else None),
        )  # fmt: skip

    def override(self, number: int, verdict: Verdict, at: datetime) -> None:
        assert override(self.conn, number, verdict, at)
        self.conn.commit()

    def authors(self) -> list[tuple[Any, ...]]:
        return self.conn.execute(
            "SELECT username, first_seen, total_comments, high_quality_comments, total_upvotes,"
            " avg_conviction_score, avg_sentiment_accuracy, last_active, known_until FROM authors ORDER BY 1"
        ).fetchall()

    def trust(self, author: str, as_of: datetime) -> float:
        row = self.conn.execute(
            f"SELECT {TRUST_COLUMNS} FROM (SELECT 1) LEFT JOIN authors a ON a.username = ?", (author,)
        ).fetchone()
        return History(self.conn, Config(), as_of).trust(author, row)

    def everything(self) -> list[str]:
        return list(self.conn.iterdump())


@pytest.fixture
def new_forum(new_database: Callable[[], sqlite3.Connection]) -> Callable[[], Forum]:
    return lambda: Forum(new_database())


@pytest.fixture
def forum(conn: sqlite3.Connection) -> Forum:
    return Forum(conn)


@pytest.fixture
def learn(new_ctx: Making, tools: Callable[..., Tools]) -> Callable[..., Any]:
    """Run phase 7 over a forum, a day after noon."""

    def run(forum: Forum, **more: Any) -> Any:
        ctx = new_ctx(forum.conn, tools(as_of=NOON + timedelta(days=1)), **more)
        try:
            update_author_trust(forum.conn, ctx)
            forum.conn.commit()
        finally:
            forum.conn.rollback()
        return ctx

    return run


def verdicts(talk: Sequence[Said]) -> list[bool]:
    """What counts of an author's predictions, in the order in which they were resolved."""
    ordered = sorted(enumerate(talk), key=lambda each: (each[1].minute, each[0]))
    judged = [one for _, one in ordered if one.came_true is not None and one.override != "excluded"]
    return [bool(one.came_true) if one.override is None else one.override == "correct" for one in judged]


# --- laws ---


@law
@given(talk=talks)
def test_an_authors_row_is_what_their_comments_say(
    new_forum: Callable[[], Forum], learn: Making, talk: list[Said]
) -> None:
    forum = new_forum()
    for number, one in enumerate(talk, start=1):
        forum.hear(number, one)

    learn(forum)

    rows = {row[0]: row[2:7] for row in forum.authors()}
    assert set(rows) == {one.author for one in talk}
    for author, row in rows.items():
        own = [one for one in talk if one.author == author]
        stands = [
            conviction(chars=one.chars, has_reasoning=one.argued, ai_confidence=one.confidence) for one in own
        ]
        assert row[:3] == (len(own), sum(one.argued for one in own), sum(one.score for one in own))
        assert row[3] == pytest.approx(sum(stands) / len(own))
        assert row[4] == pytest.approx(accuracy(verdicts(own), 0.3))


@law
@given(talk=talks, again=st.integers(1, 3))
def test_running_the_phase_again_changes_nothing(
    new_forum: Callable[[], Forum], learn: Making, talk: list[Said], again: int
) -> None:
    forum = new_forum()
    for number, one in enumerate(talk, start=1):
        forum.hear(number, one)
    learn(forum)
    before = forum.everything()

    for _ in range(again):
        learn(forum)

    assert forum.everything() == before


@law
@given(talk=talks, data=st.data())
def test_the_order_of_runs_and_how_comments_fall_to_them_does_not_matter(
    new_forum: Callable[[], Forum], learn: Making, talk: list[Said], data: st.DataObject
) -> None:
    numbered = list(enumerate(talk, start=1))
    at_once, bit_by_bit = new_forum(), new_forum()
    for number, one in numbered:
        at_once.hear(number, one)
    learn(at_once)

    for number, one in data.draw(st.permutations(numbered)):
        bit_by_bit.hear(number, one)
        if data.draw(st.booleans()):
            learn(bit_by_bit)
    learn(bit_by_bit)

    assert bit_by_bit.authors() == at_once.authors()


@law
@given(talk=talks, minute=st.integers(0, 9))
def test_what_came_later_changes_no_trust_of_before(
    new_forum: Callable[[], Forum], learn: Making, talk: list[Said], minute: int
) -> None:
    as_of = NOON + timedelta(minutes=minute)
    whole, of_then = new_forum(), new_forum()
    for number, one in enumerate(talk, start=1):
        whole.hear(number, one)
        if one.minute <= minute:
            known = one.came_true if one.minute + 1 <= minute else None
            judged = one.override if one.minute + 2 <= minute else None
            of_then.hear(number, replace(one, came_true=known, override=judged))
    learn(whole)
    learn(of_then)

    for author in ("u_a", "u_b", "u_c"):
        assert whole.trust(author, as_of) == of_then.trust(author, as_of)


# --- examples ---


def words(
    author: str = "u_a",
    *,
    minute: int = 0,
    chars: int = 100,
    argued: bool = True,
    came_true: bool | None = None,
) -> Said:
    return Said(author, minute, chars, argued, 0.8, 3, came_true, None)


def test_the_trust_of_a_newcomer_is_that_of_nobody(forum: Forum) -> None:
    assert forum.trust("u_a", NOON) == 0.5


def test_a_stop_after_the_authors_counts_nobody_twice(forum: Forum, learn: Making) -> None:
    forum.hear(1, words())

    with pytest.raises(RunStopping):
        learn(forum, stop_at_checkpoint=1)
    resumed = learn(forum)

    assert resumed.results["authors_updated"] == 0
    assert [row[2] for row in forum.authors()] == [1]


def test_an_override_may_come_later_and_wins(forum: Forum, learn: Making) -> None:
    forum.hear(1, words(came_true=True))
    forum.hear(2, words(came_true=True, minute=1))
    learn(forum)
    assert [row[6] for row in forum.authors()] == [1.0]

    forum.override(1, "incorrect", NOON + timedelta(hours=1))
    assert [row[6] for row in forum.authors()] == [pytest.approx(0.3)]
    forum.override(1, "excluded", NOON + timedelta(hours=2))
    assert [row[6] for row in forum.authors()] == [1.0]


def test_a_verdict_of_later_is_not_known_earlier(forum: Forum, learn: Making) -> None:
    forum.hear(1, words(came_true=True))
    learn(forum)
    at_first = forum.trust("u_a", NOON + timedelta(hours=1))

    forum.override(1, "incorrect", NOON + timedelta(hours=2))

    assert forum.trust("u_a", NOON + timedelta(hours=1)) == at_first
    assert forum.trust("u_a", NOON + timedelta(hours=2)) == pytest.approx(at_first - 0.5, abs=0.001)


def test_a_deleted_comment_speaks_for_nobody_at_the_next_count(forum: Forum, learn: Making) -> None:
    forum.hear(1, words())
    learn(forum)
    forum.conn.execute("UPDATE comments SET author = NULL, body = NULL WHERE id = 1")
    forum.conn.commit()
    forum.hear(2, words(argued=False, minute=2))

    learn(forum)

    assert [row[2:4] for row in forum.authors()] == [(1, 0)]


def test_a_text_that_was_taken_away_leaves_its_conviction(forum: Forum, learn: Making) -> None:
    forum.hear(1, words(chars=500))
    learn(forum)
    forum.conn.execute("UPDATE comments SET body = NULL WHERE id = 1")
    forum.conn.commit()
    forum.hear(2, words(chars=500, minute=1))

    learn(forum)

    assert [row[5] for row in forum.authors()] == [pytest.approx(0.2 + 0.2 + 0.6 * 0.8)]


def test_progress_is_told_in_authors_then_in_periods(forum: Forum, learn: Making) -> None:
    forum.hear(1, words())
    forum.hear(2, words("u_b"))

    ctx = learn(forum)

    assert ctx.steps == [(1, 2, "author"), (2, 2, "author"), *((done, 4, "period") for done in range(1, 5))]
