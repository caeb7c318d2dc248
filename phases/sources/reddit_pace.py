"""When Reddit may be asked again, and how to wait until then without being deaf.

What prawcore 4 does by itself isn't enough, so the client keeps these headers from it (see
`reddit_client.py`): it sleeps through a used-up window of up to ten minutes with `time.sleep`, which nobody
can interrupt, it looks at `Retry-After` only to word an error, doesn't ask again after a 429, and ends with a
`ValueError` where a header is no integer.

Reddit counts 100 requests a minute and application, averaged over ten minutes, so bursts are allowed: nothing
is delayed until `FEW` are left; then they are spread over the rest of the window.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from phases.stamps import instant, stamp
from phases.tools import SourceUnavailable
from statemachine.contract import Clock

FEW: Final = 20
MAX_STEP_S: Final = 10.0
"""The longest that one request is put off while there still are some left."""
MAX_WAIT_S: Final = 900.0
"""Reddit's window has ten minutes; who is told to wait longer than this fails and says so."""
SLICE_S: Final = 1.0
"""How long a wait is deaf at most."""
WORTH_KEEPING_S: Final = 2.0

Headers = Mapping[str, str]

_log = logging.getLogger(__name__)


class Pace:
    """Keeps one application from asking sooner than it may; `keep` is where that outlives the process."""

    def __init__(
        self,
        clock: Clock,
        *,
        listen: Callable[[], None],
        remaining_s: Callable[[], float],
        keep: Path | None = None,
    ) -> None:
        self._clock = clock
        self.listen = listen
        """Raises where the run has to stop."""
        self._remaining_s = remaining_s
        self._keep = keep
        self._never = threading.Event()
        self._next_s = clock.monotonic() + self._kept_s()

    def monotonic(self) -> float:
        """Return the clock's seconds."""
        return self._clock.monotonic()

    def wait_for_turn(self) -> None:
        """Return when the next request may be sent; raise `SourceUnavailable` if the run hasn't that long."""
        self.wait(self._next_s - self._clock.monotonic(), "the request limit of this application is used up")

    def wait(self, seconds: float, why: str) -> None:
        """Wait, listening every second for a wish to stop; `why` is said where there is no time for it."""
        self.listen()
        if seconds <= 0:
            return
        if seconds > min(MAX_WAIT_S, self._remaining_s()):
            raise SourceUnavailable(
                f"Reddit wants {seconds:.0f} s of waiting, which is more than this run can spare: {why}; "
                "start again later, and check that nothing else uses the same REDDIT_CLIENT_ID"
            )
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            self._clock.wait(self._never, min(SLICE_S, left))
            self.listen()

    def learn(self, headers: Headers) -> None:
        """Take note of what an answer says about the requests that are left."""
        left, reset_s = (
            _number(headers.get("x-ratelimit-remaining")),
            _number(headers.get("x-ratelimit-reset")),
        )
        if left is None or reset_s is None or left >= FEW:
            return
        self._put_off(max(1.0, reset_s) if left < 1 else min(MAX_STEP_S, reset_s / left))

    def refused(self, headers: Headers) -> float | None:
        """Return how many seconds a refusal asks to wait, and hold the next request off as long."""
        wait_s = self._retry_after(headers.get("retry-after"))
        if wait_s is None:
            wait_s = _number(headers.get("x-ratelimit-reset"))
        if wait_s is not None:
            self._put_off(wait_s)
        return wait_s

    def _retry_after(self, value: str | None) -> float | None:
        """Return seconds; RFC 9110 allows a date as well."""
        if value is None:
            return None
        seconds = _number(value)
        if seconds is not None:
            return seconds
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        aware = at if at.tzinfo else at.replace(tzinfo=UTC)
        return max(0.0, (aware - self._clock.now()).total_seconds())

    def _put_off(self, seconds: float) -> None:
        self._next_s = max(self._next_s, self._clock.monotonic() + seconds)
        if self._keep is not None and seconds >= WORTH_KEEPING_S:
            _write(self._keep, stamp(self._clock.now() + timedelta(seconds=min(seconds, MAX_WAIT_S))))

    def _kept_s(self) -> float:
        """Return the seconds until the instant that an earlier process was told; 0 where none was."""
        at = _read(self._keep) if self._keep is not None else None
        left_s = (at - self._clock.now()).total_seconds() if at is not None else 0.0
        return left_s if 0 < left_s <= MAX_WAIT_S else 0.0  # a wall clock that jumped is not believed


def _number(value: str | None) -> float | None:
    """Return a finite number that is not negative.

    >>> _number("598.0"), _number("soon"), _number("nan"), _number(None)
    (598.0, None, None, None)
    """
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None


def _read(path: Path) -> datetime | None:
    try:
        at = instant(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError):  # none was kept, or nothing that says when
        return None
    return at


def _write(path: Path, text: str) -> None:
    """Replace the file as a whole; a disk that refuses costs one request that comes too soon, no run."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        fresh.write_text(text + "\n", encoding="ascii")
        os.replace(fresh, path)  # noqa: PTH105  # what it does is its name
    except OSError as error:
        _log.warning("can't keep in %s when Reddit may be asked again: %s", path, error.strerror)
