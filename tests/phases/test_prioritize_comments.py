"""Phase 2: the formula, term by term, and picks that are the same every time."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phases.config import Config
from phases.fetch_reddit import fetch_reddit
from phases.prioritize_comments import (
    Prioritized,
    best,
    depth_penalty,
    engagement,
    financial_score,
    normalized,
    prioritize_comments,
)
from phases.scoring.trust import author_trust
from phases.tools import Comment

AS_OF = datetime(2025, 3, 12, 18, 0, tzinfo=UTC)

scores = st.builds(
    Prioritized,
    comment_id=st.integers(1, 10**6),
    reddit_id=st.text("abc123", min_size=1, max_size=4),
    has_text=st.booleans(),
    trust=st.floats(0, 1),
    priority=st.sampled_from([-0.1, 0.0, 0.3, 0.3, 0.9]),
)
candidates = st.lists(scores, unique_by=lambda one: one.reddit_id, max_size=20)


def trust(total: int, good: int, accuracy: float | None, days: float) -> float:
    return author_trust(
        Config(), total_comments=total, high_quality_comments=good, accuracy=accuracy, days_active=days
    )


# --- laws ---


@given(st.text())
def test_a_financial_score_is_a_share(body: str) -> None:
    assert 0 <= financial_score(body) <= 1


@given(st.text(), st.sampled_from(["calls", "Due Diligence", "P/E", "IV"]))
def test_case_changes_no_financial_score(body: str, word: str) -> None:
    text = f"{body.encode('ascii', 'ignore').decode()} {word}"

    assert financial_score(text.upper()) == financial_score(text.lower())


@given(st.integers(), st.integers(0, 10**6))
def test_engagement_is_never_below_zero(score: int, answers: int) -> None:
    assert 0 <= engagement(score, answers) < math.inf


@given(st.lists(st.floats(0, 1e9)))
def test_normalized_values_keep_their_order_between_0_and_1(values: list[float]) -> None:
    shares = normalized(values)

    assert all(0 <= share <= 1 for share in shares)
    assert [share for _, share in sorted(zip(values, shares, strict=True))] == sorted(shares)


@given(st.integers(0, 1000), st.integers(0, 1000), st.none() | st.floats(0, 1), st.floats(-1, 10_000))
def test_trust_is_between_0_and_1(total: int, good: int, accuracy: float | None, days: float) -> None:
    assert 0 <= trust(total, good, accuracy, days) <= 1


@given(candidates, st.integers(1, 8), st.randoms(use_true_random=False))
def test_the_best_do_not_depend_on_the_order(comments: list[Prioritized], picks: int, chance: Any) -> None:
    shuffled = list(comments)
    chance.shuffle(shuffled)

    assert best(shuffled, picks) == best(comments, picks)


@given(candidates, st.integers(1, 8))
def test_no_comment_left_out_is_better_than_a_picked_one(comments: list[Prioritized], picks: int) -> None:
    picked = best(comments, picks)
    left = [one for one in comments if one.has_text and one not in picked]

    assert len(picked) == min(picks, sum(one.has_text for one in comments))
    assert all(one.has_text for one in picked)
    assert not picked or all(one.priority <= picked[-1].priority for one in left)


# --- the terms ---


@pytest.mark.parametrize(
    ("body", "score"),
    [
        ("", 0),
        ("   ", 0),
        ("nothing to see here", 0),
        ("calls", 1),
        ("CALLS", 1),
        ("one two three four five six seven eight nine calls", 1),
        (" ".join(["word"] * 19) + " gamma", 0.5),
        (" ".join(["word"] * 18) + " due diligence", 0.5),
        ("called it, shortly, deltas, divide, callsign " + "x " * 30, 0),
        (" ".join(["word"] * 39) + " P/E", 0.25),
        (" ".join(["word"] * 39) + " (IV)", 0.25),
    ],
)
def test_financial_words_count_as_whole_words(body: str, score: float) -> None:
    assert financial_score(body) == pytest.approx(score)


def test_scoring_a_long_text_takes_linear_time() -> None:
    """Forty thousand characters that almost match; a pattern that backtracks would not end."""
    for almost in ("implied volatilit ", "due diligenc ", "p/", "short" * 3):
        assert financial_score((almost * 40_000)[:40_000]) <= 1


@pytest.mark.parametrize(
    ("score", "answers", "expected"),
    [(0, 5, 0), (-9, 5, 0), (9, 0, 0), (math.e - 1, 2, 2), (99, 1, math.log(100))],
)
def test_engagement_is_votes_times_answers(score: int, answers: int, expected: float) -> None:
    assert engagement(score, answers) == pytest.approx(expected)


@pytest.mark.parametrize(("depth", "penalty"), [(0, 0), (1, 0.05), (5, 0.25), (6, 0.3), (60, 0.3)])
def test_depth_costs_up_to_three_tenths(depth: int, penalty: float) -> None:
    assert depth_penalty(depth) == pytest.approx(penalty)


@pytest.mark.parametrize(
    ("total", "good", "accuracy", "days", "expected"),
    [
        (1, 1, None, 0, 0.65),
        (23, 18, 0.68, 45, 0.753),
        (45, 5, 0.32, 60, 0.304),
        (10, 0, 0.0, 0, 0.0),  # an accuracy of zero is known, not missing
        (10, 0, 0.0, -9, 0.0),  # first seen after `as_of`, by a later run
        (0, 0, None, 400, 0.5),
    ],
)
def test_trust_follows_its_formula(
    total: int, good: int, accuracy: float | None, days: float, expected: float
) -> None:
    assert trust(total, good, accuracy, days) == expected


# --- the phase ---


def prioritize(conn: sqlite3.Connection, make_ctx: Callable[..., Any], **more: Any) -> Any:
    ctx = make_ctx(**more)
    prioritize_comments(conn, ctx)
    conn.commit()
    return ctx


def picked(rows: Any, run_id: int = 1) -> list[str]:
    query = (
        "SELECT c.reddit_id FROM run_comments r JOIN comments c ON c.id = r.comment_id "
        "WHERE r.run_id = ? AND r.picked = 1 ORDER BY c.reddit_id"
    )
    return [reddit_id for (reddit_id,) in rows.all(query, run_id)]


def test_the_priority_is_the_weighted_sum(
    conn: sqlite3.Connection, rows: Any, make_ctx: Callable[..., Any]
) -> None:
    post = rows.post()
    rows.author(
        "u_known",
        total_comments=1,
        high_quality_comments=1,
        first_seen="2025-03-12T18:00:00.000Z",
    )
    top = rows.comment("c1", post_id=post, author="u_known", body="calls", score=9)
    for number in range(2, 4):
        rows.comment(
            f"c{number}", post_id=post, parent_comment_id=top, depth=1, body="no such word", author=None
        )

    prioritize(conn, make_ctx)

    stored = dict(rows.all("SELECT reddit_id, prioritization_score FROM comments"))
    assert stored["c1"] == pytest.approx(0.4 * 1 + 0.3 * 0.65 + 0.3 * 1)
    assert stored["c2"] == pytest.approx(0.4 * 0 + 0.3 * 0.5 + 0.3 * 0 - 0.05)
    in_run = dict(
        rows.all(
            "SELECT c.reddit_id, r.priority_score FROM run_comments r JOIN comments c ON c.id = r.comment_id"
        )
    )
    assert in_run == stored


def test_engagement_is_normalised_within_the_post(
    conn: sqlite3.Connection, rows: Any, make_ctx: Callable[..., Any]
) -> None:
    for name, score in (("big", 1000), ("small", 2)):
        post = rows.post(name)
        top = rows.comment(f"{name}1", post_id=post, score=score, body="word", author=None)
        rows.comment(f"{name}2", post_id=post, parent_comment_id=top, depth=1, body="word", author=None)

    prioritize(conn, make_ctx)

    tops = rows.all("SELECT DISTINCT round(prioritization_score, 6) FROM comments WHERE depth = 0")
    assert tops == [(0.45,)]


def test_fifty_of_a_post_are_picked(
    conn: sqlite3.Connection, rows: Any, make_ctx: Callable[..., Any]
) -> None:
    for post_id in (rows.post("p1"), rows.post("p2")):
        for number in range(60):
            rows.comment(f"p{post_id}c{number:02}", post_id=post_id, body="word", author=None)

    ctx = prioritize(conn, make_ctx)

    assert ctx.results["comments_picked"] == 100
    assert picked(rows) == [f"p{post}c{number:02}" for post in (1, 2) for number in range(50)]  # ties by id
    assert ctx.steps[-1] == (120, 120, "comment")


def test_how_many_are_picked_can_be_chosen(
    conn: sqlite3.Connection, rows: Any, make_ctx: Callable[..., Any]
) -> None:
    post = rows.post()
    rows.comment("c1", post_id=post, body="word word word")
    rows.comment("c2", post_id=post, body="calls and puts")

    prioritize(conn, make_ctx, params={"picks_per_post": 1})

    assert picked(rows) == ["c2"]


@pytest.mark.parametrize("picks", [0, -1, 1.5, "50", None, True])
def test_an_unusable_number_of_picks_is_refused(
    picks: object, conn: sqlite3.Connection, make_ctx: Callable[..., Any]
) -> None:
    with pytest.raises(ValueError, match="picks_per_post must be a whole number of at least 1, not"):
        prioritize(conn, make_ctx, params={"picks_per_post": picks})


def test_a_deleted_comment_is_never_picked(
    conn: sqlite3.Connection, rows: Any, make_ctx: Callable[..., Any]
) -> None:
    post = rows.post()
    rows.comment("c1", post_id=post, body=None, author=None, score=5000)

    ctx = prioritize(conn, make_ctx)

    assert ctx.results["comments_picked"] == 0
    assert rows.all("SELECT priority_score, picked FROM run_comments") == [(None, 0)]
    assert rows.all("SELECT prioritization_score FROM comments") == [(None,)]


def test_answers_of_other_runs_are_not_counted(
    conn: sqlite3.Connection, rows: Any, make_ctx: Callable[..., Any]
) -> None:
    post = rows.post()
    top = rows.comment("c1", post_id=post, body="word", author=None, score=100)
    rows.comment("c2", post_id=post, body="word", author=None, parent_comment_id=top, run_id=2)

    prioritize(conn, make_ctx)

    assert rows.all("SELECT round(priority_score, 6) FROM run_comments WHERE run_id = 1") == [(0.15,)]
    assert rows.all("SELECT priority_score FROM run_comments WHERE run_id = 2") == [(None,)]


def test_the_trust_is_stored_for_the_analysis_unless_there_was_one(
    conn: sqlite3.Connection, rows: Any, make_ctx: Callable[..., Any]
) -> None:
    post = rows.post()
    rows.author("u_new", total_comments=10, high_quality_comments=10, avg_sentiment_accuracy=1.0)
    rows.comment("c1", post_id=post, author="u_new")
    rows.comment("c2", post_id=post, author="u_new", sentiment="bullish", author_trust_score=0.123)
    rows.comment("c3", post_id=post, author="u_nobody")

    prioritize(conn, make_ctx)

    stored = dict(rows.all("SELECT reddit_id, author_trust_score FROM comments"))
    assert stored == {"c1": 0.939, "c2": 0.123, "c3": 0.5}


def test_weights_of_trust_come_from_the_configuration(
    conn: sqlite3.Connection, rows: Any, make_ctx: Callable[..., Any]
) -> None:
    post = rows.post()
    rows.author("u_new", total_comments=10, high_quality_comments=10, avg_sentiment_accuracy=0.0)
    rows.comment("c1", post_id=post, author="u_new")
    for key, value in (("quality", "1.0"), ("accuracy", "0"), ("tenure", "0")):
        rows.insert("system_config", key=f"trust_weight_{key}", value=value, updated_at="2025-03-12")

    prioritize(conn, make_ctx)

    assert rows.all("SELECT author_trust_score FROM comments") == [(1.0,)]


def test_a_second_entry_changes_no_row_and_withdraws_old_picks(
    conn: sqlite3.Connection, rows: Any, make_ctx: Callable[..., Any]
) -> None:
    post = rows.post()
    rows.comment("c1", post_id=post, body="word word word", picked=1)
    rows.comment("c2", post_id=post, body="calls and puts")
    query = "SELECT * FROM run_comments JOIN comments ON id = comment_id ORDER BY id"

    prioritize(conn, make_ctx, params={"picks_per_post": 1})
    before = rows.all(query)
    prioritize(conn, make_ctx, params={"picks_per_post": 1})

    assert rows.all(query) == before
    assert picked(rows) == ["c2"]


def test_the_phase_follows_the_fetch(
    conn: sqlite3.Connection, rows: Any, make_ctx: Callable[..., Any], tools: Callable[..., Any]
) -> None:
    items = [
        Comment(reddit_id=f"c{n}", post_id="p1", author="a", body="calls", created_utc=AS_OF)
        for n in range(3)
    ]
    ctx = make_ctx(tools(items=items))
    fetch_reddit(conn, ctx)

    prioritize_comments(conn, ctx)

    assert picked(rows) == ["c0", "c1", "c2"]
    assert rows.all("SELECT DISTINCT round(author_trust_score, 3) FROM comments") == [(0.5,)]


def test_many_posts_are_made_durable_little_by_little(
    conn: sqlite3.Connection, rows: Any, make_ctx: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("phases.prioritize_comments"), "COMMENTS_PER_CHECKPOINT", 2)
    for number in range(4):
        rows.comment(f"c{number}", post_id=rows.post(f"p{number}"))

    assert prioritize(conn, make_ctx).checkpoints == 2


def steps(conn: sqlite3.Connection, do: Callable[[], object]) -> int:
    """Return how many hundreds of instructions SQLite executes; a measure of work without a clock."""
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    conn.set_progress_handler(tick, 100)
    do()
    conn.set_progress_handler(None, 0)
    return count


@pytest.mark.parametrize(("posts", "comments_per_post"), [(20, 20), (1, 400)])
def test_the_work_grows_with_the_comments_and_not_with_their_square(
    posts: int,
    comments_per_post: int,
    new_database: Callable[..., sqlite3.Connection],
    new_ctx: Any,
    tools: Any,
) -> None:
    def work(scale: int) -> int:
        conn = new_database()
        items = [
            Comment(
                reddit_id=f"c{number}",
                post_id=f"p{number % (posts * scale)}",
                parent_id=f"c{number - posts * scale}" if number >= posts * scale and number % 3 else None,
                author=f"a{number % 50}",
                body="calls",
                created_utc=AS_OF,
            )
            for number in range(posts * comments_per_post * scale)
        ]
        ctx = new_ctx(conn, tools(items=items))
        return steps(conn, lambda: (fetch_reddit(conn, ctx), prioritize_comments(conn, ctx)))

    assert work(8) < 12 * work(1)
