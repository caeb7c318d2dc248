"""A registry and a run of it, as data and as pictures; for HTTP and the command line."""

from __future__ import annotations

import dataclasses
from typing import Any

from statemachine.diagram import FORMATS, Position
from statemachine.errors import ForeignRegistry
from statemachine.registry import Registry
from statemachine.store import Run
from statemachine.table import COMPLETED, FAILED


def machine_of(registry: Registry) -> dict[str, Any]:
    """Return the states and edges of a registry."""
    phases = [
        {"state": state, "label": phase.label, "phase": phase.number}
        for state, phase in zip(registry.states, registry.phases, strict=True)
    ]
    ends = [{"state": state, "label": state.capitalize(), "phase": None} for state in (COMPLETED, FAILED)]
    return {
        "registry": registry.fingerprint,
        "states": [*phases, *ends],
        "edges": [dataclasses.asdict(edge) for edge in registry.edges],
    }


def drawn(registry: Registry, picture: str, run: Run | None = None) -> str:
    """Return a picture of a registry's machine, with the state of `run` lit.

    Raises `ForeignRegistry` for a run of other phases.
    """
    labels = {state: phase.label for state, phase in zip(registry.states, registry.phases, strict=True)}
    return FORMATS[picture](registry.edges, labels, None if run is None else _position(registry, run))


def _position(registry: Registry, run: Run) -> Position:
    if run.registry != registry.fingerprint:
        raise ForeignRegistry(
            f"run {run.id} was started with other phases; draw it with the PHASES that it was started with"
        )
    failed_in = registry.state_of(run.current_phase) if run.state == FAILED else None
    return Position(run.state, failed_in)
