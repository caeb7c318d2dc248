"""Figures in the text exposition format of Prometheus (version 0.0.4), written plainly.

Counters and the histogram are of the whole database, not of this process: they are folded from the history,
of which each look reads only what is new. So they survive a restart, and never go down.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from api.version import version
from statemachine.store import RunReader
from statemachine.table import ADVANCE, TERMINAL

Labels = Mapping[str, str]
BUCKETS_S: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0)
OTHER: Final = "other"
"""The label of phases that this server does not run: so there are never more labels than phases."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its samples."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    samples: Iterable[tuple[str, Labels, float]]
    """What follows the metric's name (a histogram's have three endings), labels, value."""


@dataclass(slots=True)
class Durations:
    """A histogram of seconds."""

    count: int = 0
    sum_s: float = 0.0
    up_to: list[int] = field(default_factory=lambda: [0] * len(BUCKETS_S))
    """How many were at most as long as each of `BUCKETS_S`."""

    def add(self, count: int, sum_s: float, *up_to: int) -> None:
        """Take in those of another histogram."""
        self.count += count
        self.sum_s += sum_s
        self.up_to = [ours + theirs for ours, theirs in zip(self.up_to, up_to, strict=True)]

    def samples(self, labels: Labels) -> Iterable[tuple[str, Labels, float]]:
        """Yield cumulative buckets, sum and count."""
        for bound, count in zip(BUCKETS_S, self.up_to, strict=True):
            yield "_bucket", {**labels, "le": str(bound)}, count
        yield "_bucket", {**labels, "le": "+Inf"}, self.count
        yield "_sum", labels, self.sum_s
        yield "_count", labels, self.count


class History:
    """Folds a database's events into counters, each event once. Thread-safe."""

    def __init__(self, phases: Sequence[str]) -> None:
        """`phases` are the states that have a label of their own."""
        self._lock = threading.Lock()
        self._seq = 0
        self._taken = Counter[str]()
        self._refused = Counter[str]()
        self._durations = {phase: Durations() for phase in phases}

    def metrics(self, reader: RunReader) -> list[Metric]:
        """Read what is new, and return the counters."""
        with self._lock:
            self._read_on(reader)
            return [
                _by("transitions_total", "Edges taken; every one was a commit.", self._taken),
                _by("refusals_total", "Steps that were refused.", self._refused),
                Metric(
                    "phaseline_phase_duration_seconds",
                    "histogram",
                    "Wall time of the phases that advanced, from their entry to their boundary.",
                    [
                        sample
                        for phase, durations in self._durations.items()
                        for sample in durations.samples({"phase": phase})
                    ],
                ),
            ]

    def _read_on(self, reader: RunReader) -> None:
        (until,) = reader.conn.execute("SELECT coalesce(max(seq), 0) FROM run_events").fetchone()
        counted, took = (reader.conn.execute(sql, (self._seq, until)).fetchall() for sql in (_COUNTED, _TOOK))
        for trigger, refused, count in counted:
            (self._refused if refused else self._taken)[trigger] += count
        for phase, *figures in took:
            label = phase if phase in self._durations else OTHER
            self._durations.setdefault(label, Durations()).add(*figures)
        self._seq = until


# SQLite adds them up, not we: it does so without the interpreter's lock, so that a long history keeps no
# request waiting.
_REFUSED: Final = """coalesce(detail LIKE '{"refused":%', 0)"""
_NEW: Final = "seq > ? AND seq <= ?"
_COUNTED: Final = f"SELECT trigger, {_REFUSED}, count(*) FROM run_events WHERE {_NEW} GROUP BY 1, 2"
# From the last edge before: after a crash or a resume that is when somebody took the phase up again, for
# the time until then is not the phase's. MATERIALIZED, or each bucket would look for that edge anew.
_TOOK: Final = f"""
WITH took AS MATERIALIZED (
  SELECT source AS phase, max(0, round(86400 * (julianday(at) - julianday(
           (SELECT at FROM run_events WHERE run_id = event.run_id AND seq < event.seq AND NOT {_REFUSED}
            ORDER BY seq DESC LIMIT 1))), 3)) AS s
  FROM run_events AS event WHERE {_NEW} AND trigger = '{ADVANCE}' AND NOT {_REFUSED})
SELECT phase, count(*), sum(s), {", ".join(f"sum(s <= {bound})" for bound in BUCKETS_S)}
FROM took GROUP BY phase"""


def _by(name: str, help_: str, counted: Counter[str]) -> Metric:
    samples = [("", {"trigger": trigger}, count) for trigger, count in sorted(counted.items())]
    return Metric(f"phaseline_{name}", "counter", help_, samples)


def prometheus(
    reader: RunReader, history: History, readiness: Mapping[str, Any], *, db: Path, streams: int
) -> str:
    """Return the figures of the database and of this process.

    Args:
        reader: Of the database.
        history: What was folded so far.
        readiness: What `Runner.readiness` says.
        db: Where the database is.
        streams: Open event streams.
    """
    metrics = [
        *(of(reader) for of in _OF_THE_DATABASE),
        *history.metrics(reader),
        _size(db),
        *_of_the_process(readiness, streams),
        _build(readiness),
    ]
    return "".join(line for metric in metrics for line in _lines(metric))


def _runs(reader: RunReader) -> Metric:
    counted = dict(
        reader.conn.execute("SELECT status, count(*) FROM analysis_runs GROUP BY status").fetchall()
    )
    samples = [("", {"status": name}, counted.get(name, 0)) for name in ("running", *sorted(TERMINAL))]
    return Metric("phaseline_runs", "gauge", "Runs in the database.", samples)


def _failed_runs(reader: RunReader) -> Metric:
    counted = reader.conn.execute(
        "SELECT error_code, count(*) FROM analysis_runs WHERE status = 'failed' GROUP BY error_code"
    ).fetchall()
    samples = [("", {"code": code}, count) for code, count in counted]
    return Metric("phaseline_failed_runs", "gauge", "Failed runs by error code.", samples)


def _active(reader: RunReader) -> Metric:
    longest: dict[str, float] = {}
    for run in reader.active():
        longest[run.state] = max(longest.get(run.state, 0.0), run.active_s)
    samples = [("", {"phase": phase}, seconds) for phase, seconds in longest.items()]
    help_ = "Longest active time of the runs in a phase, at their last commit."
    return Metric("phaseline_active_run_seconds", "gauge", help_, samples)


_OF_THE_DATABASE = (_runs, _failed_runs, _active)


def _size(db: Path) -> Metric:
    # By stat alone: opening the file here would drop SQLite's locks on it.
    files = {"database": db, "log": db.with_name(f"{db.name}-wal")}
    samples = [("", {"file": name}, path.stat().st_size) for name, path in files.items() if path.exists()]
    return Metric("phaseline_database_bytes", "gauge", "Size of the database and of its log.", samples)


def _of_the_process(readiness: Mapping[str, Any], streams: int) -> Iterable[Metric]:
    figures = (
        ("ready", "Whether this process takes work.", int(readiness["ready"])),
        ("active_runs", "Runs that this process drives.", len(readiness["active_runs"])),
        ("event_streams", "Open streams of server-sent events.", streams),
        ("abandoned_threads", "Threads of abandoned phases that still live.", readiness["abandoned_threads"]),
        (
            "unrecorded_failures",
            "Failures that the database could not take yet.",
            len(readiness["unrecorded_failures"]),
        ),
    )
    return (Metric(f"phaseline_{name}", "gauge", help_, [("", {}, value)]) for name, help_, value in figures)


def _build(readiness: Mapping[str, Any]) -> Metric:
    labels = {
        "version": version(),
        "python": sys.version.split()[0],
        "sqlite": readiness["sqlite_version"],
        "registry": readiness["registry"],
    }
    return Metric("phaseline_build_info", "gauge", "What runs here, as labels; always 1.", [("", labels, 1)])


def _lines(metric: Metric) -> Iterable[str]:
    yield f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n"
    for ending, labels, value in metric.samples:
        said = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
        yield f"{metric.name}{ending}{{{said}}} {value!r}\n" if said else f"{metric.name}{ending} {value!r}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
