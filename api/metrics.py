"""Figures in the text exposition format of Prometheus (version 0.0.4), written plainly.

Counters and the histogram are of the whole database, not of this process: they are folded from the history,
of which each look reads only what is new. So they survive a restart, and never go down.
"""

from __future__ import annotations

import sys
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
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

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    """Observations in each bucket alone; the last one has no upper bound."""
    sum_s: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum_s += seconds

    def samples(self, labels: Labels) -> Iterable[tuple[str, Labels, float]]:
        """Yield cumulative buckets, sum and count."""
        total = 0
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), self.counts, strict=True):
            total += count
            yield "_bucket", {**labels, "le": bound}, total
        yield "_sum", labels, self.sum_s
        yield "_count", labels, total


class History:
    """Folds a database's events into counters, each event once. Thread-safe."""

    def __init__(self, phases: Sequence[str]) -> None:
        """`phases` are the states that have a label of their own."""
        self._lock = threading.Lock()
        self._seq = 0
        self._entered: dict[int, tuple[str, str]] = {}
        """Runs in a phase: which one, and since when."""
        self._taken = Counter[str]()
        self._refused = Counter[str]()
        self._durations = {phase: Durations() for phase in phases}

    def metrics(self, reader: RunReader) -> list[Metric]:
        """Read what is new, and return the counters."""
        with self._lock:
            for seq, *event in reader.conn.execute(_EVENTS, (self._seq,)):
                self._fold(*event)
                self._seq = seq
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

    def _fold(self, run_id: int, at: str, trigger: str, dest: str, refused: int) -> None:
        if refused:
            self._refused[trigger] += 1
            return
        self._taken[trigger] += 1
        phase, since = self._entered.pop(run_id, ("", at))
        # Not after a crash or a failure: the time until somebody noticed is not the phase's.
        if trigger == ADVANCE:
            label = phase if phase in self._durations else OTHER
            self._durations.setdefault(label, Durations()).observe(_seconds(since, at))
        if dest not in TERMINAL:
            self._entered[run_id] = (dest, at)


_EVENTS: Final = """
SELECT seq, run_id, at, trigger, dest, coalesce(detail LIKE '{"refused":%', 0)
FROM run_events WHERE seq > ? ORDER BY seq"""


def _seconds(since: str, until: str) -> float:
    return max(0.0, (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds())


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
