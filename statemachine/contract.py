"""All that the author of a phase reads.

A phase is `phase(conn, ctx) -> None`, registered as `(phase_num, phase_label, callable)`:

- Read freely. The first write opens the transaction (`BEGIN IMMEDIATE`) by itself.
- Never begin, commit or roll back: the driver commits the phase's rows together with the record of the
  boundary. `ctx.checkpoint()` is the one way to make part of a phase durable earlier.
- Fetch first, write last: no network call while rows are waiting to be committed, and all rows of a
  SELECT read before the first write.
- A phase may be entered again after a crash, so write by natural key (`ON CONFLICT`).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, MutableMapping, MutableSequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

ToolsT_co = TypeVar("ToolsT_co", covariant=True)
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

Json = Any
"""A value that `json.dumps` accepts."""


class Clock(Protocol):
    """Where all time comes from."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards; only differences mean anything."""
        ...

    def now(self) -> datetime:
        """Return the wall clock as an aware UTC datetime; for stamps, never for limits."""
        ...

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        """Wait until `event` is set or `timeout_s` seconds have passed; return whether it is set."""
        ...


class RunContext(Protocol[ToolsT_co]):
    """What a phase knows of its run, and the few things it may ask of the engine."""

    @property
    def run_id(self) -> int:
        """The run's id in `analysis_runs`."""
        ...

    @property
    def params(self) -> dict[str, Json]:
        """What the caller asked for; a copy, changing it changes nothing."""
        ...

    @property
    def warnings(self) -> MutableSequence[dict[str, Json]]:
        """The run's warnings so far; append-only."""
        ...

    @property
    def results(self) -> MutableMapping[str, Json]:
        """Counters and small values shown with the run; saved at check points and boundaries."""
        ...

    @property
    def tools(self) -> ToolsT_co:
        """The outside world, injected by the composition root."""
        ...

    @property
    def clock(self) -> Clock:
        """The engine's clock."""
        ...

    @property
    def deadline(self) -> float:
        """The hard limit as an instant of `clock.monotonic()`."""
        ...

    def remaining_s(self) -> float:
        """Return the seconds left before the hard limit, never below 0. Give it to every network call."""
        ...

    def warn(self, type: str, message: str, /, **context: Json) -> None:
        """Append `{type, message, timestamp, context}` to the run's warnings."""
        ...

    def progress(self, current: int, total: int | None = None, unit: str | None = None) -> None:
        """Say how far the phase is, in whole numbers. Cheap (memory only); call it for each item."""
        ...

    def checkpoint(self) -> None:
        """Make the rows written so far durable, together with progress, warnings and results.

        Raises a `StopPhase` when the run was cancelled (the rows since the last check point are
        discarded), is stopping (they are kept), was abandoned or is another owner's. Let it pass.
        """
        ...

    def raise_if_stopping(self) -> None:
        """Raise a `StopPhase` if the run was cancelled, abandoned or asked to stop; else return."""
        ...

    def map(self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Iterator[ResultT]:
        """Run a pure, picklable `function` over `items` on the executor; yield results in order.

        At most a bounded window of items is taken ahead. A dead worker process is replaced and what was
        not yet yielded is run again. An exception of `function` is raised here.
        """
        ...


PhaseFunction = Callable[[sqlite3.Connection, RunContext[Any]], None]


class Phase(NamedTuple):
    """One registered phase. Any plain `(number, label, function)` tuple will do as well."""

    number: int
    label: str
    function: PhaseFunction


class StopPhase(BaseException):
    """The phase must end now; the driver decides what becomes of the run.

    A `BaseException`, so that `except Exception` in a phase can't swallow it.
    """


class RunCancelled(StopPhase):
    """A person asked for the run to be cancelled."""


class RunStopping(StopPhase):
    """The process is stopping; what was check pointed is kept and the run goes on at the next start."""


class RunAbandoned(StopPhase):
    """The phase overran the hard limit and its grace; the run has failed without it."""


class RunMovedOn(StopPhase):
    """Another owner has moved the run; this one may write nothing more."""
