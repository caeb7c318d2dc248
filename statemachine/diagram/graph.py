"""The picture's content without its form: what every notation draws, taken from the table's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from statemachine.diagram.typeset import one_line
from statemachine.table import ADVANCE, COMPLETED, FAILED, TERMINAL, Edge

Mark = Literal["plain", "done", "here", "broken", "ahead"]
"""How a state looks: no run at hand, left behind, the run is in it, it failed in it, not yet reached."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where one run is, to be shown in a picture of its machine."""

    state: str
    failed_in: str | None = None
    """The phase in which a failed run stopped; `None` where it is not known or has not failed."""


@dataclass(frozen=True, slots=True)
class Link:
    """All edges between the same two states that behave alike: one arrow with a merged label."""

    source: str
    dest: str
    rolls_back: bool
    only_where_it_failed: bool
    triggers: tuple[str, ...]

    @property
    def text(self) -> str:
        """The arrow's label, such as `fail · time_out · cancel`."""
        return " · ".join(self.triggers)

    @property
    def is_loop(self) -> bool:
        """Whether the arrow returns to the state that it leaves."""
        return self.source == self.dest

    @property
    def note(self) -> str:
        """What an arrow's label alone doesn't say; may be empty."""
        notes = [
            note
            for holds, note in (
                (self.rolls_back, "rolls back"),
                (self.only_where_it_failed, "only where it failed"),
            )
            if holds
        ]
        return ", ".join(notes)


@dataclass(frozen=True, slots=True)
class Graph:
    """One machine, ready to be drawn."""

    phases: tuple[str, ...]
    links: tuple[Link, ...]
    labels: Mapping[str, str]
    position: Position | None

    @property
    def states(self) -> tuple[str, ...]:
        """Every state: the phases in order, then the two ends."""
        return (*self.phases, COMPLETED, FAILED)

    @property
    def column(self) -> tuple[str, ...]:
        """The states that a run passes from top to bottom when nothing goes wrong."""
        return (*self.phases, COMPLETED)

    def is_step(self, link: Link) -> bool:
        """Whether the arrow leads to the next state of the column."""
        return (link.source, link.dest) in pairwise(self.column)

    def asides(self, state: str) -> tuple[Link, ...]:
        """Return the arrows drawn beside `state`, so that each arrow is drawn exactly once.

        That is beside its source; what comes from `failed`, which all others share, beside its end.
        """
        return tuple(
            link
            for link in self.links
            if state == (link.dest if link.source == FAILED else link.source) and not self.is_step(link)
        )

    def is_closed(self, link: Link) -> bool:
        """Whether the arrow is known not to be open to the run: it failed somewhere else."""
        failed_in = self.position and self.position.failed_in
        return link.only_where_it_failed and failed_in not in (None, link.dest)

    def label(self, state: str) -> str:
        """Return the state's label on one line, free of control characters."""
        return one_line(self.labels.get(state, "")) or state

    def mark(self, state: str) -> Mark:
        """Return how `state` looks. Phases have one order, so those before the run's were left behind."""
        if self.position is None:
            return "plain"
        if state == self.position.state:
            return "here"
        if state == self.position.failed_in:
            return "broken"
        return "done" if state in self.phases[: self._reached()] else "ahead"

    def _reached(self) -> int:
        """Return how many phases the run has left behind."""
        if self.position is None or self.position.state == COMPLETED:
            return len(self.phases)
        at = self.position.failed_in or self.position.state
        return self.phases.index(at) if at in self.phases else 0


def graph(
    rows: Sequence[Edge], labels: Mapping[str, str] | None = None, position: Position | None = None
) -> Graph:
    """Return the content of a picture of the machine that `rows` describe.

    `labels` maps a state to what people call it. Raises `ValueError` for a position outside the machine.
    """
    phases = tuple(
        dict.fromkeys(row.source for row in rows if row.trigger == ADVANCE and row.source not in TERMINAL)
    )
    drawing = Graph(phases, _links(rows), labels or {}, position)
    if position is not None:
        for state in filter(None, (position.state, position.failed_in)):
            _require(state, drawing.states)
    return drawing


def _require(state: str, states: Sequence[str]) -> None:
    if state not in states:
        raise ValueError(
            f"can't mark {state!r}: the machine has only {', '.join(states)}; "
            "draw the run with the list of phases that it was started with"
        )


def _links(rows: Sequence[Edge]) -> tuple[Link, ...]:
    """Merge the rows that share both ends and both properties, in table order."""
    merged: dict[tuple[str, str, bool, bool], list[str]] = {}
    for row in rows:
        key = (row.source, row.dest, row.rolls_back, row.only_where_it_failed)
        merged.setdefault(key, []).append(row.trigger)
    return tuple(Link(*key, tuple(triggers)) for key, triggers in merged.items())
