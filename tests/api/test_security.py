from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import product

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import BaseRoute, Route
from starlette.types import Message

from api.app import create_app
from api.body import MAX_BODY_BYTES, Refused, read
from api.security import Door, _is_allowed, _same_origin
from api.settings import Settings
from tests.api.world import MakeSettings, Serve, services_of

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")
CHANGING = tuple(method for method in METHODS if method not in {"GET", "HEAD", "OPTIONS"})
PATHS = (
    "/", "/ui", "/ui/", "/ui/app.js", "/healthz", "/readyz", "/metrics", "/openapi.json", "/analyze", "/runs",
    "/runs/1", "/runs/1/status", "/runs/1/events", "/runs/1/stream", "/runs/1/cancel", "/runs/1/resume",
    "/runs/1/diagram", "/machine", "/signals", "/signals/history", "/signals/1", "/signals/1/comments",
    "/portfolios", "/portfolios/1", "/portfolios/1/equity", "/positions", "/positions/1",
    "/positions/1/premiums", "/positions/1/close", "/predictions",
    "/predictions/1", "/predictions/1/override", "/evaluation-periods", "/prices/GME", "/choices",
    "/nothing/here",
)  # fmt: skip
OPEN = {"/", "/ui", "/ui/", "/ui/app.js", "/healthz"}
FOREIGN = {"origin": "http://evil.example"}


def paths_of(routes: list[BaseRoute]) -> Iterator[str]:
    for route in routes:
        if isinstance(route, Route):
            yield route.path
        yield from paths_of(getattr(getattr(route, "original_router", None), "routes", []))


def test_the_tables_of_these_tests_name_every_route(make_settings: MakeSettings) -> None:
    def shape(path: str) -> str:
        return "/".join(
            "{}" if part.startswith("{") or part in {"1", "GME", "app.js"} else part
            for part in path.split("/")
        )

    app = create_app(make_settings())

    assert {shape(path) for path in paths_of(app.routes)} <= {shape(path) for path in PATHS}


def refused(client: TestClient, method: str, path: str, headers: dict[str, str]) -> tuple[int, str | None]:
    answer = client.request(method, path, headers=headers, follow_redirects=False)
    code = answer.json()["code"] if method != "HEAD" and answer.status_code >= 400 else None
    return answer.status_code, code


@pytest.mark.parametrize("method", METHODS)
def test_a_foreign_host_is_refused_on_every_path(serve: Serve, method: str) -> None:
    client = serve()

    for path in PATHS:
        status, code = refused(client, method, path, {"host": "evil.example"})
        assert (status, code or "forbidden_host") == (403, "forbidden_host")


FOREIGN_PAGES = (
    FOREIGN,
    {"origin": "null"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site", "origin": "http://testserver"},
    {"sec-fetch-site": "same-origin", **FOREIGN},
)


@pytest.mark.parametrize("method", CHANGING)
def test_a_foreign_page_changes_nothing_on_any_path(serve: Serve, method: str) -> None:
    client = serve()

    for path, headers in product(PATHS, FOREIGN_PAGES):
        assert refused(client, method, path, headers) == (403, "forbidden_origin")
    assert client.get("/runs").json()["items"] == []


def test_a_foreign_page_may_read_no_more_than_its_browser_lets_it(serve: Serve) -> None:
    answer = serve().get("/runs", headers=FOREIGN)

    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("method", METHODS)
def test_a_token_is_asked_for_everywhere_but_where_a_page_must_load_first(serve: Serve, method: str) -> None:
    client = serve(token="s3cret")

    for path, sent in product(PATHS, (None, "Bearer wrong", "Basic s3cret", "s3cret", "Bearer ")):
        headers = {} if sent is None else {"authorization": sent}
        assert (refused(client, method, path, headers)[0] == 401) == (path not in OPEN)


def test_the_right_token_opens_the_door(serve: Serve) -> None:
    client = serve(token="s3cret")

    assert client.get("/runs", headers={"authorization": "Bearer s3cret"}).status_code == 200
    assert client.post("/analyze", headers={"authorization": "bearer s3cret"}).status_code == 202
    assert client.get("/runs").headers["www-authenticate"] == "Bearer"


def test_every_answer_carries_the_security_headers(serve: Serve) -> None:
    client = serve()

    for path in PATHS:
        headers = client.get(path, follow_redirects=False).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/analyze", "/runs/1/cancel", "/runs/1/resume"])
@pytest.mark.parametrize(
    "media_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/xml"]
)
def test_a_body_that_is_not_said_to_be_json_is_refused(
    serve: Serve, path: str, media_type: str | None
) -> None:
    headers = {} if media_type is None else {"content-type": media_type}

    answer = serve().post(path, content=b"{}", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
def test_json_is_taken_however_it_is_spelled(serve: Serve, media_type: str) -> None:
    assert serve().post("/analyze", content=b"{}", headers={"content-type": media_type}).status_code == 202


def test_a_compressed_body_is_refused(serve: Serve) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}

    assert serve().post("/analyze", content=b"{}", headers=headers).status_code == 415


def test_the_largest_body_fits_and_one_byte_more_does_not(serve: Serve) -> None:
    client = serve()
    headers = {"content-type": "application/json"}
    largest = b'{"subreddit": "stocks"' + b" " * (MAX_BODY_BYTES - 23) + b"}"

    assert len(largest) == MAX_BODY_BYTES
    assert (
        client.post("/analyze", content=largest + b" ", headers=headers).json()["code"] == "payload_too_large"
    )
    assert client.post("/analyze", content=largest, headers=headers).status_code == 202


def test_a_body_without_a_length_is_counted_as_it_comes() -> None:
    taken = 0

    async def endless() -> Message:
        nonlocal taken
        taken += 4096
        return {"type": "http.request", "body": b" " * 4096, "more_body": True}

    with pytest.raises(Refused) as refusal:
        asyncio.run(read(endless, {b"content-type": b"application/json"}))

    assert refusal.value.code == "payload_too_large"
    assert taken == MAX_BODY_BYTES + 4096


def test_a_body_that_is_cut_short_is_not_taken_for_a_whole_one() -> None:
    messages: list[Message] = [
        {"type": "http.disconnect"},
        {"type": "http.request", "body": b'{"subreddit": "stocks"}', "more_body": True},
    ]

    async def receive() -> Message:
        return messages.pop()

    with pytest.raises(Refused) as refusal:
        asyncio.run(read(receive, {b"content-type": b"application/json"}))

    assert refusal.value.status == 400


def test_a_body_that_announces_its_size_is_refused_unread() -> None:
    async def never() -> Message:
        raise AssertionError("the body was read")

    with pytest.raises(Refused) as refusal:
        asyncio.run(read(never, {b"content-length": str(MAX_BODY_BYTES + 1).encode()}))

    assert refusal.value.status == 413


def test_a_web_socket_is_closed_at_the_door() -> None:
    sent: list[Message] = []

    async def inside(*_: object) -> None:
        raise AssertionError("it was let in")

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    asyncio.run(Door(inside, settings=Settings())({"type": "websocket", "path": "/runs"}, receive, send))

    assert [message["type"] for message in sent] == ["websocket.close"]


def test_two_hosts_are_one_too_many(serve: Serve) -> None:
    answer = serve().get("/runs", headers=[("host", "testserver"), ("host", "testserver")])

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_host")


def test_hosts_can_be_named(serve: Serve) -> None:
    client = serve(allowed_hosts="box.lan,other.lan:9000")

    assert client.get("/runs", headers={"host": "Box.lan:1234"}).status_code == 200
    assert client.get("/runs", headers={"host": "other.lan:9000"}).status_code == 200
    assert client.get("/runs", headers={"host": "other.lan"}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:80", "testserver", "LOCALHOST:99"])
def test_the_loopback_names_are_allowed_with_any_port(serve: Serve, host: str) -> None:
    assert serve().get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["", "localhost.", "localhost.evil.example", "127.0.0.1.nip.io", "localhost:x", "a@localhost", "[::1"],
)
def test_what_only_looks_like_loopback_is_refused(serve: Serve, host: str) -> None:
    assert serve().get("/healthz", headers={"host": host}).status_code == 403


@given(st.binary(max_size=60))
def test_no_host_outside_the_list_is_ever_allowed(said: bytes) -> None:
    name = said.decode("latin-1").lower().partition(":")[0]

    assert not _is_allowed(said, frozenset({"localhost"})) or name == "localhost"


@given(st.text(max_size=40))
def test_an_origin_is_ours_only_if_it_names_our_host(origin: str) -> None:
    assert not _same_origin(origin, "localhost:8000") or origin.lower() in {
        "http://localhost:8000",
        "https://localhost:8000",
    }


@pytest.mark.parametrize(
    ("origin", "host", "ours"),
    [
        ("http://localhost:8000", "localhost:8000", True),
        ("https://box.lan", "box.lan", True),
        ("http://box.lan", "box.lan:80", True),
        ("http://box.lan:8001", "box.lan:8000", False),
        ("http://box.lan.evil.example", "box.lan", False),
        ("http://evil.example/@box.lan", "box.lan", False),
        ("file://", "box.lan", False),
    ],
)
def test_an_origin_is_compared_whole(origin: str, host: str, *, ours: bool) -> None:
    assert _same_origin(origin, host) is ours


def test_our_own_page_may_change_things(serve: Serve) -> None:
    client = serve()
    ours = {"origin": "http://testserver", "sec-fetch-site": "same-origin"}

    assert client.post("/analyze", headers=ours).status_code == 202
    assert services_of(client).runner.wait(20)


def test_cookies_are_never_set(serve: Serve) -> None:
    client = serve()

    assert not any("set-cookie" in client.get(path).headers for path in PATHS)
