"""Fakes that keep the engine's contracts; time that belongs to the test."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Final

BEGINNING: Final = datetime(2025, 3, 12, 18, tzinfo=UTC)


class FakeClock:
    """A `Clock` that stands still until the test moves it; waits end when it has moved far enough."""

    def __init__(self, now: datetime = BEGINNING) -> None:
        self._now = now
        self._monotonic_s = 0.0
        self._changed = threading.Condition()
        self._waiting: list[threading.Event] = []

    def monotonic(self) -> float:
        return self._monotonic_s

    def now(self) -> datetime:
        return self._now

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        if timeout_s is None:
            return event.wait()
        until_s = self._monotonic_s + timeout_s
        with self._changed:
            self._waiting.append(event)
            self._changed.notify_all()
        # The condition inside the event is the only thing that can wait for "set, or the clock has moved".
        with event._cond:
            event._cond.wait_for(lambda: event.is_set() or self._monotonic_s >= until_s)
        with self._changed:
            self._waiting.remove(event)
        return event.is_set()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._monotonic_s += seconds
        self.jump(seconds)
        with self._changed:
            waiting = list(self._waiting)
        for event in waiting:
            with event._cond:
                event._cond.notify_all()

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as a person or NTP does; no time passes."""
        self._now += timedelta(seconds=seconds)

    def until_somebody_waits(self, event: threading.Event | None = None) -> None:
        """Return when some thread is waiting for time to pass, or for an event."""
        with self._changed:
            self._changed.wait_for(lambda: event in self._waiting if event else self._waiting)
