"""Runs: start, look, follow, cancel, resume."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Header, Query
from starlette.responses import Response

from api.drawing import drawn, machine_of
from api.models import AnalyzeRequest, EventView, MachineView, Page, RunStatus, RunView, Status
from api.routes.common import Cursor, Limit, RunId, Shared
from api.status import MAX_ID, overlay, status_of_run
from api.stream import EventStream, follow
from statemachine.store import Run

router = APIRouter(tags=["runs"])
IdempotencyKey = Annotated[
    str | None,
    Header(pattern=r"^[\x20-\x7e]{1,255}$", description="the same key and body: the same run, not a new one"),
]
DiagramFormat = Literal["mermaid", "dot", "svg"]
MEDIA_TYPES: dict[DiagramFormat, str] = {
    "mermaid": "text/vnd.mermaid",
    "dot": "text/vnd.graphviz",
    "svg": "image/svg+xml",
}
_PICTURES: dict[str, Any] = {name: {"schema": {"type": "string"}} for name in MEDIA_TYPES.values()}


def _accepted(run: Run, services: Shared, response: Response) -> dict[str, Any]:
    response.headers["location"] = f"/runs/{run.id}"
    response.headers["retry-after"] = "1"
    return status_of_run(run, services.runner.live(run.id))


@router.post("/analyze", status_code=202, response_model=RunStatus)
def analyze(
    services: Shared,
    response: Response,
    body: Annotated[AnalyzeRequest | None, Body()] = None,
    idempotency_key: IdempotencyKey = None,
) -> dict[str, Any]:
    """Start a run and answer at once; poll its status, or follow its stream. Without a body: all defaults."""
    asked = (body or AnalyzeRequest()).asked()
    return _accepted(services.start(asked, idempotency_key), services, response)


@router.get("/runs", response_model=Page[RunView])
async def list_runs(
    services: Shared, status: Status | None = None, cursor: Cursor = None, limit: Limit = 50
) -> dict[str, Any]:
    """List runs, newest first."""
    runs = services.loop_reader.runs(status=status, before=cursor, limit=limit)
    more = len(runs) == limit and runs[-1].id > 1
    return {"items": [_view(run, services) for run in runs], "next_cursor": runs[-1].id if more else None}


@router.get("/runs/{run_id}", response_model=RunView)
async def get_run(services: Shared, run_id: RunId) -> dict[str, Any]:
    """Return the whole run."""
    return _view(services.loop_reader.run(run_id), services)


def _view(run: Run, services: Shared) -> dict[str, Any]:
    live = services.runner.live(run.id)
    view = {**dataclasses.asdict(run), "cancelling": run.cancel_requested}
    return view if live is None else view | overlay(live)


@router.get("/runs/{run_id}/events", response_model=Page[EventView])
async def list_events(
    services: Shared, run_id: RunId, cursor: Cursor = None, limit: Limit = 200
) -> dict[str, Any]:
    """List what has happened to a run, oldest first."""
    reader = services.loop_reader
    reader.run(run_id)
    events = reader.events(run_id, after=cursor or 0, limit=limit)
    return {"items": events, "next_cursor": events[-1].seq if len(events) == limit else None}


async def _existing(services: Shared, run_id: RunId) -> int:
    return services.loop_reader.run(run_id).id


async def _followed(
    services: Shared,
    run_id: Annotated[int, Depends(_existing)],
    last_event_id: Annotated[str | None, Header(description="the last seq that was seen")] = None,
) -> AsyncGenerator[AsyncGenerator[bytes]]:
    seen = (last_event_id or "").strip()
    known = seen.isascii() and seen.isdecimal() and len(seen) < len(str(MAX_ID))
    async with aclosing(follow(services, run_id, int(seen) if known else 0)) as events:
        yield events


@router.get("/runs/{run_id}/stream", status_code=200, response_class=EventStream)
async def stream_run(events: Annotated[AsyncGenerator[bytes], Depends(_followed)]) -> Response:
    """Follow a run: `transition` events with their seq as id, `progress` without, `end` at its end."""
    return EventStream(events)


@router.post("/runs/{run_id}/cancel", status_code=202, response_model=RunStatus)
def cancel_run(services: Shared, run_id: RunId, response: Response) -> dict[str, Any]:
    """Ask for a run to be cancelled; honoured at its next check point or boundary."""
    return _accepted(services.runner.cancel(run_id), services, response)


@router.post("/runs/{run_id}/resume", status_code=202, response_model=RunStatus)
def resume_run(services: Shared, run_id: RunId, response: Response) -> dict[str, Any]:
    """Go on from the phase in which a run failed; earlier phases are not run again."""
    return _accepted(services.runner.resume(run_id), services, response)


@router.get("/machine", response_model=MachineView)
async def get_machine(services: Shared) -> dict[str, Any]:
    """Return every state and every legal transition of the phases that this server runs."""
    return machine_of(services.pipeline.registry)


@router.get("/runs/{run_id}/diagram", response_class=Response, responses={200: {"content": _PICTURES}})
async def get_diagram(
    services: Shared,
    run_id: RunId,
    picture: Annotated[DiagramFormat, Query(alias="format")] = "mermaid",
) -> Response:
    """Draw the machine with the run's state lit."""
    run = services.loop_reader.run(run_id)
    text = drawn(services.pipeline.registry, picture, run)
    # A picture needs its own style and nothing else, also where it is opened as a page.
    csp = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    return Response(text, media_type=MEDIA_TYPES[picture], headers={"content-security-policy": csp})
