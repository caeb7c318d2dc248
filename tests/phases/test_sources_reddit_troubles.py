"""Live Reddit, read with the real client from a server that misbehaves."""

from __future__ import annotations

import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path

import pytest

from phases.sources import reddit_client
from phases.sources.reddit_pace import MAX_WAIT_S, SLICE_S
from phases.tools import Comment, PostEnd, SourceUnavailable
from statemachine.contract import RunCancelled, RunStopping
from tests.fakes import BEGINNING
from tests.replay.made import MadeReddit, comment, grown
from tests.replay.reading import Reader, of_kind
from tests.replay.recordings import TOKEN, TOKEN_PATH
from tests.replay.server import HTML, JSON, Answer, Answering, Asked

WHOLE = MadeReddit({"p1": grown("p1", 12)})
PAGE = "<html><body>whoa there, pardner! we'll be back soon</body></html>"


@pytest.fixture(autouse=True)
def _nobody_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where something waits past the clock, as prawcore does: nobody could interrupt it."""

    def sleep(seconds: float) -> None:
        raise AssertionError(f"asleep for {seconds} s")

    monkeypatch.setattr("time.sleep", sleep)


@pytest.fixture
def reader() -> Reader:
    return Reader()


def at_first(times: int, bad: Answer, then: Answering = WHOLE, *, path: str = "/comments/p1/") -> Answering:
    """Answer one path badly so many times, everything else well."""
    left = iter(range(times))

    def answer(asked: Asked) -> Answer:
        return bad if asked.path == path and next(left, None) is not None else then(asked)

    return answer


def limited(**headers: str) -> dict[str, str]:
    return JSON | {name.replace("_", "-"): value for name, value in headers.items()}


TROUBLES = {
    "a reset connection": Answer(reset=True),
    "an answer cut off": Answer({"kind": "Listing", "data": {"children": []}}, cut_at=9),
    "a page of HTML": Answer(PAGE.encode(), headers=HTML),
    "an error as a page of HTML": Answer(PAGE.encode(), 503, HTML),
    "JSON cut off": Answer(b'{"kind": "Listing", "data": {"children": ['),
    "an empty answer": Answer(b""),
    "bytes that are no text": Answer(b"\xff\xfe{"),
    "brackets without end": Answer(b"[" * 100_000),
    "a server's error": Answer({}, 500),
    "Cloudflare's error": Answer(b"", 525),
    "429 as a page of HTML": Answer(PAGE.encode(), 429, HTML),
    "429 with a wait": Answer({}, 429, limited(retry_after="3")),
    "429 with a wait that is no time": Answer({}, 429, limited(retry_after="soon")),
    "headers that are no numbers": Answer(
        {}, 503, limited(x_ratelimit_remaining="some", x_ratelimit_reset="1.5", x_ratelimit_used="2.0")
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
@pytest.mark.parametrize("path", ["/comments/p1/", "/r/wallstreetbets/hot", TOKEN_PATH])
def test_a_passing_trouble_is_outlasted(reader: Reader, trouble: Answer, path: str) -> None:
    items = reader.read(at_first(2, trouble, path=path))

    assert len(of_kind(items, Comment)) == 12
    assert of_kind(items, PostEnd) == [PostEnd(post_id="p1")]
    assert reader.asked[path] == 3
    assert reader.clock.waits != []


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
@pytest.mark.parametrize("path", ["/comments/p1/", "/r/wallstreetbets/hot", TOKEN_PATH])
def test_a_trouble_that_stays_fails_with_one_sentence_after_four_tries(
    reader: Reader, trouble: Answer, path: str
) -> None:
    with pytest.raises(SourceUnavailable) as failure:
        reader.read(at_first(10**6, trouble, path=path))

    said = str(failure.value)
    assert reader.asked[path] == reddit_client.TRIES
    assert ";" in said
    assert "\n" not in said
    assert "127.0.0.1" not in said
    assert "pardner" not in said


def test_nobody_listening_is_an_outage(reader: Reader) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]

    with pytest.raises(
        SourceUnavailable, match=r"it can't be reached, or hung up\); check the network"
    ) as failure:
        reader.read_as(reader.app(f"http://127.0.0.1:{port}"))

    assert "HTTPConnectionPool" not in "".join(traceback.format_exception(failure.value))


def test_a_server_that_falls_silent_is_given_up(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reddit_client, "SILENCE_S", 0.05)
    gate = threading.Event()

    try:
        with pytest.raises(SourceUnavailable, match="it fell silent"):
            reader.read(at_first(10**6, Answer({}, gate=gate), path="/r/wallstreetbets/hot"))
    finally:
        gate.set()


def test_a_server_that_drips_is_given_up(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    reader.on_progress = lambda: reader.clock.advance(reddit_client.EXCHANGE_S / 4)
    monkeypatch.setattr(reddit_client, "PIECE_BYTES", 8)

    with pytest.raises(SourceUnavailable, match="wasn't done after 90 s"):
        reader.read(at_first(10**6, Answer(b" " * 10_000, pieces=100), path="/r/wallstreetbets/hot"))


def test_an_answer_without_end_is_given_up(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reddit_client, "MAX_BODY_BYTES", 10_000)

    with pytest.raises(SourceUnavailable, match="it sent "):
        reader.read(at_first(10**6, Answer(b" " * 100_000), path="/comments/p1/"))


SHAPES = {
    "a number": 7,
    "nothing": None,
    "an empty object": {},
    "an error": {"message": "Internal", "error": 500},
    "a list of numbers": [1, 2, 3],
    "children that are a number": [{"data": {"children": 4}}, {"data": {"children": 4}}],
}


@pytest.mark.parametrize("path", ["/r/wallstreetbets/hot", "/comments/p1/"])
@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES)
def test_json_of_another_shape_is_an_outage_with_a_sentence(reader: Reader, body: object, path: str) -> None:
    with pytest.raises(SourceUnavailable, match="unknown shape"):
        reader.read(at_first(10**6, Answer(body), path=path))


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES)
def test_links_that_bring_another_shape_are_left_and_in_a_row_are_an_outage(
    reader: Reader, body: object
) -> None:
    few = MadeReddit({"p1": [comment(number, "p1") for number in range(210)]}, page=10)
    many = MadeReddit({"p1": [comment(number, "p1") for number in range(310)]}, page=10)

    items = reader.read(at_first(10**6, Answer(body), few, path="/api/morechildren/"))

    assert [(end.comments_left, end.reason) for end in of_kind(items, PostEnd)] == [(200, "refused")]
    with pytest.raises(SourceUnavailable, match="Reddit can't be read"):
        reader.read(at_first(10**6, Answer(body), many, path="/api/morechildren/"))


def test_one_link_that_fails_for_good_costs_only_itself(reader: Reader) -> None:
    made = MadeReddit({"p1": [comment(number, "p1") for number in range(310)]}, page=10)

    items = reader.read(at_first(reddit_client.TRIES, Answer({}, 500), made, path="/api/morechildren/"))

    assert len(of_kind(items, Comment)) == 210
    assert [(end.comments_left, end.links_left) for end in of_kind(items, PostEnd)] == [(100, 1)]


def test_links_that_fail_now_and_then_are_no_outage(reader: Reader) -> None:
    made = MadeReddit({"p1": [comment(number, "p1") for number in range(610)]}, page=10)

    def every_other(asked: Asked) -> Answer:
        first = asked.form.get("children", "").partition(",")[0].removeprefix("p1c")
        return Answer({}, 500) if first and int(first) // 100 % 2 == 0 else made(asked)

    items = reader.read(every_other)

    assert len(of_kind(items, Comment)) == 310
    assert [(end.comments_left, end.links_left) for end in of_kind(items, PostEnd)] == [(300, 3)]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (403, {"reason": "private"}, "is private"),
        (403, {"reason": "quarantined"}, "is quarantined"),
        (404, {"reason": "banned"}, "was banned"),
        (403, {"reason": "\x1b[2J"}, "forbids this application"),
        (403, PAGE.encode(), "REDDIT_USER_AGENT"),
        (302, b"", "check the spelling"),
        (404, {}, "check the spelling"),
    ],
)
def test_a_subreddit_that_can_not_be_read_says_why(
    reader: Reader, status: int, body: object, said: str
) -> None:
    with pytest.raises(SourceUnavailable, match=said) as failure:
        reader.read(at_first(1, Answer(body, status, {}), path="/r/wallstreetbets/hot"))

    assert str(failure.value).isprintable()
    assert reader.asked["/r/wallstreetbets/hot"] == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_login_that_is_refused_names_the_credentials(reader: Reader, status: int) -> None:
    with pytest.raises(SourceUnavailable, match=r"REDDIT_CLIENT_ID .* REDDIT_CLIENT_SECRET"):
        reader.read(
            at_first(10**6, Answer({"message": "Unauthorized", "error": status}, status), path=TOKEN_PATH)
        )

    assert reader.asked[TOKEN_PATH] == 1


@pytest.mark.parametrize("body", [{}, {"access_token": 1}, {**TOKEN, "expires_in": "long"}, [TOKEN], "token"])
def test_a_login_without_a_token_is_an_outage(reader: Reader, body: object) -> None:
    with pytest.raises(SourceUnavailable, match="login gives no token"):
        reader.read(at_first(10**6, Answer(body), path=TOKEN_PATH))


def test_the_credentials_follow_no_redirect(reader: Reader) -> None:
    def elsewhere(asked: Asked) -> Answer:
        return Answer(b"", 302, {"location": "/elsewhere"})

    with pytest.raises(SourceUnavailable):
        reader.read(elsewhere)

    assert set(reader.asked) == {TOKEN_PATH}


# --- waiting ---


def test_the_waits_between_tries_double_and_chance_adds_up_to_half(reader: Reader) -> None:
    reader.jitter = 1.0

    with pytest.raises(SourceUnavailable):
        reader.read(at_first(10**6, Answer({}, 500)))

    assert sum(reader.clock.waits) == 1.5 * (1 + 2 + 4)


@pytest.mark.parametrize(
    ("headers", "waited_s"),
    [
        ({"retry_after": "30"}, 30),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": format_datetime(BEGINNING + timedelta(seconds=40))}, 40),
        ({"x_ratelimit_reset": "25"}, 25),
        ({"retry_after": "7", "x_ratelimit_reset": "25", "x_ratelimit_remaining": "5"}, 7),
        ({}, 15),
    ],
)
def test_a_429_is_waited_out_as_long_as_reddit_says(
    reader: Reader, headers: dict[str, str], waited_s: float
) -> None:
    reader.read(at_first(1, Answer(PAGE.encode(), 429, limited(**headers))))

    assert sum(reader.clock.waits) == pytest.approx(waited_s, abs=0.6 if len(headers) != 3 else 6)


def test_an_outage_that_says_how_long_is_waited_out_as_long(reader: Reader) -> None:
    reader.read(at_first(1, Answer({}, 503, limited(retry_after="20"))))

    assert sum(reader.clock.waits) == 20


@pytest.mark.parametrize(
    ("remaining", "waited_s"), [("999.0", 0), ("20", 0), ("10.0", 6), ("1", 10), ("0.0", 60), ("0", 60)]
)
def test_the_last_requests_of_a_window_are_spread_and_a_used_up_one_is_waited_out(
    reader: Reader, remaining: str, waited_s: float
) -> None:
    headers = limited(x_ratelimit_remaining=remaining, x_ratelimit_reset="60", x_ratelimit_used="5")

    reader.read(
        at_first(
            1,
            Answer(WHOLE(Asked("GET", "/r/x/hot", {}, {}, {})).body, 200, headers),
            path="/r/wallstreetbets/hot",
        )
    )

    assert sum(reader.clock.waits) == pytest.approx(waited_s)


@pytest.mark.parametrize(
    ("asked_s", "time_s"), [("3000", 3_600.0), ("60", 50.0), (str(MAX_WAIT_S + 1), 10**6)]
)
def test_a_wait_longer_than_the_run_has_is_refused_at_once(
    reader: Reader, asked_s: str, time_s: float
) -> None:
    reader.time_s = time_s

    with pytest.raises(SourceUnavailable, match=r"s of waiting, which is more than this run can spare"):
        reader.read(at_first(10**6, Answer({}, 429, limited(retry_after=asked_s))))

    assert reader.clock.waits == []


@pytest.mark.parametrize("stop", [RunCancelled, RunStopping])
def test_a_wish_to_stop_is_heard_within_a_second_of_a_wait(reader: Reader, stop: type[BaseException]) -> None:
    def hear() -> None:
        if sum(reader.clock.waits) >= 5:
            raise stop

    reader.on_progress = hear

    with pytest.raises(stop):
        reader.read(at_first(10**6, Answer({}, 429, limited(retry_after="500"))))

    assert sum(reader.clock.waits) == 5
    assert max(reader.clock.waits) <= SLICE_S


def test_a_wish_to_stop_keeps_the_next_request_from_being_sent(reader: Reader) -> None:
    def stop() -> None:
        raise RunStopping

    reader.on_progress = stop

    with pytest.raises(RunStopping):
        reader.read(WHOLE)

    assert reader.asked.total() == 0


def test_progress_says_the_same_while_it_waits(reader: Reader) -> None:
    reader.read(at_first(1, Answer({}, 429, limited(retry_after="5"))))

    assert all(now[0] >= before[0] for before, now in pairwise(reader.steps))
    assert {unit for _, _, unit in reader.steps} == {"posts"}


# --- across processes ---


def test_a_wait_outlives_the_process(reader: Reader, tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    reader.keep, reader.time_s = keep, 50.0
    with pytest.raises(SourceUnavailable, match="more than this run can spare"):
        reader.read(at_first(10**6, Answer({}, 429, limited(retry_after="300"))))
    reader.clock.advance(100)

    later = Reader(clock=reader.clock, keep=keep, time_s=10**6)
    before = len(reader.clock.waits)
    later.read(WHOLE)

    assert sum(later.clock.waits[before:]) == pytest.approx(200, abs=0.01)


def test_a_run_that_is_stopped_while_it_reads_a_refusal_has_still_been_told(
    reader: Reader, tmp_path: Path
) -> None:
    refused = at_first(10**6, Answer({}, 429, limited(retry_after="300")))
    seen: list[str] = []

    def hear() -> None:
        if "/comments/p1/" in seen:  # the headers are here, the body isn't
            raise RunCancelled

    def answer(asked: Asked) -> Answer:
        seen.append(asked.path)
        return refused(asked)

    reader.keep, reader.on_progress = tmp_path / "kept", hear

    with pytest.raises(RunCancelled):
        reader.read(answer)

    assert reader.keep.read_text().endswith("Z\n")


@pytest.mark.parametrize(
    "text", ["", "soon", "2025-03-13T18:00:00.000Z", "2025-03-12T17:00:00.000Z", "2025-03-12T18:00:00"]
)
def test_what_is_kept_is_not_believed_where_it_can_not_be(reader: Reader, tmp_path: Path, text: str) -> None:
    reader.keep = tmp_path / "kept"
    reader.keep.write_text(text)

    reader.read(WHOLE)

    assert sum(reader.clock.waits) == 0


def test_a_place_that_can_not_be_written_costs_no_run(
    reader: Reader, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reader.keep = tmp_path / "nowhere" / "kept"

    items = reader.read(at_first(1, Answer({}, 429, limited(retry_after="5"))))

    assert len(of_kind(items, Comment)) == 12
    assert "can't keep in" in caplog.text


# --- secrets ---


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    with caplog.at_level(logging.DEBUG):
        yield lambda: caplog.text


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_neither_secret_nor_token_is_in_an_error_or_a_log(
    reader: Reader, trouble: Answer, everything_logged: Callable[[], str]
) -> None:
    reader.secret = "sésame ouvre-toi"

    with pytest.raises(SourceUnavailable) as failure:
        reader.read(at_first(10**6, trouble))

    chain: list[BaseException] = [failure.value]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    told = "".join(map(repr, chain)) + everything_logged()
    assert "p1" in told
    for secret in (reader.secret, "ouvre", "a-token", "Basic "):
        assert secret not in told
