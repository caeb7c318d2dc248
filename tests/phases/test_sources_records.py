"""Lines of an archive, one at a time: whatever they are, they become valid records or counted skips."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from phases.sources.records import MAX_TEXT_CHARS, Wanted, read_record
from phases.tools import Comment, Post, Skipped, SourceItem

AS_OF = datetime(2025, 3, 12, 18, 0, tzinfo=UTC)
NOW_S = int(AS_OF.timestamp())
WANTED = Wanted(subreddit="wallstreetbets", as_of_s=AS_OF.timestamp())

COMMENT: dict[str, Any] = {
    "id": "c1",
    "link_id": "t3_p1",
    "parent_id": "t3_p1",
    "author": "somebody",
    "body": "calls",
    "created_utc": NOW_S - 60,
    "score": 7,
    "retrieved_on": NOW_S,
    "subreddit": "wallstreetbets",
}
POST: dict[str, Any] = {
    "id": "p1",
    "title": "a title",
    "selftext": "a text",
    "author": "somebody",
    "created_utc": NOW_S - 60,
    "score": 7,
    "num_comments": 3,
    "retrieved_on": NOW_S,
    "subreddit": "wallstreetbets",
}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["[deleted]", "t1_c2", "t3_p1", "\ud800", "a\0b", "1e3", "nan", "-1", 10**400, -(2**63)]
    ),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=4), values, max_size=3),
    max_leaves=5,
)
keys = sorted({*COMMENT, *POST, "_meta", "edited", "url", "retrieved_utc", "replies"})
rows = st.builds(
    lambda base, changes, gone: {key: value for key, value in {**base, **changes}.items() if key not in gone},
    st.sampled_from([COMMENT, POST]),
    st.dictionaries(st.sampled_from(keys), json_values, max_size=4),
    st.sets(st.sampled_from(keys), max_size=2),
)


def read(row: object) -> SourceItem:
    return read_record(json.dumps(row).encode(), WANTED)


def comment(**changes: Any) -> Comment:
    item = read({**COMMENT, **changes})
    assert isinstance(item, Comment), item
    return item


def post(**changes: Any) -> Post:
    item = read({**POST, **changes})
    assert isinstance(item, Post), item
    return item


def assert_valid(item: SourceItem) -> None:
    """Hold an item to what the phases and the tables rely on."""
    if isinstance(item, Skipped):
        assert item.reason
        return
    assert 1 <= len(item.reddit_id) <= 20
    assert item.created_utc.tzinfo is UTC
    assert item.created_utc <= AS_OF
    assert item.score is None or abs(item.score) < 2**31
    texts = (
        [item.body, item.author] if isinstance(item, Comment) else [item.title, item.selftext, item.author]
    )
    for text in texts:
        assert text is None or ("\0" not in text and len(text) <= MAX_TEXT_CHARS)
        assert text is None or text.encode("utf-8").decode() == text
    if isinstance(item, Comment):
        assert item.parent_id not in {item.reddit_id, item.post_id}
        assert item.body is None or item.body.strip()
    else:
        assert item.comment_count is None or item.comment_count >= 0


@given(st.binary(max_size=200))
@example(b'{"id": "c1"')
@example(b"\xff\xfe")
@example(b"[" * 10_000)
@example(b'{"a":' * 5_000)
def test_no_line_of_bytes_raises(line: bytes) -> None:
    assert_valid(read_record(line, WANTED))


@given(json_values)
def test_no_json_raises(value: object) -> None:
    assert_valid(read(value))


@given(rows)
def test_no_mistyped_row_raises_and_what_comes_out_is_valid(row: dict[str, Any]) -> None:
    assert_valid(read(row))


@given(rows, st.integers(min_value=1, max_value=10**9))
def test_what_was_created_later_than_as_of_is_never_read(row: dict[str, Any], later_s: int) -> None:
    item = read({**row, "created_utc": NOW_S + later_s})

    assert isinstance(item, Skipped)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "blank_line"),
        (b"  \r\n", "blank_line"),
        (b'{"id": "c1", "bo', "bad_json"),
        (b'{"body": "\\ud800"}', "bad_json"),
        (b'{"body": NaN}', "bad_json"),
        (b"[1, 2]", "not_an_object"),
        (b"17", "not_an_object"),
        (b"null", "not_an_object"),
        (b"{}", "unknown_shape"),
        (b'{"kind": "more"}', "unknown_shape"),
    ],
)
def test_a_useless_line_says_why(line: bytes, reason: str) -> None:
    assert read_record(line, WANTED) == Skipped(reason=reason)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"subreddit": "stocks"}, "other_subreddit"),
        ({"subreddit": 7}, "other_subreddit"),
        ({"id": None}, "missing_id"),
        ({"id": ""}, "missing_id"),
        ({"id": 12}, "bad_id"),
        ({"id": "a b"}, "bad_id"),
        ({"id": "a" * 21}, "bad_id"),
        ({"link_id": None}, "missing_post_id"),
        ({"link_id": "../../etc"}, "bad_post_id"),
        ({"created_utc": None}, "bad_created_utc"),
        ({"created_utc": True}, "bad_created_utc"),
        ({"created_utc": "yesterday"}, "bad_created_utc"),
        ({"created_utc": -1}, "bad_created_utc"),
        ({"created_utc": 10**30}, "bad_created_utc"),
        ({"created_utc": NOW_S + 1}, "later_than_as_of"),
        ({"edited": NOW_S + 1}, "edited_later"),
        ({"edited": True, "retrieved_on": NOW_S + 1}, "edited_later"),
        ({"body": 3}, "bad_body"),
        ({"body": ["calls"]}, "bad_body"),
    ],
)
def test_an_unusable_comment_says_why(changes: dict[str, Any], reason: str) -> None:
    assert read({**COMMENT, **changes}) == Skipped(reason=reason)


@pytest.mark.parametrize("created", [NOW_S - 60, float(NOW_S - 60), str(NOW_S - 60), f"{NOW_S - 60}.0"])
def test_the_instant_of_creation_may_come_as_any_kind_of_number(created: object) -> None:
    assert comment(created_utc=created).created_utc == datetime(2025, 3, 12, 17, 59, tzinfo=UTC)


def test_a_comment_made_exactly_at_as_of_counts() -> None:
    assert comment(created_utc=NOW_S).created_utc == AS_OF


@pytest.mark.parametrize("name", ["wallstreetbets", "WallStreetBets"])
def test_the_subreddit_is_compared_without_case(name: str) -> None:
    assert comment(subreddit=name).reddit_id == "c1"


def test_a_dump_of_one_subreddit_need_not_name_it() -> None:
    assert comment(subreddit=None).reddit_id == "c1"


@pytest.mark.parametrize(
    ("parent", "expected"),
    [
        ("t1_c0", "c0"),
        ("c0", "c0"),
        ("t3_p1", None),
        ("p1", None),
        ("t1_c1", None),  # nobody answers themselves
        (None, None),
        ("", None),
        (4711, None),
    ],
)
def test_the_parent_is_another_comment_or_none(parent: object, expected: str | None) -> None:
    assert comment(parent_id=parent).parent_id == expected


@pytest.mark.parametrize(
    "body", ["[deleted]", "[removed]", "[ Removed by Reddit ]", "[deleted by user]", "", " \n", None]
)
def test_a_deleted_body_is_none(body: str | None) -> None:
    assert comment(body=body).body is None


def test_a_body_that_arctic_shift_knows_to_be_deleted_is_none() -> None:
    assert comment(_meta={"was_deleted_later": True}).body is None
    assert post(_meta={"was_deleted_later": True}).selftext == ""


@pytest.mark.parametrize("author", [None, "[deleted]", "[removed]", "", 12, ["x"]])
def test_a_missing_author_is_none(author: object) -> None:
    assert comment(author=author).author is None


@pytest.mark.parametrize("author", ["AutoModerator", "VisualMod", "RemindMeBot", "some_bot", "wsb-bot"])
def test_a_bot_keeps_its_place_without_author_and_text(author: str) -> None:
    item = comment(author=author, parent_id="t1_c0")

    assert (item.author, item.body, item.parent_id) == (None, None, "c0")


@pytest.mark.parametrize("author", ["abbot", "talbot", "robotics_fan", "Botticelli"])
def test_a_person_whose_name_only_sounds_like_a_bot_stays(author: str) -> None:
    assert comment(author=author).author == author


def test_a_bots_post_keeps_its_title() -> None:
    item = post(author="AutoModerator")

    assert (item.title, item.author) == ("a title", None)


def test_a_score_is_used_where_it_was_seen_by_as_of() -> None:
    assert comment(score=7, retrieved_on=NOW_S).score == 7
    assert post(num_comments=3, retrieved_on=NOW_S).comment_count == 3


@pytest.mark.parametrize(
    "seen",
    [
        {"retrieved_on": NOW_S + 1},
        {"retrieved_on": None},
        {"retrieved_on": "soon"},
        {"retrieved_on": NOW_S, "retrieved_utc": NOW_S + 1},
        {"retrieved_on": NOW_S, "_meta": {"retrieved_2nd_on": NOW_S + 36 * 3600}},
        {"retrieved_on": NOW_S, "_meta": {"retrieved_2nd_on": "later"}},
    ],
)
def test_a_score_seen_later_than_as_of_is_unknown(seen: dict[str, Any]) -> None:
    assert comment(score=4_000, **seen).score is None
    assert post(score=4_000, num_comments=900, **seen).score is None
    assert post(score=4_000, num_comments=900, **seen).comment_count is None


@pytest.mark.parametrize("score", [None, "many", "nan", "-inf", 2**31, -(2**40), 1e300, True, [5]])
def test_a_score_that_is_no_plain_number_is_unknown(score: object) -> None:
    assert comment(score=score).score is None


def test_a_text_edited_before_as_of_is_read() -> None:
    assert comment(edited=NOW_S - 1).body == "calls"
    assert comment(edited=True).body == "calls"
    assert comment(edited=False).body == "calls"


def test_a_post_edited_later_keeps_the_title_that_nobody_can_edit() -> None:
    item = post(edited=NOW_S + 1)

    assert (item.title, item.selftext) == ("a title", None)


def test_text_is_as_a_person_saw_it() -> None:
    assert comment(body="S&amp;P &gt; 500 &lt;b&gt; &amp;amp; a\0b").body == "S&P > 500 <b> &amp; a\ufffdb"


def test_a_text_is_cut_at_reddits_own_limit() -> None:
    assert comment(body="x" * 50_000).body == "x" * MAX_TEXT_CHARS


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://i.redd.it/a.png", "https://i.redd.it/a.png"),
        ("http://i.redd.it/a.png", None),
        ("https://i.redd.it.example.org/a.png", None),
        ("https://user@i.redd.it/a.png", None),
        ("https://169.254.169.254/latest", None),
        ("https://[i.redd.it/a.png", None),
        ("https://i.redd.it/a b\n.png", None),
        (5, None),
    ],
)
def test_only_https_addresses_of_reddits_image_hosts_are_images(url: object, expected: str | None) -> None:
    assert post(url=url).image_url == expected
