"""Compressed answers: the same answer, shorter, and only where that helps."""

from __future__ import annotations

import gzip

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import ASGIApp

from api.compression import IN_LOOP_BYTES, MIN_BYTES, Compression
from tests.api.world import Serve, until_idle

GZIP = {"accept-encoding": "gzip"}
PLAIN = {"accept-encoding": "identity"}


def ask(app: ASGIApp, path: str = "/", **headers: str) -> tuple[bytes, dict[str, str]]:
    """Return an answer as it came over the wire, and its headers."""
    asked = {name.replace("_", "-"): value for name, value in headers.items()}
    with TestClient(Compression(app)).stream("GET", path, headers=asked) as answer:
        return b"".join(answer.iter_raw()), dict(answer.headers)


@given(st.one_of(st.text(max_size=100), st.text().map(lambda text: text * IN_LOOP_BYTES)))
def test_an_answer_comes_back_whole_and_its_length_is_told(text: str) -> None:
    content, headers = ask(PlainTextResponse(text), accept_encoding="gzip")
    is_compressed = "content-encoding" in headers

    assert (gzip.decompress(content) if is_compressed else content) == text.encode()
    assert int(headers["content-length"]) == len(content)
    assert is_compressed == (len(text.encode()) >= MIN_BYTES)
    assert ("Accept-Encoding" in headers.get("vary", "")) == is_compressed


@pytest.mark.parametrize("accepted", ["", "identity", "br", "*", "gzip;q=0", "GZIP; Q=0.000, br"])
def test_who_does_not_take_gzip_gets_the_answer_as_it_is_and_hears_that_it_varies(accepted: str) -> None:
    content, headers = ask(PlainTextResponse("a" * MIN_BYTES), accept_encoding=accepted)

    assert content == b"a" * MIN_BYTES
    assert "content-encoding" not in headers
    assert headers["vary"] == "Accept-Encoding"


def test_an_event_stream_is_never_held_back() -> None:
    frames = [b"data: " + b"a" * MIN_BYTES + b"\n\n"] * 3
    stream = StreamingResponse(iter(frames), media_type="text/event-stream")

    content, headers = ask(stream, accept_encoding="gzip")

    assert content == b"".join(frames)
    assert "content-encoding" not in headers


def test_a_status_keeps_its_strong_validator_whatever_the_client_takes(serve: Serve) -> None:
    client = serve("TALKATIVE")
    client.post("/analyze")
    until_idle(client)

    plain, packed = (client.get("/runs/1/status", headers=headers) for headers in (PLAIN, GZIP))
    again = client.get("/runs/1/status", headers={**GZIP, "if-none-match": packed.headers["etag"]})

    assert len(plain.content) > MIN_BYTES
    assert "content-encoding" not in packed.headers
    assert packed.headers["etag"] == plain.headers["etag"]
    assert (again.status_code, again.content) == (304, b"")
    assert "content-encoding" not in again.headers


def test_long_answers_of_the_api_are_compressed_and_carry_every_header(serve: Serve) -> None:
    client = serve()
    plain, packed = (client.get("/openapi.json", headers=headers) for headers in (PLAIN, GZIP))

    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 5
    assert packed.json() == plain.json()
    assert {"content-encoding", *plain.headers} == set(packed.headers)


def test_a_file_of_the_page_is_compressed_once(serve: Serve) -> None:
    with serve().stream("GET", "/ui/", headers=GZIP) as answer:
        content = b"".join(answer.iter_raw())

    assert gzip.decompress(content).startswith(b"<!doctype html>")
    assert answer.headers["vary"] == "accept-encoding"
    assert answer.headers["etag"].startswith("W/")


def test_the_answer_to_head_says_no_more_than_its_headers(serve: Serve) -> None:
    answer = serve().head("/openapi.json", headers=GZIP)

    assert (answer.status_code, answer.content) == (200, b"")
