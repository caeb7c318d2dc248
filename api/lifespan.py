"""The server's start and end: open the runner, recover, and hold the end until the runs have stopped.

A server that ends while a run thread works would kill it (uvicorn raises the signal again) or leave it
without pools (after the main thread, executors take no work). So the shutdown is held: until the runs have
ended (`SHUTDOWN=finish`) or at their next check point (`checkpoint`, or a second signal).
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any, Final

from anyio import to_thread
from fastapi import FastAPI

from api.services import Services
from statemachine.runner import Runner

_log = logging.getLogger("phaseline.server")
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Open what the application needs, and let it end in good order."""
    services: Services = app.state.services
    runner = await to_thread.run_sync(lambda: services.runner)
    with heeding_signals(Stop(services, runner)):
        yield
        services.end_streams()
        runner.stop()
        await to_thread.run_sync(runner.wait)
    services.close()
    services.closing = False


class Stop:
    """What a signal does: the first one begins the shutdown, the next one hurries it."""

    def __init__(self, services: Services, runner: Runner) -> None:
        self._services = services
        self._runner = runner
        self._signals = 0

    def __call__(self) -> None:
        """React to one signal; call it on the event loop."""
        self._signals += 1
        self._services.end_streams()
        if self._signals == 1:
            self._runner.stop()
        else:
            self._runner.request_stop()
        active = ", ".join(map(str, self._runner.readiness()["active_runs"])) or "none"
        again = "" if self._signals == 1 else " once more: runs stop at their next check point"
        _log.info("asked to stop%s; active runs: %s", again, active)


@contextmanager
def heeding_signals(react: Callable[[], None]) -> Generator[None]:
    """Call `react` on the running event loop at each signal, and then the server's own handler.

    A server ends its connections before it tells the application to stop, and an open event stream is a
    connection: it has to hear of the signal itself. Off the main thread there are no signals to heed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before: dict[signal.Signals, Any] = {each: signal.getsignal(each) for each in SIGNALS}

    def heed(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(react)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for each in SIGNALS:
        signal.signal(each, heed)
    try:
        yield
    finally:
        for each, former in before.items():
            signal.signal(each, former)
