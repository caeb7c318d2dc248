"""A run as the process that drives it sees it: limits, progress and requests, in memory only.

One thread drives the run, others look at it or ask something of it; every field is read and written as a
whole, so no lock is needed.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from statemachine.contract import Clock, Json

if TYPE_CHECKING:
    from statemachine.guard import PhaseConnection

_log = logging.getLogger("phaseline.run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a run may be active, in seconds."""

    soft_s: float = 1800.0
    """One WARNING when it has passed; nothing stops. Above `hard_s` it never fires."""
    hard_s: float = 3600.0
    """The phase in progress may finish; then the run fails."""
    abandon_after_s: float = 900.0
    """Grace past the hard limit after which a stuck phase is abandoned; 0 waits for ever."""
    stop_grace_s: float = 60.0
    """Grace after the wish to stop at a check point, after which a phase that reaches none is cut off; 0
    waits for ever."""

    @property
    def abandon_at_s(self) -> float | None:
        """Active time at which a phase that still runs is abandoned."""
        return self.hard_s + self.abandon_after_s if self.abandon_after_s > 0 else None

    @property
    def message(self) -> str:
        """What a run that exceeded the hard limit says.

        >>> Limits(hard_s=3600).message, Limits(hard_s=90).message
        ('Pipeline exceeded 60-minute timeout', 'Pipeline exceeded 90-second timeout')
        """
        return f"Pipeline exceeded {span(self.hard_s)} timeout"


def span(seconds: float) -> str:
    """Return a length of time as an adjective: whole minutes as such, anything else in seconds.

    >>> span(1800), span(0.5)
    ('30-minute', '0.5-second')
    """
    return f"{seconds / 60:.0f}-minute" if seconds % 60 == 0 else f"{seconds:.15g}-second"


@dataclass(frozen=True, slots=True)
class Step:
    """How far a phase is, by its own count."""

    current: int | None
    total: int | None
    unit: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The edge that the end of a phase asks for, and why."""

    trigger: str
    code: str | None = None
    message: str | None = None
    detail: dict[str, Json] | None = None
    """Kept with the event."""
    trace: str = ""
    """The whole traceback, for the log."""
    warnings: list[dict[str, Json]] | None = None
    """What was said up to it; `None` keeps what is stored."""


@dataclass(frozen=True, slots=True)
class Note:
    """A refused step that waits for the next commit to be recorded."""

    at: str
    state: str
    trigger: str
    why: str


@dataclass(slots=True, kw_only=True)
class Live:
    """One run that this process drives."""

    run_id: int
    phase: str = ""
    """The state that it was last entered in, and how often that was: what its lines in the log say."""
    attempt: int = 1
    clock: Clock
    limits: Limits
    active_before_s: float = 0.0
    stopping: Callable[[], bool] = lambda: False
    """Whether the process wants its runs to stop at the next check point."""
    changed: Callable[[], None] = lambda: None
    """Called after each commit, and at most a few times a second for progress."""
    told_s: float = -math.inf
    """When subscribers were last told of it."""
    started: float = field(init=False)
    step: Step | None = None
    stop_heard_s: float = math.inf
    """When it was first seen that the process wants its runs to stop."""
    said: Callable[[], list[dict[str, Json]] | None] = lambda: None
    """Returns the warnings so far of the phase that is running."""
    cancelling: bool = False
    failure: tuple[str, str] | None = None
    """Error code and message of a failure that could not be written yet."""
    unwritten: Outcome | None = None
    """The same failure as the driver left it."""
    conn: PhaseConnection | None = None
    notes: deque[Note] = field(default_factory=deque[Note])
    _warned: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.started = self.clock.monotonic()

    def active_s(self) -> float:
        """Return the seconds of active time, those before a takeover included."""
        return self.active_before_s + max(0.0, self.clock.monotonic() - self.started)

    def stop_left_s(self) -> float:
        """Return the seconds until a phase that was asked to stop is cut off; infinite where none will be."""
        if self.limits.stop_grace_s == 0 or not self.stopping():
            return math.inf
        now_s = self.clock.monotonic()
        self.stop_heard_s = min(self.stop_heard_s, now_s)
        return self.stop_heard_s + self.limits.stop_grace_s - now_s

    def logged(self) -> dict[str, Json]:
        """Return what each line of the log about this run carries."""
        return {"run_id": self.run_id, "phase": self.phase, "attempt": self.attempt}

    @property
    def deadline(self) -> float:
        """The hard limit as an instant of the clock."""
        return self.started + self.limits.hard_s - self.active_before_s

    @property
    def is_late(self) -> bool:
        """Whether the hard limit has passed."""
        return self.active_s() >= self.limits.hard_s

    def warn_if_slow(self) -> None:
        """Log one WARNING once the soft limit has passed, whoever asks first."""
        limits = self.limits
        if limits.soft_s > limits.hard_s or not limits.soft_s <= self.active_s():
            return
        if self.active_before_s < limits.soft_s and self._warned.acquire(blocking=False):
            _log.warning(
                "run %d has passed its %s soft limit; it goes on until its %s limit",
                self.run_id,
                span(limits.soft_s),
                span(limits.hard_s),
                extra=self.logged(),
            )


_DRIVEN: ContextVar[Live | None] = ContextVar("driven", default=None)


def driven() -> Live | None:
    """Return the run that the calling thread drives: so a line that a phase logs can say whose it is."""
    return _DRIVEN.get()


@contextmanager
def driving(live: Live) -> Generator[None]:
    """Let `driven` return a run on this thread meanwhile."""
    token = _DRIVEN.set(live)
    try:
        yield
    finally:
        _DRIVEN.reset(token)
