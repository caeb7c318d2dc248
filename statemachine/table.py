"""The one table: every legal transition of a run, and nothing else decides one.

From these rows come the `transitions` machine, the exported diagrams, the SQL guard that refuses an
illegal update, the `/machine` resource and the model in the property tests. A new way for a run to
move is a new row here; there is no second list of states anywhere.

States are the registered phases, in order, plus `COMPLETED` and `FAILED`. A run is created *in* its
first phase (the `start` row has the empty source), so there is no "pending".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

COMPLETED: Final = "completed"
FAILED: Final = "failed"
TERMINAL: Final = frozenset({COMPLETED, FAILED})
INITIAL: Final = ""  # the source of `start`: the run does not exist yet

START: Final = "start"
ADVANCE: Final = "advance"
FAIL: Final = "fail"
TIME_OUT: Final = "time_out"
CANCEL: Final = "cancel"
RESUME: Final = "resume"
TRIGGERS: Final = (START, ADVANCE, FAIL, TIME_OUT, CANCEL, RESUME)


@dataclass(frozen=True, slots=True)
class Edge:
    """One legal transition."""

    trigger: str
    source: str
    dest: str
    rolls_back: bool = False
    """Discard the open transaction before the state moves."""
    only_where_it_failed: bool = False
    """Legal only towards the phase that the run failed in."""


def edges(phases: Sequence[str]) -> tuple[Edge, ...]:
    """Return every legal edge of a pipeline whose phase states are `phases`, in order."""
    rows = [Edge(START, INITIAL, phases[0])]
    rows += [
        Edge(ADVANCE, phase, after) for phase, after in zip(phases, [*phases[1:], COMPLETED], strict=True)
    ]
    for phase in phases:
        rows += [
            Edge(FAIL, phase, FAILED, rolls_back=True),
            Edge(TIME_OUT, phase, FAILED, rolls_back=True),
            Edge(CANCEL, phase, FAILED, rolls_back=True),
            Edge(RESUME, phase, phase),
            Edge(RESUME, FAILED, phase, only_where_it_failed=True),
        ]
    return tuple(rows)


def status_of(state: str) -> str:
    """Return the coarse status of a state: `running`, `completed` or `failed`."""
    return state if state in TERMINAL else "running"


def allowed(rows: Sequence[Edge], state: str) -> tuple[str, ...]:
    """Return the triggers that are legal from `state`, without repeats, in table order."""
    return tuple(dict.fromkeys(row.trigger for row in rows if row.source == state))
