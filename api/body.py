"""A request's body: read whole, small, and JSON that every part of the system can hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, cast

import orjson
from starlette.types import Message, Receive

MAX_BODY_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 32
_JSON = re.compile(rb"application/(?:[\w.+-]+\+)?json\s*(?:;|\Z)", re.IGNORECASE)


class Refused(Exception):
    """The request is turned away with this problem."""

    def __init__(self, status: int, code: str, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers


async def read(receive: Receive, headers: dict[bytes, bytes]) -> bytes:
    """Return the body; raise `Refused` for one that is too large, not JSON, or cut short."""
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise _too_large()
    body = await _all(receive)
    if body:
        _check_type(headers)
        _check_json(body)
    return body


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body which was already read."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replaying() -> Message:
        return pending.pop() if pending else await receive()

    return replaying


async def _all(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refused(400, "bad_request", "the connection ended before the body did")
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        if not message.get("more_body", False):
            return bytes(body)


def _check_type(headers: dict[bytes, bytes]) -> None:
    given = headers.get(b"content-type", b"")
    if not _JSON.match(given):
        said = repr(given.decode("latin-1")[:100]) if given else "without a type"
        raise Refused(
            415,
            "unsupported_media_type",
            f"the body is {said}; send JSON with Content-Type: application/json, or no body",
        )
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise Refused(415, "unsupported_media_type", "the body is compressed; send it as it is")


def _check_json(body: bytes) -> None:
    """Refuse what orjson refuses (NaN, infinite numbers, lone surrogates, other encodings) and deep nests."""
    try:
        depth = _depth(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise Refused(422, "validation_error", f"the body is not valid JSON: {error}") from error
    if depth > MAX_DEPTH:
        raise Refused(422, "validation_error", f"the body is nested deeper than {MAX_DEPTH} levels")


def _depth(value: Any) -> int:
    """Return how deep lists and objects are nested; 0 for a plain value.

    >>> _depth([1, {"a": []}])
    3
    """
    depth = 0
    level: list[Any] = [value]
    while any(isinstance(each, dict | list) for each in level):
        depth += 1
        level = [inner for each in level for inner in _inside(each)]
    return depth


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).values()
    return value if isinstance(value, list) else ()  # pyright: ignore[reportUnknownVariableType]  # any JSON


def _too_large() -> Refused:
    limit = f"{MAX_BODY_BYTES // 1024} KiB"
    # The rest of the body is not read, so the connection can't serve another request.
    return Refused(
        413, "payload_too_large", f"the body is larger than {limit}; send less", connection="close"
    )
