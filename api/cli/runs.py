"""`phaseline runs` and `phaseline show`."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from api.cli.options import json_option, reading, resolved, run_argument, settings, settings_flags
from api.cli.text import as_json, clean, put, put_table
from statemachine.store import Event, Run

COLUMNS = ("run", "status", "phase", "started", "error")
SHOWN = (
    "status", "state", "phase_label", "progress_current", "progress_total", "started_at", "updated_at",
    "completed_at", "error_code", "error_message", "attempt", "active_s", "params", "results",
)  # fmt: skip


@click.command()
@settings_flags()
@json_option
@click.option("--status", type=click.Choice(["running", "completed", "failed"]), help="Only these.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many."
)
def runs(as_json_: bool, status: str | None, limit: int) -> None:
    """List the runs, newest first."""
    with reading(settings()) as reader:
        found = reader.runs(status=status, limit=limit)
    if as_json_:
        put(as_json([dataclasses.asdict(run) for run in found]))
    else:
        put_table("Runs", COLUMNS, map(_row, found))


def _row(run: Run) -> tuple[object, ...]:
    phase = f"{run.progress_current}/{run.progress_total} {run.phase_label}"
    return run.id, run.status, phase, run.started_at, run.error_message


@click.command()
@settings_flags()
@json_option
@run_argument
def show(as_json_: bool, run_id: int) -> None:
    """Show one run and its history."""
    with reading(settings()) as reader:
        run = reader.run(resolved(reader, run_id))
        events = reader.events(run.id, limit=10_000)
    if as_json_:
        history = [dataclasses.asdict(event) for event in events]
        put(as_json({"run_id": run.id, **dataclasses.asdict(run), "events": history}))
        return
    put_table(f"Run {run.id}", ("what", "value"), _facts(run))
    put_table("History", ("at", "what", "from", "to", "why"), map(_event, events))
    for warning in run.warnings or []:
        put(clean(f"warning {warning.get('type')}: {warning.get('message')}"))


def _facts(run: Run) -> list[tuple[str, Any]]:
    facts = [(name, getattr(run, name)) for name in SHOWN]
    return [
        (name, as_json(value) if isinstance(value, dict) else value)
        for name, value in facts
        if value is not None
    ]


def _event(event: Event) -> tuple[object, ...]:
    detail = event.detail or {}
    why = detail.get("refused") or detail.get("error") or (as_json(detail) if detail else "")
    return event.at, event.trigger, event.source, event.dest, why
