"""Traces of requests and runs, where the setting TRACES names a collector.

Runs are not traced while they are driven: this watches what is committed, as anybody may, and makes spans of
the history (`spans.py`). So the engine knows nothing of it, and a collector that is slow holds no run up.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import MutableMapping
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from api.settings import Settings, SettingsError
from api.spans import spans
from statemachine.runner import Runner
from statemachine.store import Event, RunReader

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig

    from api.collector import Collector

_log = logging.getLogger("phaseline.traces")
EXTRA: Final = 'TRACES wants OpenTelemetry: pip install "phaseline[traces]"'
READ_S: Final = 5
"""How long the last events may take to be read at the end."""
PAGE: Final = 1000
UNTRACED: Final = ("/healthz", "/readyz", "/metrics", "/ui/")
STREAM: Final = "/stream"


class Traces:
    """Owns the way to the collector, and the thread that reads what runs have done."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._changed = SimpleQueue[int | None]()
        self._watching: threading.Thread | None = None

    @property
    def of_requests(self) -> TelemetryConfig:
        """What FastAPI's telemetry is told, so that requests become spans."""
        return {"tracing": True, "tracer_provider": self._collector.requests, "exclude": is_untraced}

    def watch(self, runner: Runner) -> None:
        """Tell of the runs that `runner` drives from now on."""
        reader = _Reader(runner, self._collector)
        runner.subscribe(self._changed.put)
        self._watching = threading.Thread(target=self._watch, args=(reader,), name="traces", daemon=True)
        self._watching.start()

    def close(self) -> None:
        """Tell of what has happened up to now, within seconds; the runner has stopped or closed."""
        self._changed.put(None)
        if self._watching is not None:
            self._watching.join(READ_S)
        self._collector.close()

    def _watch(self, reader: _Reader) -> None:
        for run_id in iter(self._changed.get, None):
            try:
                reader.tell_of(run_id)
            except Exception:  # noqa: BLE001  # a span is missing; the next change tells of it again
                _log.warning("run %d could not be traced", run_id, exc_info=True, extra={"run_id": run_id})
        reader.close()


class _Reader:
    """Reads runs on one thread, and sends each of their spans once."""

    def __init__(self, runner: Runner, collector: Collector) -> None:
        self._collector = collector
        self._reader = RunReader(runner.db)
        # What was before is told already, by the process that did it.
        (newest,) = self._reader.conn.execute("SELECT coalesce(max(seq), 0) FROM run_events").fetchone()
        self._told: defaultdict[int, int] = defaultdict(lambda: newest)

    def tell_of(self, run_id: int) -> None:
        """Send what has ended since the last time."""
        if not self._reader.events(run_id, after=self._told[run_id], limit=1):
            return
        run, events = self._reader.run(run_id), self._events(run_id)
        (origin,) = self._reader.conn.execute("SELECT at FROM run_events ORDER BY seq LIMIT 1").fetchone()
        self._collector.send(span for span in spans(run, events, origin) if span.seq > self._told[run_id])
        self._told[run_id] = events[-1].seq

    def _events(self, run_id: int) -> list[Event]:
        found = page = self._reader.events(run_id, limit=PAGE)
        while len(page) == PAGE:
            page = self._reader.events(run_id, after=page[-1].seq, limit=PAGE)
            found += page
        return found

    def close(self) -> None:
        self._reader.close()


def is_untraced(scope: MutableMapping[str, Any]) -> bool:
    """Return whether a request is what machines ask all day, or a stream, which lasts as long as its run."""
    path: str = scope["path"]
    return path.startswith(UNTRACED) or path.endswith(STREAM)


def traces_of(settings: Settings) -> Traces | None:
    """Return traces where the settings want them; raise `SettingsError` where the extra is missing."""
    if settings.traces is None:
        return None
    try:
        from api.collector import Collector  # noqa: PLC0415  # an extra, and it takes its time
    except ImportError as error:
        raise SettingsError(EXTRA) from error
    return Traces(Collector(settings.traces))
