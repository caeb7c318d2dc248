"""The life of a run as a `transitions` machine, made from the one table.

One machine serves a registry; the model is a `Transition`, one row on its way over one edge. Its `before`
callback rolls back, its on-enter callbacks work out the row that the run becomes and persist it. The row is
the truth: the model takes its state from a `Run` just read, and whoever triggers commits afterwards.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, cast

from transitions import EventData, Machine, MachineError

from statemachine.contract import Json
from statemachine.errors import IllegalTransition
from statemachine.registry import Registry
from statemachine.store import Results, Run, RunStore, Warnings
from statemachine.table import ADVANCE, COMPLETED, FAILED, allowed, status_of

# Its DEBUG and INFO lines cost five to twelve times the transition itself.
logging.getLogger("transitions").setLevel(logging.WARNING)

MAX_MESSAGE: Final = 2_000
"""Longest stored `error_message`, in characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """What is true of a run at the moment in which it takes an edge."""

    at: str
    """When, as a stamp."""
    owner: str | None
    """Who drives the run from here on, unless it ends."""
    attempt: int = 1
    active_s: float
    results: Results | None = None
    """`None` keeps those of the last check point."""
    warnings: Warnings | None = None
    error_code: str | None = None
    error_message: str | None = None
    detail: dict[str, Json] | None = None
    """Why, for the history."""


def _nothing_to_roll_back() -> None: ...


@dataclass(slots=True)
class Transition:
    """The model: one run taking one edge."""

    registry: Registry
    store: RunStore
    run: Run
    boundary: Boundary
    roll_back: Callable[[], None]
    begin: Callable[[], None]
    state: str = field(init=False)

    def __post_init__(self) -> None:
        self.state = self.run.state

    def persist(self, event: EventData, **changes: Any) -> None:
        """Write the row that the run becomes, and the event, into the open transaction."""
        source, state = _ends(event)
        now, trigger = self.boundary, event.event.name
        ended = status_of(state) != "running"
        old = self.run
        self.run = dataclasses.replace(
            old,
            state=state,
            status=status_of(state),
            updated_at=max(now.at, old.updated_at),
            active_s=now.active_s,
            owner=None if ended else now.owner,
            version=old.version + 1,
            cancel_requested=False,
            warnings=old.warnings if now.warnings is None else now.warnings or None,
            **changes,
        )
        self.begin()
        self.store.save(old, self.run, even_if_cancelled=trigger != ADVANCE)
        self.store.record(self.run, trigger=trigger, source=source, detail=now.detail)


def _model(event: EventData) -> Transition:
    return cast("Transition", event.model)


def _ends(event: EventData) -> tuple[str, str]:
    edge = event.transition
    assert edge is not None, "callbacks run during a transition only"
    return edge.source, cast("str", edge.dest)


def _roll_back(event: EventData) -> None:
    _model(event).roll_back()


def _failed_there(event: EventData) -> bool:
    """Return whether this edge leads to the phase that the run failed in."""
    model = _model(event)
    return model.registry.state_of(model.run.current_phase) == _ends(event)[1]


def _enter_phase(event: EventData) -> None:
    model = _model(event)
    state = _ends(event)[1]
    phase = model.registry.phase_of(state)
    model.persist(
        event,
        current_phase=phase.number,
        phase_label=phase.label,
        progress_current=model.registry.positions[state],
        attempt=model.boundary.attempt,
        error_code=None,
        error_message=None,
        **_results(model),
        **_NO_STEP,
    )


def _enter_completed(event: EventData) -> None:
    model = _model(event)
    model.persist(
        event,
        progress_current=model.run.progress_total,
        completed_at=max(model.boundary.at, model.run.updated_at),
        **_results(model),
        **_NO_STEP,
    )


def _enter_failed(event: EventData) -> None:
    model = _model(event)
    now = model.boundary
    model.persist(event, error_code=now.error_code, error_message=now.error_message)


_NO_STEP: Final[Mapping[str, None]] = {"step_current": None, "step_total": None, "step_unit": None}


def _results(model: Transition) -> dict[str, Results]:
    return {} if model.boundary.results is None else {"results": model.boundary.results}


@lru_cache(maxsize=64)
def machine_of(registry: Registry) -> Machine:
    """Return the machine of a registry; building it costs as much as many boundaries, so there is one."""
    return Machine(
        model=None,
        states=[
            *({"name": state, "on_enter": [_enter_phase]} for state in registry.states),
            {"name": COMPLETED, "on_enter": [_enter_completed]},
            {"name": FAILED, "on_enter": [_enter_failed]},
        ],
        initial=registry.edges[0].dest,
        transitions=[
            {
                "trigger": edge.trigger,
                "source": edge.source,
                "dest": edge.dest,
                "before": [_roll_back] if edge.rolls_back else [],
                "conditions": [_failed_there] if edge.only_where_it_failed else [],
            }
            for edge in registry.edges
            if edge.source
        ],
        auto_transitions=False,
        ignore_invalid_triggers=False,
        send_event=True,
    )


def take(
    registry: Registry,
    store: RunStore,
    run: Run,
    trigger: str,
    boundary: Boundary,
    *,
    begin: Callable[[], None] = _nothing_to_roll_back,
    roll_back: Callable[[], None] = _nothing_to_roll_back,
) -> Run:
    """Move a run over one edge inside the caller's transaction, and return it as it is then.

    Args:
        registry: The run's registry.
        store: Where the row and the event are written.
        run: The row as it was read.
        trigger: One of the table's triggers.
        boundary: What is true at this moment.
        begin: Makes sure that a write transaction is open.
        roll_back: Discards the open transaction; called before an edge that rolls back.

    Raises:
        IllegalTransition: No edge of the table allows it; nothing has moved.
        CancelWaiting: An `advance` found a cancel.
        RunMovedOn: The row is no longer this one.
    """
    model = Transition(registry, store, run, boundary, roll_back, begin)
    machine = machine_of(registry)
    event = machine.events.get(trigger)
    try:  # a damaged row may name no state at all
        moved = event is not None and run.state in machine.states and event.trigger(model)
    except MachineError:
        moved = False
    if not moved:
        raise IllegalTransition(run.id, trigger, run.state, allowed(registry.edges, run.state))
    return model.run
