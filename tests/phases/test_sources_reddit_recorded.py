"""Live Reddit, read with the real client from recorded exchanges (`shared/data/reddit`).

What the recordings lack is in `test_sources_reddit.py`, made up in documented shapes: quarantined and private
subreddits, a 429 in the middle of a tree, `score_hidden` among comments, and Reddit's fields of today.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from phases.tools import Comment, Post, PostEnd, Skipped, SourceUnavailable
from tests.replay import recordings
from tests.replay.reading import Reader, WaitingClock, of_kind
from tests.replay.recordings import FOLDER, TOKEN_PATH, answer_of, cassette, errors, in_order, tree
from tests.replay.server import Answer, Asked

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the recordings are not on this machine")

RETRIES = 4


def at(year: int, month: int, day: int) -> Reader:
    """Return a reader that lives when a cassette was recorded."""
    return Reader(clock=WaitingClock(datetime(year, month, day, 12, tzinfo=UTC)), time_s=10**6)


def a_list_of(exchanges: list[Any]) -> Any:
    """Return a list of hot posts that holds the post of a recorded page."""
    page = next(each for each in exchanges if isinstance(each["body"], list))
    return page["body"][0]


def all_of(kind: str, value: object) -> list[dict[str, Any]]:
    """Return the data of every thing of a kind, however deep it lies."""
    found, waiting = [], [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            if each.get("kind") == kind:
                found.append(each["data"])
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
    return found


# --- posts ---


def test_a_recorded_list_of_hot_posts_is_read_pinned_ones_first() -> None:
    exchanges = cassette("TestSubredditListings.test_hot")
    reader = at(2016, 3, 1)

    def answer(asked: Asked) -> Answer:
        if asked.path == TOKEN_PATH:
            return answer_of(exchanges[0])
        return (
            answer_of(exchanges[1])
            if asked.path == "/r/AskReddit/hot"
            else Answer([{}, {"data": {"children": []}}])
        )

    items = reader.read(answer, subreddit="AskReddit")

    recorded = all_of("t3", exchanges[1]["body"]["data"]["children"][:10])
    assert {each.reddit_id for each in of_kind(items, Post)} == {row["id"] for row in recorded}
    assert sum(row["stickied"] for row in recorded) == 2
    assert reader.server is not None
    assert reader.server.asked[1].query["limit"] == "10"


# --- trees ---


def test_a_recorded_tree_with_links_and_threads_that_go_on_is_read_whole() -> None:
    exchanges = cassette("TestCommentForest.test_replace__all")
    reader = at(2016, 3, 22)

    items = reader.read(tree(exchanges, a_list_of(exchanges)), subreddit="funny")

    recorded = {row["id"]: row for row in all_of("t1", [each["body"] for each in exchanges])}
    found = {each.reddit_id: each for each in of_kind(items, Comment)}
    assert set(found) == set(recorded)
    assert of_kind(items, PostEnd) == [PostEnd(post_id="c9lkd98")]
    for name, row in recorded.items():
        parent = row["parent_id"]
        assert found[name].parent_id == (parent.removeprefix("t1_") if parent.startswith("t1_") else None)
        assert found[name].created_utc.timestamp() == row["created_utc"]
        assert found[name].score == row["score"]
        assert (found[name].body is None) == (row["body"] in {"[deleted]", "[removed]"})
    assert reader.asked["/api/morechildren/"] == 12
    assert sum("/_/" in path for path in reader.asked) == 6


def test_a_budget_cuts_a_recorded_tree_and_says_what_it_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phases.sources.reddit.REQUESTS_PER_POST", 4)
    exchanges = cassette("TestCommentForest.test_replace__all")

    items = at(2016, 3, 22).read(tree(exchanges, a_list_of(exchanges)), subreddit="funny")

    (end,) = of_kind(items, PostEnd)
    more = sorted((row["count"] for row in all_of("more", exchanges[1]["body"])), reverse=True)
    assert end.comments_left == sum(more[3:])
    assert end.links_left == len(more) - 3


def test_a_recorded_page_with_192_links_is_read_within_the_budget() -> None:
    page = cassette("TestComment.test_refresh__removed_comment")[2]
    reader = at(2017, 8, 31)

    def answer(asked: Asked) -> Answer:
        if asked.path == TOKEN_PATH:
            return Answer(recordings.TOKEN)
        if asked.path.endswith("/hot"):
            return Answer(page["body"][0])
        return Answer({"error": 404}, 404) if asked.path == "/api/morechildren/" else answer_of(page)

    items = reader.read(answer, subreddit="AskReddit")

    (end,) = of_kind(items, PostEnd)
    assert len(of_kind(items, Comment)) == len(all_of("t1", page["body"]))
    assert (end.comments_left, end.reason) == (6_290, "budget")
    assert end.links_left > 192  # the longest has 707 ids, which are asked for in parts
    assert reader.asked["/api/morechildren/"] == 31


def test_a_recorded_comment_that_was_deleted_brings_no_text() -> None:
    (row,) = all_of("t1", cassette("TestComment.test_refresh__deleted_comment"))
    post = a_list_of(cassette("TestComment.test_refresh__deleted_comment"))
    page = [post, {"kind": "Listing", "data": {"children": [{"kind": "t1", "data": row}]}}]

    def answer(asked: Asked) -> Answer:
        if asked.path == TOKEN_PATH:
            return Answer(recordings.TOKEN)
        return Answer(post if asked.path.endswith("/hot") else page)

    (found,) = of_kind(at(2016, 9, 27).read(answer, subreddit="test"), Comment)

    assert (found.author, found.body) == (None, None)


# --- every recorded failure ---

OUTAGE = "Reddit can't be read"
WRONG = "REDDIT_CLIENT_SECRET"
SUBREDDIT = "r/wallstreetbets"
FAILURES = {
    "TestAuthorizer.test_authorize__with_invalid_code": ("200 invalid_grant", WRONG, 0),
    "TestAuthorizer.test_refresh__with_invalid_token": ("(400)", WRONG, 0),
    "TestDeviceIDAuthorizer.test_refresh__with_short_device_id": ("invalid_request", WRONG, 0),
    "TestScriptAuthorizer.test_refresh__with_invalid_otp": ("invalid_grant", WRONG, 0),
    "TestScriptAuthorizer.test_refresh__with_invalid_username_or_password": ("unauthorized_client", WRONG, 0),
    "TestSession.test_request__bad_gateway": ("502", OUTAGE, RETRIES),
    "TestSession.test_request__bad_json": ("no JSON", OUTAGE, RETRIES),
    "TestSession.test_request__bad_request": ("400 GOLD_REQUIRED", SUBREDDIT, 1),
    "TestSession.test_request__cloudflare_connection_timed_out": ("522", OUTAGE, RETRIES),
    "TestSession.test_request__cloudflare_unknown_error": ("520", OUTAGE, RETRIES),
    "TestSession.test_request__conflict": ("409 EDIT_CONFLICT", SUBREDDIT, 1),
    "TestSession.test_request__forbidden": ("forbids this application", SUBREDDIT, 1),
    "TestSession.test_request__gateway_timeout": ("504", OUTAGE, RETRIES),
    "TestSession.test_request__internal_server_error": ("500", OUTAGE, RETRIES),
    "TestSession.test_request__no_content": ("204", SUBREDDIT, 1),
    "TestSession.test_request__not_found": ("Reddit has no", SUBREDDIT, 1),
    "TestSession.test_request__okay_with_0_byte_content": ("is empty", OUTAGE, RETRIES),
    "TestSession.test_request__redirect": ("leads elsewhere", SUBREDDIT, 1),
    "TestSession.test_request__redirect_301": ("leads elsewhere", SUBREDDIT, 1),
    "TestSession.test_request__service_unavailable": ("503", OUTAGE, RETRIES),
    "TestSession.test_request__too__many_requests__with_retry_headers": ("429", "wait ten minutes", RETRIES),
    "TestSession.test_request__too__many_requests__without_retry_headers": ("429", "wait ten minutes", 0),
    "TestSession.test_request__unavailable_for_legal_reasons": ("legal reasons", SUBREDDIT, 1),
    "TestSession.test_request__unexpected_status_code": ("205", SUBREDDIT, 1),
    "TestSession.test_request__unsupported_media_type": ("415 SPECIAL_ERRORS", SUBREDDIT, 1),
    "TestSession.test_request__uri_too_long": ("414", SUBREDDIT, 1),
    "TestSession.test_request__with_insufficient_scope": ("403", SUBREDDIT, 1),
    "TestSession.test_request__with_invalid_access_token": ("401", WRONG, RETRIES),
}
"""What is said of each recorded failure, what else to do, and how often it is asked for the subreddit."""


@pytest.mark.parametrize("name", FAILURES)
def test_every_recorded_failure_has_a_name_and_says_what_to_do(name: str) -> None:
    said, what_to_do, asked = FAILURES[name]
    reader = Reader()

    with pytest.raises(SourceUnavailable) as failure:
        reader.read(in_order(errors()[name]))

    assert said in str(failure.value)
    assert what_to_do in str(failure.value)
    assert "\n" not in str(failure.value)
    assert reader.asked["/r/wallstreetbets/hot"] == asked


def test_no_recorded_failure_is_left_out() -> None:
    failures = {
        name
        for name, exchanges in errors().items()
        if exchanges[-1]["status"] not in {200, 201, 202}
        or "error" in exchanges[-1]["body"]
        or name.endswith(("bad_json", "0_byte_content"))
    }

    assert failures - set(FAILURES) - REVOKING == set()


REVOKING = {name for name in errors() if "revoke" in name} if FOLDER.is_dir() else set[str]()
"""Giving a token back has no answer but 204, and nothing here does it."""


def test_the_recorded_retry_after_is_waited_for() -> None:
    reader = Reader()

    with pytest.raises(SourceUnavailable):
        reader.read(in_order(errors()["TestSession.test_request__too__many_requests__with_retry_headers"]))

    assert sum(reader.clock.waits) == 3 * 4


def test_a_recorded_refusal_of_a_token_is_healed_by_a_new_one() -> None:
    exchanges = errors()["TestSession.test_request__with_invalid_access_token__retry"]
    reader = Reader()

    items = reader.read(in_order(exchanges), subreddit="another")

    assert reader.asked[TOKEN_PATH] == 2
    assert {each.reason for each in of_kind(items, Skipped)} == {"other_subreddit"}


def test_recorded_limits_do_not_slow_down_who_has_many_requests_left() -> None:
    exchange = errors()["TestSession.test_request__accepted"][0]
    reader = Reader()

    def answer(asked: Asked) -> Answer:
        if asked.path == TOKEN_PATH:
            return answer_of(exchange)
        return Answer({"data": {"children": []}}, headers=answer_of(exchange).headers)

    assert exchange["headers"]["x-ratelimit-remaining"] == "299"
    assert reader.read(answer) == []
    assert reader.clock.waits == []
