"""`GET /runs/{id}/stream`: a run's history and progress as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final

import orjson
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import StreamingResponse

from api.services import Services
from api.status import status_of_run
from statemachine.store import Event
from statemachine.table import TERMINAL

LOOK_S: Final = 1.0
"""A run that another process drives can't wake us, so it is looked at this often."""
PAGE: Final = 200
QUIET_LOOKS: Final = 15
"""After so many looks without a change a comment is sent, so that nobody between takes us for dead."""


class EventStream(StreamingResponse):
    """An answer of server-sent events, which nobody on the way may hold back.

    Not FastAPI's: its tasks log a traceback when a client leaves while an event waits to be sent
    (fastapi/fastapi, pull request 15824).
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes]) -> None:
        super().__init__(events, headers={"cache-control": "no-cache", "x-accel-buffering": "no"})


async def follow(services: Services, run_id: int, after: int) -> AsyncGenerator[bytes]:
    """Yield a run's events with `seq` above `after`, its status when it changes, and `end` at its end.

    A `transition` has its seq as id, so that a client resumes there; `progress` has none. When the server
    stops, the stream ends without `end`, and a client that reconnects misses nothing. Whoever follows
    closes it (`aclosing`): a follower that is left to the garbage collector counts as an open stream.
    """
    wake = asyncio.Event()
    said = b""
    quiet = 0
    with services.waking(run_id, wake):
        while not services.closing:
            wake.clear()
            run = services.loop_reader.run(run_id)  # before the events: then none of its events is missing
            for event in _events(services, run_id, after):
                after = event.seq
                yield _message("transition", orjson.dumps(event), id=str(event.seq))
            status = orjson.dumps(status_of_run(run, services.runner.live(run_id)))
            if run.state in TERMINAL:
                yield _message("end", status)
                return
            if status != said:
                said, quiet = status, 0
                yield _message("progress", status)
            quiet += 1
            if quiet > QUIET_LOOKS:
                quiet = 0
                yield KEEPALIVE_COMMENT
            with suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), LOOK_S)


def _events(services: Services, run_id: int, after: int) -> list[Event]:
    found = page = services.loop_reader.events(run_id, after=after, limit=PAGE)
    while len(page) == PAGE:
        page = services.loop_reader.events(run_id, after=page[-1].seq, limit=PAGE)
        found += page
    return found


def _message(kind: str, data: bytes, *, id: str | None = None) -> bytes:
    return format_sse_event(event=kind, data_str=data.decode(), id=id)
