"""`GET /runs/{id}/status`, the answer that is polled: the row and what only this process knows, as bytes.

It is answered in the event loop from a read-only connection that stays open, and past FastAPI's handling of
parameters and models, which costs more than reading the row.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

import orjson
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from api.params import BadParam
from api.services import Services
from statemachine.live import Live
from statemachine.store import Run
from statemachine.table import FAILED, status_of

MAX_ID: Final = 2**63 - 1
POLL_S: Final = b"1"
_COLUMNS: Final = (
    "status", "state", "current_phase", "phase_label", "progress_current", "progress_total",
    "step_current", "step_total", "step_unit", "started_at", "updated_at", "completed_at",
    "error_code", "error_message", "warnings", "results",
)  # fmt: skip


def status_of_run(run: Run, live: Live | None) -> dict[str, Any]:
    """Return the status resource: the row, with what its owner in this process knows better."""
    status: dict[str, Any] = {"run_id": run.id, **{name: getattr(run, name) for name in _COLUMNS}}
    status["cancelling"] = run.cancel_requested
    return status if live is None else status | overlay(live)


def overlay(live: Live) -> dict[str, Any]:
    """Return what memory knows of a run beyond its row: steps, a cancel, a failure not written yet."""
    known: dict[str, Any] = {}
    if live.step is not None:
        step = live.step
        known |= {"step_current": step.current, "step_total": step.total, "step_unit": step.unit}
    if live.cancelling:
        known["cancelling"] = True
    if live.failure is not None:
        code, message = live.failure
        known |= {"status": status_of(FAILED), "state": FAILED, "error_code": code, "error_message": message}
    return known


def etag_of(body: bytes) -> bytes:
    """Return a strong validator of a body."""
    return b'"' + blake2b(body, digest_size=12).hexdigest().encode() + b'"'


class StatusEndpoint:
    """The ASGI application behind the route."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request; raises `RunNotFound`, `BadParam`."""
        run_id = _id(scope["path_params"]["run_id"])
        run = self._services.loop_reader.run(run_id)
        status = status_of_run(run, self._services.runner.live(run_id))
        body = orjson.dumps(status)
        etag = etag_of(body)
        headers = [(b"etag", etag), (b"cache-control", b"no-cache")]
        if status["status"] == "running":
            headers.append((b"retry-after", POLL_S))
        if _matches(scope, etag):
            await _send(send, 304, headers, b"")
            return
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await _send(send, 200, headers, body)


def add_status_route(app: FastAPI, services: Services, **documentation: Any) -> None:
    """Put the route first, documented like every other."""

    async def run_status(run_id: int) -> None:
        """The run as it is now, small enough to be polled: send the ETag back, get 304 until it changes."""

    route = APIRoute(
        "/runs/{run_id}/status", run_status, methods=["GET"], operation_id="run_status", **documentation
    )
    route.app = StatusEndpoint(services)
    app.router.routes.insert(0, route)


def _id(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_ID)) and 0 < int(text) <= MAX_ID:
        return int(text)
    raise BadParam("path.run_id", f"say a whole number from 1 to {MAX_ID}")


def _matches(scope: Scope, etag: bytes) -> bool:
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            return value.strip() == b"*" or etag in {
                each.strip().removeprefix(b"W/") for each in value.split(b",")
            }
    return False


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
