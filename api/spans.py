"""A run's history as spans: the run is a trace, each attempt at a phase a span of it.

Ids follow from the database and the history alone, so that every process that drives a run tells of the same
trace. Nothing here knows a tracing library; `collector.py` sends what this makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from statemachine.store import Event, Run
from statemachine.table import ADVANCE, CANCEL, FAIL, RESUME, START, TERMINAL, TIME_OUT

CODES: Final = {CANCEL: "cancelled", TIME_OUT: "timeout", FAIL: "error", RESUME: "owner_died"}
"""Why an attempt ended that did not advance."""
TRACE_ID_BYTES: Final = 16
SPAN_ID_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time of one run."""

    trace_id: int
    span_id: int
    parent_id: int | None
    name: str
    start: str
    """ISO 8601, UTC."""
    end: str
    attributes: Mapping[str, str | int | bool]
    failed: bool
    seq: int
    """The event that ended it."""


def spans(run: Run, events: Sequence[Event], origin: str) -> Iterator[Span]:
    """Yield what a run's whole history tells, each span once it has ended.

    A run that a person resumes after it failed has a second span of its own below the first one. Where a
    process died or was stopped, its attempt ends when somebody took the run over (`phaseline.end_noticed`).

    Args:
        run: As it is now.
        events: All of its events, oldest first.
        origin: What tells this database from every other.
    """
    trace = f"{origin}/{run.registry}/{run.id}/{run.started_at}"
    taken = [event for event in events if not (event.detail or {}).get("refused")]
    root = life = entered = None
    for event in taken:
        code = _code(event, run, last=event is taken[-1])
        if life is not None and entered is not None:
            yield _attempt(trace, life, entered, event, code)
        if event.trigger == START or event.source in TERMINAL:
            life = event
            root = root or event
        if event.dest in TERMINAL and life is not None and root is not None:
            yield _life(trace, root, life, event, code)
        entered = None if event.dest in TERMINAL else event


def _code(event: Event, run: Run, *, last: bool) -> str | None:
    """Return why what this event ended did not go well, `None` where it did."""
    if event.trigger == ADVANCE or (event.detail or {}).get("stopped"):
        return None
    return (run.error_code if last else None) or CODES.get(event.trigger)


def _attempt(trace: str, life: Event, entered: Event, left: Event, code: str | None) -> Span:
    detail = left.detail or {}
    told: dict[str, str | int | bool] = {
        "phaseline.run.id": left.run_id,
        "phaseline.phase.number": entered.phase,
        "phaseline.phase.attempt": entered.attempt,
        "phaseline.trigger": left.trigger,
    }
    if "owner_died" in detail or "stopped" in detail:
        told["phaseline.end_noticed"] = True
    if isinstance(kind := detail.get("error"), str):
        told["exception.type"] = kind
    return _span(trace, entered.dest, entered, left, parent=life, told=told, code=code)


def _life(trace: str, root: Event, began: Event, ended: Event, code: str | None) -> Span:
    told: dict[str, str | int | bool] = {"phaseline.run.id": ended.run_id, "phaseline.run.status": ended.dest}
    parent = None if began is root else root
    return _span(trace, "run", began, ended, parent=parent, told=told, code=code)


def _span(
    trace: str,
    name: str,
    began: Event,
    ended: Event,
    *,
    parent: Event | None,
    told: dict[str, str | int | bool],
    code: str | None,
) -> Span:
    kind = "run" if name == "run" else "phase"
    return Span(
        trace_id=_id(TRACE_ID_BYTES, trace),
        span_id=_id(SPAN_ID_BYTES, f"{trace}/{kind}/{began.seq}"),
        parent_id=None if parent is None else _id(SPAN_ID_BYTES, f"{trace}/run/{parent.seq}"),
        name=name,
        start=began.at,
        end=max(began.at, ended.at),
        attributes=told if code is None else {**told, "error.type": code},
        failed=code is not None,
        seq=ended.seq,
    )


def _id(size: int, said: str) -> int:
    """Return an id of so many bytes, never 0, which means none."""
    return int.from_bytes(blake2b(said.encode(), digest_size=size).digest()) or 1
