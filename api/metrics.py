"""Figures in the text exposition format of Prometheus (version 0.0.4), written plainly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from statemachine.store import RunReader

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its samples."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: Iterable[tuple[Labels, float]]


def prometheus(reader: RunReader, readiness: Mapping[str, Any]) -> str:
    """Return the figures of the database and of this process."""
    return "".join(line for metric in _metrics(reader, readiness) for line in _lines(metric))


def _metrics(reader: RunReader, readiness: Mapping[str, Any]) -> Iterable[Metric]:
    runs = dict.fromkeys(("running", "completed", "failed"), 0) | dict(
        reader.conn.execute("SELECT status, count(*) FROM analysis_runs GROUP BY status").fetchall()
    )
    yield Metric(
        "phaseline_runs",
        "gauge",
        "Runs in the database.",
        [({"status": name}, count) for name, count in runs.items()],
    )
    failures = reader.conn.execute(
        "SELECT error_code, count(*) FROM analysis_runs WHERE status = 'failed' GROUP BY error_code"
    ).fetchall()
    yield Metric(
        "phaseline_failed_runs",
        "gauge",
        "Failed runs by error code.",
        [({"code": code}, n) for code, n in failures],
    )
    moves = reader.conn.execute(
        "SELECT trigger, detail LIKE '{\"refused\":%', count(*) FROM run_events GROUP BY 1, 2"
    ).fetchall()
    yield Metric(
        "phaseline_transitions_total",
        "counter",
        "Edges taken; every one was a commit.",
        [({"trigger": trigger}, count) for trigger, refused, count in moves if not refused],
    )
    yield Metric(
        "phaseline_refusals_total",
        "counter",
        "Steps that were refused.",
        [({"trigger": trigger}, count) for trigger, refused, count in moves if refused],
    )
    yield Metric(
        "phaseline_active_run_seconds",
        "gauge",
        "Active time of the active runs at their last commit.",
        [({"run_id": str(run.id), "phase": run.state}, run.active_s) for run in reader.active()],
    )
    for name, help_text in (
        ("abandoned_threads", "Threads of abandoned phases that still live."),
        ("unrecorded_failures", "Failures that the database could not take yet."),
    ):
        value = readiness[name]
        yield Metric(
            f"phaseline_{name}", "gauge", help_text, [({}, value if isinstance(value, int) else len(value))]
        )
    yield Metric(
        "phaseline_ready", "gauge", "Whether this process takes work.", [({}, int(readiness["ready"]))]
    )


def _lines(metric: Metric) -> Iterable[str]:
    yield f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n"
    for labels, value in metric.samples:
        said = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
        yield f"{metric.name}{{{said}}} {value:g}\n" if said else f"{metric.name} {value:g}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
