"""Phase 1: every post and comment once, whatever the order, the interruptions and the deletions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phases.fetch_reddit import fetch_reddit
from phases.sources.archive import ArchiveSource
from phases.tools import Comment, Post, Skipped, SourceItem, SourceUnavailable
from statemachine.contract import RunStopping

MODULE = import_module("phases.fetch_reddit")  # the package shows the function of that name
AS_OF = datetime(2025, 3, 12, 18, 0, tzinfo=UTC)
WSB = Path(__file__).parents[2] / "../shared/data/wsb"


def comment(reddit_id: str, parent: str | None = None, *, hours_ago: float = 1, **changes: Any) -> Comment:
    base = Comment(
        reddit_id=reddit_id,
        post_id="p1",
        parent_id=parent,
        author=f"author of {reddit_id}",
        body=f"body of {reddit_id}",
        created_utc=AS_OF - timedelta(hours=hours_ago),
        score=3,
    )
    return replace(base, **changes)


def post(reddit_id: str = "p1", **changes: Any) -> Post:
    base = Post(
        reddit_id=reddit_id,
        title=f"title of {reddit_id}",
        selftext="a text",
        author="op",
        created_utc=AS_OF - timedelta(hours=5),
    )
    return replace(base, **changes)


def deleted(item: Comment) -> Comment:
    return replace(item, body=None, author=None)


def content(conn: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that the phase wrote, by natural keys, so that the order of insertion doesn't show."""
    queries = {
        "posts": "SELECT reddit_id, title, selftext, author, upvotes, total_comments, is_stub, fetched_at "
        "FROM reddit_posts ORDER BY 1",
        "comments": "SELECT c.reddit_id, p.reddit_id, c.author, c.body, c.created_utc, c.score, "
        "parent.reddit_id, c.depth, c.analysis_run_id, c.reasoning_summary "
        "FROM comments c JOIN reddit_posts p ON p.id = c.post_id"
        " LEFT JOIN comments parent ON parent.id = c.parent_comment_id ORDER BY 1",
        "authors": "SELECT username, first_seen, last_active, total_comments FROM authors ORDER BY 1",
        "runs": "SELECT r.run_id, c.reddit_id, r.picked "
        "FROM run_comments r JOIN comments c ON c.id = r.comment_id ORDER BY 1, 2",
    }
    return {name: conn.execute(query).fetchall() for name, query in queries.items()}


Fetch = Callable[..., Any]


@pytest.fixture(scope="session")
def fetch_on(new_ctx: Callable[..., Any], tools: Callable[..., Any]) -> Fetch:
    """Return a function that runs the phase over items on a database and returns its context."""

    def run(conn: sqlite3.Connection, items: Sequence[SourceItem], **more: Any) -> Any:
        chosen = {name: more.pop(name) for name in ("as_of", "source") if name in more}
        if "source" not in chosen:
            chosen["items"] = items
        ctx = new_ctx(conn, tools(**chosen), **more)
        fetch_reddit(conn, ctx)
        conn.commit()
        return ctx

    return run


@pytest.fixture
def fetch(conn: sqlite3.Connection, fetch_on: Fetch) -> Fetch:
    """Return the same for `conn`."""
    return partial(fetch_on, conn)


# --- laws ---

ids = [f"c{number}" for number in range(7)]
comments = st.builds(
    comment,
    st.sampled_from(ids),
    st.sampled_from([*ids, "unknown", None]),
    hours_ago=st.sampled_from([1, 30, 100]),
).map(lambda item: item if item.parent_id != item.reddit_id else replace(item, parent_id=None))
unique_comments = st.lists(comments, unique_by=lambda item: item.reddit_id, max_size=len(ids))


@given(items=unique_comments, data=st.data())
def test_the_order_of_items_and_their_repetition_change_nothing(
    items: list[Comment],
    data: st.DataObject,
    new_database: Callable[..., sqlite3.Connection],
    fetch_on: Fetch,
) -> None:
    everything: list[SourceItem] = [*items, post(), comment("fixed")]
    gone = [deleted(item) for item in items if data.draw(st.booleans())]
    again = data.draw(st.lists(st.sampled_from(everything), max_size=4))
    one, other = new_database(), new_database()

    fetch_on(one, [*everything, *gone])
    fetch_on(other, data.draw(st.permutations([*everything, *gone, *again])))

    assert content(one) == content(other)


@given(items=unique_comments, run_ids=st.sampled_from([(1, 1), (1, 2)]))
def test_a_second_run_over_the_same_source_changes_no_row(
    items: list[Comment],
    run_ids: tuple[int, int],
    new_database: Callable[..., sqlite3.Connection],
    fetch_on: Fetch,
) -> None:
    database = new_database()
    everything = [*items, post(), comment("fixed")]

    first = fetch_on(database, everything, run_id=run_ids[0])
    before = content(database)
    second = fetch_on(database, everything, run_id=run_ids[1])
    after = content(database)

    assert [row[1:] for row in before.pop("runs")] == [
        row[1:] for row in after.pop("runs") if row[0] == run_ids[1]
    ]
    assert before == after
    assert first.results == second.results


@given(items=unique_comments, later_h=st.floats(min_value=0.001, max_value=1000))
def test_later_items_change_nothing(
    items: list[Comment], later_h: float, new_database: Callable[..., sqlite3.Connection], fetch_on: Fetch
) -> None:
    one, other = new_database(), new_database()
    future = [
        comment("x1", "fixed", hours_ago=-later_h),
        comment("x2", hours_ago=-later_h, body=None),
        post("x3", created_utc=AS_OF + timedelta(hours=later_h)),
    ]

    fetch_on(one, [*items, comment("fixed")])
    fetch_on(other, [*future, *items, comment("fixed")])

    assert content(one) == content(other)


@given(items=unique_comments, stop_at=st.integers(1, 6))
@settings(max_examples=50)
def test_an_interrupted_phase_that_is_entered_again_ends_as_if_nothing_had_happened(
    items: list[Comment],
    stop_at: int,
    new_database: Callable[..., sqlite3.Connection],
    fetch_on: Fetch,
) -> None:
    one, other = new_database(), new_database()
    everything = [*items, post(), comment("fixed")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "BATCH_ITEMS", 2)
        fetch_on(one, everything)
        try:
            fetch_on(other, everything, stop_at_checkpoint=stop_at)
        except RunStopping:
            fetch_on(other, everything)

    assert content(one) == content(other)


# --- the tree ---


def depths(conn: sqlite3.Connection) -> dict[str, tuple[str | None, int]]:
    rows = conn.execute(
        "SELECT c.reddit_id, p.reddit_id, c.depth "
        "FROM comments c LEFT JOIN comments p ON p.id = c.parent_comment_id"
    )
    return {reddit_id: (parent, depth) for reddit_id, parent, depth in rows}


def test_parents_and_depths_are_found_whatever_comes_first(conn: sqlite3.Connection, fetch: Fetch) -> None:
    fetch([comment("c3", "c2"), comment("c2", "c1"), comment("c1"), post()])

    assert depths(conn) == {"c1": (None, 0), "c2": ("c1", 1), "c3": ("c2", 2)}


def test_a_parent_that_comes_in_a_later_run_is_linked_then(conn: sqlite3.Connection, fetch: Fetch) -> None:
    fetch([comment("c2", "c1"), comment("c3", "c2")])
    assert depths(conn) == {"c2": (None, 1), "c3": ("c2", 2)}

    fetch([comment("c1", "c0"), comment("c0")], run_id=2)

    assert depths(conn) == {"c0": (None, 0), "c1": ("c0", 1), "c2": ("c1", 2), "c3": ("c2", 3)}


def test_comments_that_answer_each_other_in_a_circle_are_cut_apart(
    conn: sqlite3.Connection, fetch: Fetch
) -> None:
    fetch([comment("c1", "c3"), comment("c2", "c1"), comment("c3", "c2"), comment("c4", "c3"), comment("c5")])

    assert depths(conn) == {
        "c1": (None, 1),
        "c2": (None, 1),
        "c3": (None, 1),
        "c4": (None, 1),
        "c5": (None, 0),
    }


def test_a_comment_that_answers_itself_is_nobodys_answer(conn: sqlite3.Connection, fetch: Fetch) -> None:
    fetch([comment("c1", "c1")])

    assert depths(conn)["c1"][0] is None


def test_a_parent_under_another_post_is_none(conn: sqlite3.Connection, fetch: Fetch) -> None:
    fetch([comment("c1"), comment("c2", "c1", post_id="p2")])

    assert depths(conn)["c2"] == (None, 1)


def test_a_thread_of_a_thousand_answers_is_followed_to_its_end(
    conn: sqlite3.Connection, fetch: Fetch
) -> None:
    fetch([comment(f"c{n}", f"c{n - 1}" if n else None) for n in range(1000)])

    assert depths(conn)["c999"] == ("c998", 999)


# --- what counts ---


def test_only_comments_of_the_look_back_count_for_the_run(conn: sqlite3.Connection, fetch: Fetch) -> None:
    ctx = fetch(
        [
            comment("now", "before", hours_ago=0),
            comment("edge", hours_ago=24),
            comment("before", hours_ago=24.01),
            comment("context", hours_ago=72),
            comment("old", hours_ago=72.01),
        ]
    )

    assert [row[1] for row in content(conn)["runs"]] == ["edge", "now"]
    assert set(depths(conn)) == {"now", "edge", "before", "context"}
    assert depths(conn)["now"] == ("before", 1)
    assert ctx.results["comments"] == 2
    assert ctx.results["skipped"] == {"older_than_context": 1}


def test_the_look_back_can_be_chosen(fetch: Fetch) -> None:
    items = [comment("c1", hours_ago=1), comment("c2", hours_ago=3)]

    assert fetch(items, params={"lookback_hours": 2}).results["comments"] == 1
    assert fetch(items, params={"lookback_hours": 3.5}, run_id=2).results["comments"] == 2


@pytest.mark.parametrize("hours", [0, -1, "24", None, True, float("nan"), float("inf"), 10**9])
def test_an_unusable_look_back_is_refused_with_what_is_allowed(hours: object, fetch: Fetch) -> None:
    with pytest.raises(ValueError, match="lookback_hours must be a number above 0 and at most 8784"):
        fetch([comment("c1")], params={"lookback_hours": hours})


def test_a_post_that_never_comes_is_kept_as_a_stub(conn: sqlite3.Connection, fetch: Fetch) -> None:
    fetch([comment("c1")])
    assert content(conn)["posts"] == [("p1", "", "", None, 0, 0, 1, "2025-03-12T18:00:00.000Z")]

    fetch([comment("c1"), post(score=9, comment_count=4)], run_id=2)

    (row,) = content(conn)["posts"]
    assert row[:3] == ("p1", "title of p1", "a text")
    assert row[4:7] == (9, 4, 0)


def test_a_stub_never_replaces_a_post(conn: sqlite3.Connection, fetch: Fetch) -> None:
    fetch([post(), comment("c1")])

    fetch([comment("c2")], run_id=2)

    assert content(conn)["posts"][0][1] == "title of p1"


def test_old_posts_are_left_aside(conn: sqlite3.Connection, fetch: Fetch) -> None:
    fetch([comment("c1"), post("p9", created_utc=AS_OF - timedelta(days=16))])

    assert [row[0] for row in content(conn)["posts"]] == ["p1"]


def test_names_never_reach_the_database(conn: sqlite3.Connection, fetch: Fetch) -> None:
    fetch([post(author="op"), comment("c1", author="somebody")])

    dump = "\n".join(conn.iterdump())
    assert "somebody" not in dump
    assert "'op'" not in dump
    assert content(conn)["authors"][0][0].startswith("u_")


def test_an_authors_row_spans_their_comments(conn: sqlite3.Connection, fetch: Fetch) -> None:
    fetch([comment("c1", author="a", hours_ago=2), comment("c2", author="a", hours_ago=5)])

    ((_, first_seen, last_active, total),) = content(conn)["authors"]
    assert (first_seen, last_active) == ("2025-03-12T13:00:00.000Z", "2025-03-12T16:00:00.000Z")
    assert total == 0  # counted when they are analysed


def test_the_newest_score_is_kept(conn: sqlite3.Connection, fetch: Fetch) -> None:
    fetch([comment("c1", score=50)])
    fetch([comment("c1", score=20)], run_id=2)

    assert content(conn)["comments"][0][5] == 20


def test_a_score_that_is_not_known_yet_leaves_the_one_that_was_seen(
    conn: sqlite3.Connection, fetch: Fetch
) -> None:
    fetch([comment("c1", score=50), comment("c1", score=None), comment("c2", score=None)])

    assert [row[5] for row in content(conn)["comments"]] == [50, 1]


def test_a_later_wording_of_a_post_leaves_the_one_that_was_seen(
    conn: sqlite3.Connection, fetch: Fetch
) -> None:
    seen = replace(post("p1"), selftext="as it was", score=9, comment_count=3)
    later = replace(seen, selftext=None, score=None, comment_count=None)

    fetch([comment("c1"), seen, later])

    assert conn.execute("SELECT selftext, upvotes, total_comments FROM reddit_posts").fetchall() == [
        ("as it was", 9, 3)
    ]


def test_hostile_text_is_kept_as_it_is(conn: sqlite3.Connection, fetch: Fetch) -> None:
    body = "'); DROP TABLE comments; -- <script> \x1b[2J \u202e"

    fetch([comment("c1", body=body)])

    assert content(conn)["comments"][0][3] == body


# --- deletion ---


def analyze(conn: sqlite3.Connection, reddit_id: str) -> None:
    conn.execute(
        "UPDATE comments SET sentiment = 'bullish', ai_confidence = 0.8, "
        "analyzed_at = '2025-03-12T18:00:00.000Z', has_reasoning = 1, "
        "reasoning_summary = 'because of the body', sketch = '1 2 3 4 5' WHERE reddit_id = ?",
        (reddit_id,),
    )
    conn.commit()


def test_a_deletion_purges_the_text_and_what_may_quote_it_and_keeps_our_own_words(
    conn: sqlite3.Connection, fetch: Fetch
) -> None:
    fetch([comment("c1"), comment("c2")])
    analyze(conn, "c1")

    fetch([deleted(comment("c1")), comment("c2")], run_id=2)

    row = conn.execute(
        "SELECT author, body, reasoning_summary, sketch, sentiment, has_reasoning, ai_confidence "
        "FROM comments WHERE reddit_id = 'c1'"
    ).fetchone()
    assert row == (None, None, None, None, "bullish", 1, 0.8)


def test_who_has_no_text_counts_as_nobody(conn: sqlite3.Connection, fetch: Fetch) -> None:
    fetch([comment("c1", author="removed by a moderator", body=None), comment("c2")])

    assert content(conn)["comments"][0][2:4] == (None, None)
    assert len(content(conn)["authors"]) == 1


def test_a_deleted_text_never_comes_back(conn: sqlite3.Connection, fetch: Fetch) -> None:
    fetch([deleted(comment("c1")), comment("c2")])

    fetch([comment("c1"), comment("c2")], run_id=2)

    assert content(conn)["comments"][0][2:4] == (None, None)


def test_the_deletion_of_an_old_comment_is_honoured_too(conn: sqlite3.Connection, fetch: Fetch) -> None:
    fetch([comment("c1"), comment("c2")])
    week = AS_OF + timedelta(days=7)
    fresh = comment("c3", created_utc=week)

    fetch([deleted(comment("c1")), deleted(comment("c9")), fresh], run_id=2, as_of=week)

    texts = {row[0]: row[3] for row in content(conn)["comments"]}
    assert texts == {"c1": None, "c2": "body of c2", "c3": "body of c3"}


def test_a_deleted_post_loses_its_text_for_good(conn: sqlite3.Connection, fetch: Fetch) -> None:
    gone = post(author=None, selftext="", title="")
    fetch([post(), comment("c1")])
    fetch([gone, comment("c1")], run_id=2)
    fetch([post(), comment("c1")], run_id=3)

    assert content(conn)["posts"][0][1:4] == ("", "", None)


def test_an_analysed_text_stays_the_one_that_was_analysed(conn: sqlite3.Connection, fetch: Fetch) -> None:
    fetch([comment("c1"), comment("c2")])
    analyze(conn, "c1")

    fetch([comment("c1", body="edited"), comment("c2", body="edited")], run_id=2)

    assert [row[3] for row in content(conn)["comments"]] == ["body of c1", "edited"]


# --- what is said ---


def test_expected_variation_is_counted_without_a_warning(fetch: Fetch) -> None:
    ctx = fetch([comment("c1"), Skipped(reason="blank_line"), Skipped(reason="other_subreddit")])

    assert ctx.warnings == []
    assert ctx.results == {
        "posts": 1,
        "comments": 1,
        "comments_without_text": 0,
        "skipped": {"blank_line": 1, "other_subreddit": 1},
    }


def test_unexpected_skips_are_warned_of_with_the_first_places(fetch: Fetch) -> None:
    broken = [Skipped(reason="bad_json", detail=f"a line {number}") for number in range(9)]

    ctx = fetch(
        [*broken, comment("c1"), Skipped(reason="truncated", detail="a"), Skipped(reason="blank_line")]
    )

    (warning,) = ctx.warnings
    assert warning["type"] == "source_items_skipped"
    assert warning["message"] == "10 items of the source could not be used: 9 bad_json, 1 truncated"
    assert warning["context"] == {
        "reasons": {"bad_json": 9, "truncated": 1},
        "examples": {"bad_json": ["a line 0", "a line 1", "a line 2"], "truncated": ["a"]},
    }


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([], "no comment by then"),
        ([Skipped(reason="other_subreddit")], "1 other_subreddit"),
    ],
)
def test_a_source_without_any_comment_fails_the_run_and_says_what_to_do(
    items: list[SourceItem], said: str, fetch: Fetch
) -> None:
    with pytest.raises(SourceUnavailable) as failure:
        fetch(items)

    assert said in str(failure.value)
    assert "between 2025-03-11T18:00:00.000Z and 2025-03-12T18:00:00.000Z" in str(failure.value)
    assert "set as_of" in str(failure.value)


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (comment("c1", body=None), "newest comment is of 2025-03-12T17:00:00.000Z"),
        (comment("c1", hours_ago=900), "newest comment is of 2025-02-03"),
    ],
)
def test_a_quiet_source_is_a_warning_because_open_positions_are_still_watched(
    item: SourceItem, said: str, fetch: Fetch
) -> None:
    ctx = fetch([item])

    (warning,) = ctx.warnings
    assert warning["type"] == "no_recent_comments"
    assert said in warning["message"]


def test_a_source_that_fails_in_the_middle_fails_the_phase(conn: sqlite3.Connection, fetch: Fetch) -> None:
    class Failing:
        name = "failing"

        def read(self, **_: Any) -> Iterator[SourceItem]:
            yield comment("c1")
            raise SourceUnavailable("Reddit is down")

    with pytest.raises(SourceUnavailable, match="Reddit is down"):
        fetch([], source=Failing())
    assert not conn.in_transaction


# --- the contract of a phase ---


def test_the_source_is_never_read_while_rows_wait_to_be_committed(
    conn: sqlite3.Connection, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODULE, "BATCH_ITEMS", 2)

    class Watching:
        name = "watching"

        def read(self, **_: Any) -> Iterator[SourceItem]:
            for number in range(7):
                assert not conn.in_transaction
                yield comment(f"c{number}")

    ctx = fetch([], source=Watching())

    assert ctx.results["comments"] == 7
    assert ctx.checkpoints >= 4


def test_a_cancel_is_noticed_where_a_source_has_nothing_of_use(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODULE, "LOOK_UP_ITEMS", 10)
    read: list[int] = []

    class Useless:
        name = "useless"

        def read(self, **_: Any) -> Iterator[SourceItem]:
            for number in range(1000):
                read.append(number)
                yield Skipped(reason="other_subreddit")

    with pytest.raises(RunStopping):
        fetch([], source=Useless(), stop_at_checkpoint=0)
    assert len(read) == 10


# --- a real archive ---


@pytest.mark.slow
@pytest.mark.skipif(not WSB.is_dir(), reason="the real archives are not on this machine")
def test_a_real_day_is_stored_whole(conn: sqlite3.Connection, fetch: Fetch) -> None:
    source = ArchiveSource([WSB / "wsb_comments_2020-12-01.ndjson", WSB / "wsb_posts_2020-12-01.ndjson"])
    as_of = datetime(2020, 12, 1, 18, 0, tzinfo=UTC)

    ctx = fetch([], source=source, as_of=as_of)
    before = content(conn)
    again = fetch([], source=source, as_of=as_of)

    # 200 of the 1,200 lines are repetitions.
    assert ctx.results == {"posts": 119, "comments": 1000, "comments_without_text": 41, "skipped": {}}
    assert ctx.warnings == []
    assert again.results == ctx.results
    assert content(conn) == before
