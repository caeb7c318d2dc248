"""The start page: plain HTML without a script.

It is open without a token, so it lists the latest runs only where no token is set.
"""

from __future__ import annotations

from html import escape

from fastapi import APIRouter
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.routes.common import Shared
from statemachine.store import Run

router = APIRouter(include_in_schema=False)

ENDPOINTS = (
    ("POST /analyze", "start a run"),
    ("GET /runs", "all runs, newest first"),
    ("GET /runs/{id}/status", "one run, to be polled"),
    ("GET /runs/{id}/stream", "one run, as server-sent events"),
    ("GET /runs/{id}/events", "what happened to it"),
    ("GET /runs/{id}/diagram?format=svg", "where it is"),
    ("POST /runs/{id}/cancel, /resume", "stop it, go on with it"),
    ("GET /machine", "states and transitions"),
    ("GET /signals, /portfolios, /positions, /prices/{ticker}", "what was found"),
    ("GET /healthz, /readyz, /metrics", "the service itself"),
    ("GET /openapi.json", "all of it, for tools"),
)


@router.get("/")
@router.get("/ui")
async def to_page() -> Response:
    """Lead to the page."""
    return RedirectResponse("/ui/")


@router.get("/ui/")
async def get_page(services: Shared) -> Response:
    """Return the page."""
    runs = [] if services.settings.token else services.loop_reader.runs(limit=10)
    rows = "".join(f"<tr><td><code>{escape(path)}</code><td>{escape(what)}" for path, what in ENDPOINTS)
    latest = "".join(map(_row, runs)) or "<tr><td colspan=4>none to show"
    return HTMLResponse(
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width"><title>Phaseline</title>'
        "<h1>Phaseline</h1><h2>Latest runs</h2>"
        f"<table><tr><th>run<th>status<th>phase<th>started{latest}</table>"
        f"<h2>Endpoints</h2><table>{rows}</table></html>"
    )


def _row(run: Run) -> str:
    label = f"{run.progress_current}/{run.progress_total} {run.phase_label}"
    cells = (run.status, label, run.started_at)
    link = f'<a href="/runs/{run.id}/diagram?format=svg">{run.id}</a>'
    return f"<tr><td>{link}" + "".join(f"<td>{escape(cell)}" for cell in cells)
