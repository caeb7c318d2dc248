"""Live Reddit, read with the real client from a made-up server in the shapes that Reddit documents."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phases.sources import reddit
from phases.sources.records import Wanted
from phases.sources.reddit_app import RedditApp, check, default_user_agent
from phases.sources.reddit_tree import CHILDREN_PER_REQUEST, Tree
from phases.tools import Comment, Post, PostEnd, Skipped, SourceUnavailable
from statemachine.contract import RunCancelled
from tests.fakes import BEGINNING
from tests.replay.made import MadeReddit, comment, grown, post
from tests.replay.reading import Reader, of_kind
from tests.replay.recordings import TOKEN, TOKEN_PATH
from tests.replay.server import Answer, Asked, serving

WANTED = Wanted(subreddit="wallstreetbets", as_of_s=BEGINNING.timestamp())
SEEN = {"retrieved_on": BEGINNING.timestamp()}


@pytest.fixture
def reader() -> Reader:
    return Reader()


def one(comments: list[dict[str, Any]], **options: Any) -> MadeReddit:
    return MadeReddit({"p1": comments}, **options)


# --- what is read ---


def test_the_hot_posts_come_with_their_comments_one_after_the_other(reader: Reader) -> None:
    items = reader.read(MadeReddit({"p1": grown("p1", 30), "p2": grown("p2", 20)}))

    kinds = [type(item) for item in items]
    assert kinds == [Post, *[Comment] * 30, PostEnd, Post, *[Comment] * 20, PostEnd]
    assert [each.post_id for each in of_kind(items, PostEnd)] == ["p1", "p2"]
    assert reader.steps[-1] == (2, 2, "posts")


def test_at_most_ten_posts_are_read_and_pinned_ones_are_among_them(reader: Reader) -> None:
    posts = [post(f"p{number}", stickied=number < 2) for number in range(12)]

    items = reader.read(MadeReddit({row["id"]: [] for row in posts}, posts=posts))

    assert [each.reddit_id for each in of_kind(items, Post)] == [f"p{number}" for number in range(10)]


def test_replies_keep_their_parents_and_what_is_unknown_is_passed_over(reader: Reader) -> None:
    rows = [comment(0, "p1"), comment(1, "p1", 0, replies=None, edited=1.0), comment(2, "p1", 1)]

    items = reader.read(one(rows))

    assert {each.reddit_id: each.parent_id for each in of_kind(items, Comment)} == {
        "p1c0": None,
        "p1c1": "p1c0",
        "p1c2": "p1c1",
    }


@pytest.mark.parametrize("created", [1_741_800_000, 1_741_800_000.0, "1741800000", "1741800000.0"])
def test_an_instant_may_be_written_in_every_way_that_reddit_has_had(reader: Reader, created: object) -> None:
    (found,) = of_kind(reader.read(one([comment(0, "p1", created_utc=created)])), Comment)

    assert found.created_utc.timestamp() == 1_741_800_000


@pytest.mark.parametrize(
    ("changes", "author", "body"),
    [
        ({"author": "[deleted]", "body": "[deleted]"}, None, None),
        ({"body": "[removed]"}, "author0", None),
        ({"author": None, "body": "[ Removed by Reddit ]"}, None, None),
        ({"body": "kept"}, "author0", "kept"),
    ],
)
def test_a_deleted_comment_stays_in_the_tree_without_its_text(
    reader: Reader, changes: dict[str, Any], author: str | None, body: str | None
) -> None:
    items = reader.read(one([comment(0, "p1", **changes), comment(1, "p1", 0)]))

    found = {each.reddit_id: each for each in of_kind(items, Comment)}
    assert (found["p1c0"].author, found["p1c0"].body) == (author, body)
    assert found["p1c1"].parent_id == "p1c0"


def test_a_hidden_score_is_unknown(reader: Reader) -> None:
    rows = [comment(0, "p1", score=40), comment(1, "p1", score=40, score_hidden=True)]

    found = {each.reddit_id: each.score for each in of_kind(reader.read(one(rows)), Comment)}

    assert found == {"p1c0": 40, "p1c1": None}


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://i.redd.it/chart.png", True),
        ("https://preview.redd.it/chart.png?width=9", True),
        ("https://i.imgur.com/chart.png", True),
        ("https://imgur.com/chart", True),
        ("http://i.redd.it/chart.png", False),
        ("https://i.redd.it.example/chart.png", False),
        ("https://v.redd.it/film", False),
    ],
)
def test_only_an_image_on_a_host_of_images_is_a_posts_image(reader: Reader, url: str, kept: bool) -> None:
    (found,) = of_kind(reader.read(MadeReddit({"p1": []}, posts=[post("p1", url=url)])), Post)

    assert found.image_url == (url if kept else None)


def test_objects_of_no_use_are_counted_and_the_rest_is_read(reader: Reader) -> None:
    rows = [comment(0, "p1"), comment(1, "p1", created_utc="soon"), comment(2, "p1", body=7)]

    items = reader.read(one(rows))

    assert [each.reddit_id for each in of_kind(items, Comment)] == ["p1c0"]
    assert sorted(each.reason for each in of_kind(items, Skipped)) == ["bad_body", "bad_created_utc"]


# --- as of ---


def test_nothing_later_than_as_of_is_read(reader: Reader) -> None:
    rows = [comment(0, "p1"), comment(1, "p1", created_utc=BEGINNING.timestamp() + 1)]
    rows.append(comment(2, "p1", edited=BEGINNING.timestamp() + 1))

    items = reader.read(one(rows))

    assert [each.reddit_id for each in of_kind(items, Comment)] == ["p1c0"]
    assert sorted(each.reason for each in of_kind(items, Skipped)) == ["edited_later", "later_than_as_of"]


@pytest.mark.parametrize(("late_s", "score"), [(0, 40), (3_600, 40), (3_601, None), (24 * 3_600, None)])
def test_a_score_counts_while_it_is_as_good_as_seen_at_as_of(
    reader: Reader, late_s: float, score: int | None
) -> None:
    as_of = reader.clock.now()
    reader.clock.advance(late_s)
    reader.time_s = 10**6

    items = reader.read(one([comment(0, "p1", score=40)]), as_of=as_of)

    assert [each.score for each in of_kind(items, Comment)] == [score]


def test_the_past_is_refused_because_reddit_shows_only_the_present(reader: Reader) -> None:
    with pytest.raises(SourceUnavailable, match=r"only what is hot now .*\(archive:PATH\)"):
        reader.read(one([]), as_of=BEGINNING - timedelta(hours=25))


# --- trees ---


def test_a_tree_is_made_whole_by_following_its_links(reader: Reader) -> None:
    rows = grown("p1", 700)

    items = reader.read(one(rows, page=400))

    assert {each.reddit_id for each in of_kind(items, Comment)} == {row["id"] for row in rows}
    assert of_kind(items, PostEnd) == [PostEnd(post_id="p1")]


def test_a_thread_goes_on_on_a_page_of_its_own(reader: Reader) -> None:
    deep = [comment(number, "p1", number - 1 if number else None) for number in range(45)]

    items = reader.read(one(deep))

    assert len(of_kind(items, Comment)) == 45
    assert reader.asked["/comments/p1/_/p1c9"] == 1


def test_long_lists_of_ids_are_asked_for_a_hundred_at_a_time(reader: Reader) -> None:
    reader.read(one([comment(number, "p1") for number in range(450)], page=10))

    assert reader.server is not None
    sent = [asked.form["children"].split(",") for asked in reader.server.asked if "children" in asked.form]
    assert [len(ids) for ids in sent] == [CHILDREN_PER_REQUEST] * 4 + [40]
    assert len({name for ids in sent for name in ids}) == 440


def test_no_more_is_fetched_than_is_wanted(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reddit, "COMMENTS_PER_POST", 150)

    items = reader.read(one([comment(number, "p1") for number in range(900)], page=100))

    assert len(of_kind(items, Comment)) == 150
    assert of_kind(items, PostEnd) == [PostEnd(post_id="p1")]
    assert reader.asked["/api/morechildren/"] == 1


def test_a_tree_ends_with_its_budget_and_says_what_is_left(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reddit, "REQUESTS_PER_POST", 3)

    items = reader.read(one([comment(number, "p1") for number in range(900)], page=100))

    assert len(of_kind(items, Comment)) == 300
    assert of_kind(items, PostEnd) == [
        PostEnd(post_id="p1", comments_left=600, links_left=1, reason="budget")
    ]
    assert reader.asked.total() == 2 + 3


def test_a_link_that_leads_back_to_itself_is_followed_once(reader: Reader) -> None:
    made = one([comment(0, "p1"), comment(1, "p1")], page=1)
    itself = {"kind": "more", "data": {"parent_id": "t3_p1", "count": 5, "children": ["p1c1"]}}

    def endless(asked: Asked) -> Answer:
        if asked.path == "/api/morechildren/":
            return Answer({"json": {"data": {"things": [itself]}}})
        return made(asked)

    items = reader.read(endless)

    assert reader.asked["/api/morechildren/"] == 1
    assert len(of_kind(items, Comment)) == 1


def test_links_without_end_end_with_the_budget(reader: Reader) -> None:
    made, fresh = one([comment(0, "p1"), comment(1, "p1")], page=1), iter(range(10**6))

    def endless(asked: Asked) -> Answer:
        if asked.path == "/api/morechildren/":
            data = {"parent_id": "t3_p1", "count": 10**9, "children": [f"x{next(fresh)}"]}
            return Answer({"json": {"data": {"things": [{"kind": "more", "data": data}]}}})
        return made(asked)

    items = reader.read(endless)

    assert reader.asked["/api/morechildren/"] == reddit.REQUESTS_PER_POST - 1
    (end,) = of_kind(items, PostEnd)
    assert end.reason == "budget"


@pytest.mark.parametrize(
    "link",
    [
        {"parent_id": "t1_../../api/v1/me", "count": 0, "children": []},
        {"parent_id": "t3_p1", "count": 0, "children": []},
        {"parent_id": "t1_p1c0", "count": 3, "children": ["a,b", "../x", "\ud800", 7, None]},
        {"parent_id": None, "count": "many", "children": "abc"},
        {"children": ["abc"]},
        {},
    ],
)
def test_a_link_that_says_nothing_of_use_leads_nowhere(link: dict[str, Any]) -> None:
    tree = Tree(WANTED, SEEN)
    tree.add([("more", link)])

    found = tree.next_link()

    assert found is None or (found.parent, found.children) == ("p1c0", ())


@pytest.mark.parametrize("count", [10**30, -5, 2.5, True, None])
def test_a_count_beyond_reason_is_not_believed(count: object) -> None:
    tree = Tree(WANTED, SEEN)
    tree.add([("more", {"parent_id": "t3_p1", "count": count, "children": ["a"]})])

    assert 1 <= sum(link.count for link in tree.left()) <= 10**7


def test_half_a_character_does_not_reach_the_database() -> None:
    tree = Tree(WANTED, SEEN)
    tree.add([("t1", comment(0, "p1", body="calls \ud83d on 🚀", author="x\udc00"))])

    (found,) = tree.best(1)

    assert (found.body, found.author) == ("calls ? on 🚀", "x?")


@pytest.mark.parametrize("status", [400, 403, 404, 413, 414])
def test_a_branch_that_reddit_refuses_is_left_and_said(reader: Reader, status: int) -> None:
    made = one(grown("p1", 30), page=10)

    def refusing(asked: Asked) -> Answer:
        return Answer({}, status) if asked.path == "/api/morechildren/" else made(asked)

    items = reader.read(refusing)

    (end,) = of_kind(items, PostEnd)
    assert (end.comments_left, end.reason) == (20, "refused")
    assert len(of_kind(items, Comment)) == 10


def test_a_post_that_reddit_refuses_is_skipped_and_the_next_one_read(reader: Reader) -> None:
    made = MadeReddit({"p1": grown("p1", 5), "p2": grown("p2", 5)})

    def refusing(asked: Asked) -> Answer:
        return Answer({}, 404) if asked.path == "/comments/p1/" else made(asked)

    items = reader.read(refusing)

    assert [each.reason for each in of_kind(items, Skipped)] == ["post_refused"]
    assert {each.post_id for each in of_kind(items, Comment)} == {"p2"}


ROWS = st.lists(
    st.tuples(st.integers(-1, 30), st.integers(-50, 50), st.booleans()), min_size=1, max_size=40
).map(
    lambda drawn: [
        comment(
            number,
            "p1",
            parent if 0 <= parent < number else None,
            score=score,
            body="[deleted]" if gone else "a text",
        )
        for number, (parent, score, gone) in enumerate(drawn)
    ]
)


@given(ROWS, st.integers(1, 40))
def test_the_choice_is_closed_under_parents_and_within_its_limit(
    rows: list[dict[str, Any]], limit: int
) -> None:
    tree = Tree(WANTED, SEEN)
    tree.add([("t1", row) for row in rows])

    chosen = {each.reddit_id: each for each in tree.best(limit)}

    with_text = [each for each in chosen.values() if each.body is not None]
    assert len(with_text) <= limit
    assert len(with_text) == tree.texts or len(with_text) > 0
    assert {row["id"] for row in rows if row["body"] == "[deleted]"} <= set(chosen)
    for each in with_text:
        at: str | None = each.reddit_id
        while at is not None:
            assert at in chosen
            at = chosen[at].parent_id
    if limit >= tree.texts:
        assert set(chosen) == {row["id"] for row in rows}


def test_the_best_are_those_with_the_largest_product_of_score_and_replies() -> None:
    tree = Tree(WANTED, SEEN)
    rows = [comment(0, "p1", score=100), comment(1, "p1", score=10), comment(2, "p1", score=30)]
    rows += [comment(number, "p1", 1, score=1) for number in range(3, 8)] + [comment(8, "p1", 2, score=1)]
    tree.add([("t1", row) for row in rows])

    assert [each.reddit_id for each in tree.best(3)] == ["p1c1", "p1c2", "p1c0"]


def test_replies_behind_a_link_count_as_replies() -> None:
    tree = Tree(WANTED, SEEN)
    more = {"parent_id": "t1_p1c1", "count": 50, "children": ["x"]}
    tree.add([("t1", comment(0, "p1", score=9)), ("t1", comment(1, "p1", score=1)), ("more", more)])
    assert [each.reddit_id for each in tree.best(1)] == ["p1c1"]

    assert tree.next_link() is not None

    assert [each.reddit_id for each in tree.best(1)] == ["p1c0"]  # it was followed, and nothing was there


def test_comments_that_answer_each_other_in_a_ring_do_not_hang_the_choice() -> None:
    tree = Tree(WANTED, SEEN)
    tree.add([("t1", comment(0, "p1", 1)), ("t1", comment(1, "p1", 0))])

    assert len(list(tree.best(5))) == 2


# --- stopping ---


def test_a_cancel_is_heard_between_two_requests(reader: Reader) -> None:
    def cancel() -> None:
        assert reader.server is not None
        if "/api/morechildren/" in reader.server.paths():
            raise RunCancelled

    reader.on_progress = cancel

    with pytest.raises(RunCancelled):
        reader.read(one([comment(number, "p1") for number in range(900)], page=100))
    assert reader.asked["/api/morechildren/"] == 1


def test_a_run_without_time_reads_no_further_post(reader: Reader) -> None:
    made = MadeReddit({f"p{number}": grown(f"p{number}", 3) for number in range(5)})

    def slow(asked: Asked) -> Answer:
        reader.clock.advance(1_000)
        return made(asked)

    items = reader.read(slow)

    assert len(of_kind(items, PostEnd)) == 2


# --- what is wanted first ---


@pytest.mark.parametrize(("client_id", "secret"), [(None, True), ("", True), ("id", False)])
def test_missing_credentials_are_named_with_where_they_come_from(client_id: str | None, secret: bool) -> None:
    with pytest.raises(SourceUnavailable) as failure:
        check(client_id, secret)

    for word in ("REDDIT_CLIENT_ID", "REDDIT_CLIENT_SECRET", "REDDIT_USER_AGENT", "type script", "approved"):
        assert word in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_missing_praw_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phases.sources.reddit_app.find_spec", lambda _name: None)

    with pytest.raises(SourceUnavailable, match=r'pip install "phaseline\[reddit\]"'):
        check("id", has_secret=True)


def test_the_default_user_agent_follows_reddits_rule() -> None:
    platform, name, rest = default_user_agent("abc", "1.2").split(":", 2)

    assert platform
    assert name == "phaseline"
    assert rest == "v1.2 (by the owner of the application abc)"


def test_the_application_shows_its_secret_to_nobody() -> None:
    app = RedditApp(client_id="id", client_secret="hidden", user_agent="agent")

    assert "hidden" not in repr(app)


def test_reading_is_all_that_is_asked_for(reader: Reader) -> None:
    reader.read(one(grown("p1", 600), page=200))

    assert reader.server is not None
    login, *others = reader.server.asked
    assert (login.path, dict(login.form)) == (TOKEN_PATH, {"grant_type": "client_credentials"})
    assert {(asked.method, asked.path.split("/")[1]) for asked in others} == {
        ("GET", "r"),
        ("GET", "comments"),
        ("POST", "api"),
    }
    assert all(asked.path == "/api/morechildren/" for asked in others if asked.method == "POST")
    assert all(asked.headers["user-agent"].startswith("linux:phaseline:v0 (by") for asked in [login, *others])


def test_neither_a_praw_ini_nor_its_variables_have_a_say(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("praw.config.Config.CONFIG", None)
    monkeypatch.setenv("PRAW_ALLOW_ENDPOINT_OVERRIDE", "1")
    for name in ("praw_username", "praw_password", "praw_refresh_token", "praw_site"):
        monkeypatch.setenv(name, "theirs")
    (tmp_path / "praw.ini").write_text(
        "[DEFAULT]\noauth_url=http://127.0.0.1:1\nreddit_url=http://127.0.0.1:1\ncheck_for_updates=true\n"
        "[theirs]\nclient_id=theirs\n"
    )

    items = reader.read(one(grown("p1", 3)))

    assert len(of_kind(items, Comment)) == 3
    assert reader.server is not None
    assert dict(reader.server.asked[0].form) == {"grant_type": "client_credentials"}


def test_the_secret_is_sent_to_the_login_only(reader: Reader) -> None:
    made = one(grown("p1", 3))

    with serving(made) as login, serving(made) as api:
        app = replace(reader.app(login.url), api_url=api.url)
        reader.read_as(app)

    assert login.paths() == [TOKEN_PATH]
    assert {asked.headers["authorization"] for asked in api.asked} == {"bearer a-token"}


def test_nobody_is_asked_whether_there_is_a_newer_praw(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checked(**_: object) -> None:
        raise AssertionError("the update checker asks a package registry")

    monkeypatch.setattr("praw.reddit.update_check", checked)
    monkeypatch.setattr("praw.Reddit.update_checked", False)

    reader.read(one([]))


def test_a_new_token_is_fetched_when_the_old_one_is_no_longer_taken(reader: Reader) -> None:
    made, tokens = one(grown("p1", 3)), iter(["first", "second"])

    def expiring(asked: Asked) -> Answer:
        if asked.path == TOKEN_PATH:
            return Answer({**TOKEN, "access_token": next(tokens)})
        return made(asked) if asked.headers["authorization"] == "bearer second" else Answer({}, 401)

    items = reader.read(expiring)

    assert len(of_kind(items, Comment)) == 3
    assert reader.clock.waits == []


def test_a_source_can_be_read_twice() -> None:
    reader = Reader()

    with serving(one(grown("p1", 3))) as server:
        first, again = reader.read_as(reader.app(server.url)), reader.read_as(reader.app(server.url))

    assert first == again
