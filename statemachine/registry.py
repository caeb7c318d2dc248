"""The registry: a checked, frozen list of phases, and the names and edges that follow from it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

from statemachine.contract import Phase, PhaseFunction
from statemachine.errors import RegistryError
from statemachine.table import TERMINAL, Edge, edges

_NON_WORD = re.compile(r"\W+")
_FIELDS = 3


def state_name(label: str) -> str:
    """Return the state of a phase: its label in lower case, each run of non-word characters as `_`.

    >>> state_name("Fetching Reddit")
    'fetching_reddit'
    """
    return _NON_WORD.sub("_", label.lower())


@dataclass(frozen=True, slots=True)
class Registry:
    """The phases of one pipeline, in order. Make it with `Registry.of`."""

    phases: tuple[Phase, ...]
    states: tuple[str, ...]
    edges: tuple[Edge, ...]
    fingerprint: str
    """Stands for the numbers and labels, so that a run knows which list it was started with."""
    positions: Mapping[str, int] = field(compare=False)
    """The 1-based position of each phase state."""

    @classmethod
    def of(cls, phases: Iterable[tuple[Any, ...]]) -> Registry:
        """Check an ordered list of `(phase_num, phase_label, callable)`; raise `RegistryError`."""
        checked: list[Phase] = []
        states: list[str] = []
        for index, entry in enumerate(_listed(phases)):
            phase = _checked(index, entry, checked)
            state = state_name(phase.label)
            if state in states or state in TERMINAL:
                raise RegistryError(
                    f"{_entry(index, entry)} has the state {state!r}, which is taken; choose another label"
                )
            checked.append(phase)
            states.append(state)
        if not checked:
            raise RegistryError(
                "the list of phases is empty; it needs at least one (number, label, callable)"
            )
        identity = json.dumps([(phase.number, phase.label) for phase in checked])
        return cls(
            phases=tuple(checked),
            states=tuple(states),
            edges=edges(states),
            fingerprint=hashlib.sha256(identity.encode()).hexdigest()[:16],
            positions=MappingProxyType({state: at for at, state in enumerate(states, start=1)}),
        )

    def __hash__(self) -> int:  # a long pipeline's edges would cost more to hash than a boundary
        return hash(self.fingerprint)

    def phase_of(self, state: str) -> Phase:
        """Return the phase whose state this is."""
        return self.phases[self.positions[state] - 1]

    def state_of(self, number: int) -> str:
        """Return the state of the phase with this number."""
        return next(
            state for state, phase in zip(self.states, self.phases, strict=True) if phase.number == number
        )


def _listed(phases: object) -> list[Any]:
    if isinstance(phases, str | bytes) or not isinstance(phases, Iterable):
        raise RegistryError(
            f"the phases must be a list of (number, label, callable), not {type(phases).__name__}"
        )
    return list(phases)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # checked below


def _entry(index: int, entry: object) -> str:
    return f"entry {index + 1} of the phases, {str(entry)[:80]},"


def _checked(index: int, entry: object, before: list[Phase]) -> Phase:
    where = _entry(index, entry)
    if not isinstance(entry, tuple) or len(entry) != _FIELDS:  # pyright: ignore[reportUnknownArgumentType]  # any tuple
        raise RegistryError(f"{where} is not a tuple (number, label, callable)")
    number, label, function = entry  # pyright: ignore[reportUnknownVariableType]  # each is checked here
    if not isinstance(number, int) or isinstance(number, bool) or not -(2**63) <= number < 2**63:
        raise RegistryError(f"{where} has the number {number!r}; it must be a whole number")
    if before and number <= before[-1].number:
        raise RegistryError(
            f"{where} has the number {number}; it must be greater than {before[-1].number} before it"
        )
    if not isinstance(label, str) or not label.strip() or not label.isprintable():
        raise RegistryError(f"{where} has the label {label!r}; it must be a line of text")
    if any(phase.label == label for phase in before):
        raise RegistryError(f"{where} repeats the label {label!r}")
    if not callable(function):  # pyright: ignore[reportUnknownArgumentType]  # anything may be asked
        raise RegistryError(f"{where} has no callable, but {type(function).__name__}")  # pyright: ignore[reportUnknownArgumentType]  # any object has a type
    return Phase(number, label, cast("PhaseFunction", function))
