"""What all requests share: the settings, one runner, and how to read beside it."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from typing import Final

from api.metrics import History
from api.params import Asked, BadParam, pin
from api.pipeline import Pipeline
from api.settings import Settings
from api.traces import Traces
from api.wiring import open_runner
from statemachine.contract import Clock
from statemachine.errors import StoreBusy
from statemachine.runner import Runner
from statemachine.store import Run, RunReader

_log = logging.getLogger("phaseline.server")
REPLAYS: Final = "belongs to a replay"
"""What the database says where it takes no other analyses (see `replay/schema.sql`)."""


class Services:
    """Owns the runner of a server, unless one was handed in. Thread-safe but for `loop_reader`."""

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        clock: Clock,
        runner: Runner | None = None,
        *,
        traces: Traces | None = None,
    ) -> None:
        self.settings = settings
        self.pipeline = pipeline
        self.clock = clock
        self.closing = False
        """Whether the server is stopping: event streams end, new ones end at once."""
        self.history = History(pipeline.registry.states)
        self._runner = runner
        self._traces = traces
        self._owns_runner = runner is None
        self._is_open = False
        self._lock = threading.Lock()
        self._wakes: set[Callable[[], None]] = set()
        self._loop_reader: tuple[int, RunReader] | None = None

    # --- the runner ---

    @property
    def runner(self) -> Runner:
        """The runner; opened, and dead processes' runs taken over, when it is first asked for.

        Raises `DatabaseUnusable`.
        """
        if not self._is_open:
            with self._lock:
                if not self._is_open:
                    self._runner = self._runner or open_runner(self.settings, self.pipeline, self.clock)
                    if self._traces is not None:
                        self._traces.watch(self._runner)
                    recover(self._runner)
                    self._is_open = True
        assert self._runner is not None, "it was opened above"
        return self._runner

    def start(self, asked: Asked, key: str | None) -> Run:
        """Start a run of what was asked for; see `Runner.start` and `pin` for what it raises."""
        params = pin(asked, self.settings, self.clock.now())
        try:
            return self.runner.start(params, idempotency_key=key, request=asked.as_request())
        except sqlite3.IntegrityError as error:
            if REPLAYS not in str(error):
                raise
            raise BadParam("db", str(error)) from error

    def close(self) -> None:
        """Let the runner go, if it is ours; its runs have ended or are resumable."""
        if self._loop_reader is not None:
            self._loop_reader[1].close()
            self._loop_reader = None
        self._is_open = False
        if self._owns_runner and self._runner is not None:
            self._runner.close()
            self._runner = None
        if self._traces is not None:
            self._traces.close()

    # --- reading ---

    @contextmanager
    def reading(self) -> Generator[RunReader]:
        """Lend a read-only connection of its own; for handlers in the thread pool."""
        with closing(RunReader(self.runner.db)) as reader:
            yield reader

    @property
    def loop_reader(self) -> RunReader:
        """The event loop's own read-only connection, kept open: reading costs less than a thread's hand-over.

        For coroutines only. A new event loop's thread (as test clients make) gets a new connection.
        """
        thread = threading.get_ident()
        if self._loop_reader is None or self._loop_reader[0] != thread:
            if self._loop_reader is not None:
                self._loop_reader[1].close()
            self._loop_reader = (thread, RunReader(self.runner.db))
        return self._loop_reader[1]

    # --- waking streams ---

    @contextmanager
    def waking(self, run_id: int, event: asyncio.Event) -> Generator[None]:
        """Set `event` whenever the run has changed, and when the server stops."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has closed meanwhile: nobody waits any more
                loop.call_soon_threadsafe(event.set)

        unsubscribe = self.runner.subscribe(lambda changed: wake() if changed == run_id else None)
        self._wakes.add(wake)
        try:
            yield
        finally:
            self._wakes.discard(wake)
            unsubscribe()

    @property
    def streams(self) -> int:
        """How many event streams are open."""
        return len(self._wakes)

    def end_streams(self) -> None:
        """Let every event stream end; safe in a signal handler."""
        self.closing = True
        for wake in list(self._wakes):
            wake()


def recover(runner: Runner) -> list[Run]:
    """Take over what dead processes left; where the database is busy, the next run's start does."""
    try:
        return runner.recover()
    except StoreBusy:
        _log.warning("the database is busy, so interrupted runs were not looked for yet")
        return []
