"""A model's server on loopback: real HTTP, whose every answer a test decides."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal

Manner = Literal["whole", "cut", "drip", "hang", "endless"]


_UNSENT: Final = {"cut": 10, "drip": 10**6, "endless": 10**9}
"""Bytes that are promised and never come, or only as long as the client reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the client sent."""

    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: dict[str, Any]
    number: int
    """Counted from 1."""

    @property
    def shown(self) -> str:
        """The user's message: everything that strangers wrote."""
        return str(self.body["messages"][-1]["content"])

    @property
    def comment(self) -> str:
        """The text of the comment, out of its frame."""
        *_, last = self.shown.split("\nbegin ")
        return last.split("\n", 1)[1].rpartition("\nend ")[0]

    @property
    def is_repair(self) -> bool:
        """Whether this is a second call."""
        return "could not be read" in self.body["messages"][0]["content"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What the server sends, and how."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    manner: Manner = "whole"
    """`cut` breaks off in the middle, `drip` sends a byte at a time until the client has gone, `hang` says
    nothing until the server is closed, `endless` never stops."""


Answering = Callable[[Request], Response]


class ModelServer:
    """Answers each request by `answering`, on a thread of its own, and remembers all of them."""

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self.in_flight = self.most_in_flight = 0
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def close(self) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _noted(self, path: str, headers: Mapping[str, str], body: dict[str, Any]) -> Request:
        with self._lock:
            request = Request(path=path, headers=headers, body=body, number=len(self.requests) + 1)
            self.requests.append(request)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return request

    def _ended(self) -> None:
        with self._lock:
            self.in_flight -= 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = server._noted(self.path, headers, body)
                try:
                    response = server.answering(request)
                finally:
                    server._ended()
                with suppress(OSError):
                    self._send(response)

            def _send(self, response: Response) -> None:
                self.close_connection = response.manner != "whole"
                self.send_response(response.status)
                length = len(response.body) + _UNSENT.get(response.manner, 0)
                for name, value in ({"Content-Type": "application/json"} | dict(response.headers)).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(length))
                if response.manner == "hang":
                    server.closing.wait()
                self.end_headers()
                self.wfile.write(response.body)
                while response.manner == "drip" and not server.closing.wait(0.02):
                    self.wfile.write(b" ")
                while response.manner == "endless" and not server.closing.is_set():
                    self.wfile.write(b" " * 65_536)

            def log_message(self, *_args: Any) -> None:
                """Say nothing."""

        return Handler


@contextmanager
def model_server(answering: Answering) -> Iterator[ModelServer]:
    """Serve until the block ends."""
    server = ModelServer(answering)
    try:
        yield server
    finally:
        server.close()
