"""What a phase is handed: its run, and the few things it may ask."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, MutableSequence
from operator import index
from typing import Any, Final, NoReturn, overload

from statemachine.clock import stamp
from statemachine.contract import Clock, ItemT, Json, ResultT, RunAbandoned, RunCancelled, RunStopping
from statemachine.live import Live, Step
from statemachine.redaction import Redact, redacted
from statemachine.store import Run, dumps

Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]

MAX_WARNINGS: Final = 1_000
"""A run keeps so many warnings; one more says that the rest were dropped."""


class AppendOnly(MutableSequence[dict[str, Json]]):
    """The warnings of a run: they can be read and added to, never changed."""

    def __init__(self, items: Iterable[dict[str, Json]], now: Callable[[], str], redact: Redact) -> None:
        self._items = list(items)
        self._now = now
        self._redact = redact

    def append(self, value: dict[str, Json]) -> None:
        """Add a warning; raise `TypeError` or `ValueError` if JSON can't say it."""
        if len(self._items) > MAX_WARNINGS:
            return
        if len(self._items) == MAX_WARNINGS:
            value = {
                "type": "warnings_dropped",
                "message": f"more than {MAX_WARNINGS} warnings; the rest were dropped",
                "timestamp": self._now(),
                "context": {},
            }
        self._items.append(redacted(json.loads(dumps(value)), self._redact))

    def insert(self, index: int, value: dict[str, Json]) -> None:
        """Refuse anything but adding at the end."""
        if index != len(self._items):
            self._refuse()
        self.append(value)

    def copy(self) -> list[dict[str, Json]]:
        """Return the warnings as a plain list."""
        return list(self._items)

    @overload
    def __getitem__(self, index: int) -> dict[str, Json]: ...
    @overload
    def __getitem__(self, index: slice) -> MutableSequence[dict[str, Json]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Json] | MutableSequence[dict[str, Json]]:
        return copy.deepcopy(self._items[index])

    def __len__(self) -> int:
        return len(self._items)

    def __setitem__(self, _index: Any, _value: Any) -> NoReturn:
        self._refuse()

    def __delitem__(self, _index: Any) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise TypeError("warnings are append-only: what was said stays said")


class Context:
    """One entry into one phase; see `contract.RunContext` for what each member means."""

    def __init__(
        self,
        run: Run,
        live: Live,
        *,
        tools: object,
        check_point: Callable[[Context], None],
        mapper: Mapper,
        redact: Redact,
    ) -> None:
        self.run_id = run.id
        self.params = copy.deepcopy(run.params)
        self.results = copy.deepcopy(run.results)
        self.warnings = AppendOnly(run.warnings or (), self._now, redact)
        self.tools: Any = tools
        self.clock: Clock = live.clock
        self.deadline = live.deadline
        self._live = live
        self._check_point = check_point
        self._mapper = mapper

    def _now(self) -> str:
        return stamp(self.clock.now())

    def remaining_s(self) -> float:
        """Return the seconds left before the hard limit, never below 0."""
        return max(0.0, self.deadline - self.clock.monotonic())

    def warn(self, type: str, message: str, /, **context: Json) -> None:
        """Append a warning of a type, with its context."""
        self.warnings.append({"type": type, "message": message, "timestamp": self._now(), "context": context})

    def progress(self, current: int, total: int | None = None, unit: str | None = None) -> None:
        """Say how far the phase is; in memory until the next check point."""
        current = index(current)
        if current < 0:
            raise ValueError(f"progress can't be {current}; count from 0")
        self._live.step = Step(current, None if total is None else max(index(total), current), unit)
        self._live.changed()

    def checkpoint(self) -> None:
        """Make the rows so far durable."""
        self._check_point(self)

    def raise_if_stopping(self) -> None:
        """Raise a `StopPhase` if the phase should end now."""
        if self._live.conn is not None and self._live.conn.revoked:
            raise RunAbandoned("this phase was cut off; its run goes on, or has ended, without it")
        if self._live.cancelling:
            raise RunCancelled(f"run {self.run_id} was cancelled")
        if self._live.stopping():
            raise RunStopping("the process is stopping")

    def map(self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Iterator[ResultT]:
        """Run a pure function over items on the executor, results in order."""
        self.raise_if_stopping()
        for result in self._mapper(function, items):
            yield result
            self.raise_if_stopping()
