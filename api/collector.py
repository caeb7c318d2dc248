"""OpenTelemetry's SDK, as far as it is used: spans go to a collector in batches, on a thread of its own.

Wants the extra `traces`; nobody imports this module unless traces are on. What else a collector needs is said
to the SDK as everywhere: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_EXPORTER_OTLP_HEADERS`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags

from api.spans import Span
from api.version import version

SCOPE: Final = "phaseline"
PATH: Final = "/v1/traces"
TIMEOUT_S: Final = 5
"""How long a batch may take, unless OTEL_EXPORTER_OTLP_TIMEOUT says something else."""
FLUSH_S: Final = 5
"""How long the last batches may hold the end of the process up."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Collector:
    """Sends spans to a collector. Thread-safe but for `send`, which one thread calls."""

    def __init__(self, endpoint: str) -> None:
        """`endpoint` is a collector's address, to which OTLP's own path is added."""
        timeout_s = None if _is_set("OTEL_EXPORTER_OTLP_TIMEOUT") else TIMEOUT_S
        self._processor = BatchSpanProcessor(
            OTLPSpanExporter(f"{endpoint.rstrip('/')}{PATH}", timeout=timeout_s)
        )
        of_environment = OTELResourceDetector().detect()
        named = Resource({"service.name": SCOPE, "service.version": version()}).merge(of_environment)
        resource = Resource.create(named.attributes)
        self.requests = TracerProvider(resource=resource, shutdown_on_exit=False)
        """Where requests become spans."""
        self._ids = _GivenIds()
        runs = TracerProvider(
            resource=resource, sampler=ALWAYS_ON, id_generator=self._ids, shutdown_on_exit=False
        )
        self._tracer = runs.get_tracer(SCOPE, version())
        for provider in (self.requests, runs):
            provider.add_span_processor(self._processor)

    def send(self, spans: Iterable[Span]) -> None:
        """Put spans in line; where the line is full, or the collector down, they are dropped."""
        for each in spans:
            self._ids.trace_id, self._ids.span_id = each.trace_id, each.span_id
            span = self._tracer.start_span(
                each.name, _below(each), attributes=each.attributes, start_time=_ns(each.start)
            )
            if each.failed:
                span.set_status(StatusCode.ERROR)
            span.end(_ns(each.end))

    def close(self) -> None:
        """Send what waits, for at most `FLUSH_S`."""
        # The processor's own end waits for 30 s; its threads are daemons.
        flushing = threading.Thread(target=self._processor.shutdown, daemon=True)
        flushing.start()
        flushing.join(FLUSH_S)


class _GivenIds(IdGenerator):
    """Gives the next span the ids that were put here."""

    trace_id = 0
    span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


def _below(span: Span) -> Context:
    if span.parent_id is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED)
    parent = SpanContext(span.trace_id, span.parent_id, is_remote=False, trace_flags=flags)
    return trace.set_span_in_context(NonRecordingSpan(parent), Context())


def _ns(at: str) -> int:
    since = datetime.fromisoformat(at) - EPOCH
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000


def _is_set(variable: str) -> bool:
    return variable in os.environ or variable.replace("OTLP", "OTLP_TRACES") in os.environ
