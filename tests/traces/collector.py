"""A collector on the loopback: takes OTLP over HTTP, and decodes what it is sent."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Got:
    """A span as it came."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start_ns: int
    end_ns: int
    failed: bool
    attributes: dict[str, Any]
    service: str


@dataclass
class Collected:
    """What came, and how it is answered."""

    status: int = 200
    answers: threading.Event = field(default_factory=threading.Event)
    """While it is not set, requests wait."""
    url: str = ""
    bodies: list[bytes] = field(default_factory=list[bytes])
    paths: list[str] = field(default_factory=list[str])
    came: threading.Event = field(default_factory=threading.Event)

    @property
    def spans(self) -> list[Got]:
        return [span for body in self.bodies for span in decoded(body)]

    @property
    def of_runs(self) -> list[Got]:
        return sorted(
            (each for each in self.spans if "phaseline.run.id" in each.attributes),
            key=lambda each: (each.start_ns, -each.end_ns),
        )

    @property
    def of_requests(self) -> list[Got]:
        return [each for each in self.spans if "http.request.method" in each.attributes]


def decoded(body: bytes) -> Iterator[Got]:
    message = ExportTraceServiceRequest.FromString(body)
    for of_resource in message.resource_spans:
        resource = {each.key: each.value.string_value for each in of_resource.resource.attributes}
        for scope in of_resource.scope_spans:
            for span in scope.spans:
                yield Got(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.name,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    span.status.code == span.status.STATUS_CODE_ERROR,
                    {
                        each.key: getattr(each.value, each.value.WhichOneof("value"))
                        for each in span.attributes
                    },
                    resource["service.name"],
                )


@contextmanager
def collecting(status: int = 200) -> Iterator[Collected]:
    """Listen on a free port until the end; the answers wait for nobody, unless `answers` is cleared."""
    collected = Collected(status)
    collected.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collected.paths.append(self.path)
            collected.came.set()
            collected.answers.wait()
            is_packed = self.headers.get("content-encoding") == "gzip"
            collected.bodies.append(gzip.decompress(body) if is_packed else body)
            self.send_response(collected.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collected.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield collected
        finally:
            collected.answers.set()
            server.shutdown()
