"""Who wants to hear of runs: told of every change, and of progress now and then."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from statemachine.live import Live

_log = logging.getLogger("phaseline.run")

NOTIFY_S: Final = 0.25
"""Progress is told at most so often."""


class Subscribers:
    """The callbacks of those who watch runs. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._callbacks: tuple[Callable[[int], None], ...] = ()

    def add(self, callback: Callable[[int], None]) -> Callable[[], None]:
        """Call back with a run's id from now on; return the undo."""
        with self._guard:
            self._callbacks = (*self._callbacks, callback)

        def undo() -> None:
            with self._guard:
                self._callbacks = tuple(each for each in self._callbacks if each is not callback)

        return undo

    def tell_of(self, live: Live) -> None:
        """Tell of a run that is driven: of its progress inside a phase at most every `NOTIFY_S`."""
        now_s = live.clock.monotonic()
        if live.step is not None and now_s - live.told_s < NOTIFY_S:
            return
        live.told_s = now_s
        self.tell(live.run_id)

    def tell(self, run_id: int) -> None:
        """Tell of a change that is not to be missed."""
        for callback in self._callbacks:
            try:
                callback(run_id)
            except Exception:  # noqa: BLE001  # who watches a run may not harm it
                _log.exception("a subscriber of run %d failed", run_id, extra={"run_id": run_id})
