"""A small HTTP server on loopback: a function answers, and what was asked is kept.

An `Answer` can also misbehave: hang up, stop in the middle, or send piece by piece.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

JSON = {"content-type": "application/json; charset=UTF-8"}
HTML = {"content-type": "text/html; charset=UTF-8"}
NO_LINGERING = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send back."""

    body: Any = b""
    """Bytes are sent as they are, everything else as JSON."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: dict(JSON))
    reset: bool = False
    """Hang up without a word."""
    cut_at: int | None = None
    """Promise the whole body, send so many bytes of it and hang up."""
    pieces: int = 1
    """Send the body in so many pieces."""
    gate: threading.Event | None = None
    """Wait for it before the body."""

    def payload(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)


Answering = Callable[[Asked], Answer]


@dataclass(slots=True)
class Loopback:
    """A running server."""

    url: str
    asked: list[Asked]

    def paths(self) -> Sequence[str]:
        """Return what was asked for, in order."""
        return [asked.path for asked in self.asked]


@contextmanager
def serving(answer: Answering) -> Iterator[Loopback]:
    """Serve on a free port of loopback until the block ends."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are two writes

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            split = urlsplit(self.path)
            form = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Asked(
                self.command, split.path, dict(parse_qsl(split.query)), dict(parse_qsl(form)), headers
            )
            asked.append(request)
            _send(self, answer(request))

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Loopback(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    handler.close_connection = answer.reset or answer.cut_at is not None
    if answer.reset:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGERING)
        handler.connection.close()
        return
    body = answer.payload()
    handler.send_response_only(answer.status)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    if answer.gate is not None:
        answer.gate.wait(10)
    sent = body[: answer.cut_at]
    size = max(1, -(-len(sent) // answer.pieces))
    for start in range(0, len(sent), size):
        handler.wfile.write(sent[start : start + size])
        handler.wfile.flush()
