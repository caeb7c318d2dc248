"""A server on loopback that answers as a test says, and the way that leads Schwab's client to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2


@dataclass
class Answer:
    """One answer; a body that is no text is sent as JSON."""

    body: Any = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def content(self) -> bytes:
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass
class Schwab:
    """Answers by path, each in turn, the last one again and again; remembers what it was asked."""

    answers: dict[str, list[Answer]] = field(default_factory=dict[str, list[Answer]])
    asked: list[tuple[str, dict[str, list[str]], str | None]] = field(default_factory=list)
    """Path, query or form, and the Authorization header."""
    port: int = 0

    def says(self, path: str, *answers: Answer) -> None:
        self.answers[path] = list(answers)

    def answer(self, path: str, form: str, authorization: str | None) -> Answer:
        parts = urlsplit(path)
        self.asked.append((parts.path, parse_qs(parts.query or form), authorization))
        waiting = self.answers.get(parts.path, [Answer(status=404)])
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def paths(self) -> list[str]:
        return [path.rsplit("/", 1)[-1] for path, _, _ in self.asked]

    def transport(self) -> httpx2.BaseTransport:
        return ToLoopback(self.port)


class ToLoopback(httpx2.BaseTransport):
    """Sends every request to a port of this machine, whatever its address says."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._inner = httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


@contextmanager
def serving() -> Iterator[Schwab]:
    """Serve until the end of the block."""
    schwab = Schwab()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = schwab.answer(self.path, self._form(), self.headers.get("Authorization"))
            content = answer.content()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the server's names

        def _form(self) -> str:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    schwab.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield schwab
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
