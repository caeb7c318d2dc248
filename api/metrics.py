"""Figures in the text exposition format of Prometheus (version 0.0.4), written plainly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from statemachine.store import RunReader
from statemachine.table import TERMINAL

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
    metrics = [*(of(reader) for of in _OF_THE_DATABASE), *_of_the_process(readiness)]
    return "".join(line for metric in metrics for line in _lines(metric))


def _runs(reader: RunReader) -> Metric:
    counted = dict(
        reader.conn.execute("SELECT status, count(*) FROM analysis_runs GROUP BY status").fetchall()
    )
    samples = [({"status": name}, counted.get(name, 0)) for name in ("running", *sorted(TERMINAL))]
    return Metric("phaseline_runs", "gauge", "Runs in the database.", samples)


def _failed_runs(reader: RunReader) -> Metric:
    counted = reader.conn.execute(
        "SELECT error_code, count(*) FROM analysis_runs WHERE status = 'failed' GROUP BY error_code"
    ).fetchall()
    samples = [({"code": code}, count) for code, count in counted]
    return Metric("phaseline_failed_runs", "gauge", "Failed runs by error code.", samples)


def _transitions(reader: RunReader) -> Metric:
    samples = _moves(reader, refused=False)
    return Metric("phaseline_transitions_total", "counter", "Edges taken; every one was a commit.", samples)


def _refusals(reader: RunReader) -> Metric:
    samples = _moves(reader, refused=True)
    return Metric("phaseline_refusals_total", "counter", "Steps that were refused.", samples)


def _moves(reader: RunReader, *, refused: bool) -> list[tuple[Labels, float]]:
    counted = reader.conn.execute(
        """SELECT trigger, count(*) FROM run_events
           WHERE coalesce(detail LIKE '{"refused":%', 0) = ? GROUP BY trigger""",
        (refused,),
    ).fetchall()
    return [({"trigger": trigger}, count) for trigger, count in counted]


def _active(reader: RunReader) -> Metric:
    samples = [({"run_id": str(run.id), "phase": run.state}, run.active_s) for run in reader.active()]
    help_ = "Active time of the active runs at their last commit."
    return Metric("phaseline_active_run_seconds", "gauge", help_, samples)


_OF_THE_DATABASE = (_runs, _failed_runs, _transitions, _refusals, _active)


def _of_the_process(readiness: Mapping[str, Any]) -> Iterable[Metric]:
    figures = (
        ("ready", "Whether this process takes work.", int(readiness["ready"])),
        ("abandoned_threads", "Threads of abandoned phases that still live.", readiness["abandoned_threads"]),
        (
            "unrecorded_failures",
            "Failures that the database could not take yet.",
            len(readiness["unrecorded_failures"]),
        ),
    )
    return (Metric(f"phaseline_{name}", "gauge", help_, [({}, value)]) for name, help_, value in figures)


def _lines(metric: Metric) -> Iterable[str]:
    yield f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n"
    for labels, value in metric.samples:
        said = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
        yield f"{metric.name}{{{said}}} {value:g}\n" if said else f"{metric.name} {value:g}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
