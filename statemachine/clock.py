"""The real clock, and how an instant is written down."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime


class SystemClock:
    """The computer's own time. `monotonic()` stands still while the machine is suspended (Linux)."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        return time.monotonic()

    def now(self) -> datetime:
        """Return the wall clock in UTC."""
        return datetime.fromtimestamp(time.time(), UTC)

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        """Wait for `event`, at most `timeout_s` seconds; return whether it is set."""
        return event.wait(timeout_s)


def stamp(at: datetime) -> str:
    """Return an instant as ISO 8601 UTC with milliseconds and `Z`; such texts sort like the instants.

    >>> stamp(datetime(2020, 12, 1, 18, tzinfo=UTC))
    '2020-12-01T18:00:00.000Z'
    """
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
