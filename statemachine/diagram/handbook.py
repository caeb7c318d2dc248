"""Markdown for people who look something up: every state, what each trigger means, every edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from statemachine.diagram.graph import graph
from statemachine.table import ADVANCE, CANCEL, FAIL, FAILED, RESUME, START, TIME_OUT, Edge

MEANINGS: Final[Mapping[str, str]] = {
    START: "The run is created in its first phase.",
    ADVANCE: "The phase returned in time: its rows and the record of the boundary are one commit.",
    FAIL: "The phase raised, its rows could not be committed, or its attempts are used up.",
    TIME_OUT: "The hard limit had passed when the phase ended, or a stuck phase was abandoned.",
    CANCEL: "A person asked; honoured at the next check point or boundary.",
    RESUME: "The process died or stopped; an owner takes the run over and enters the phase again.",
}
NO_RUN: Final = "(new)"
RESUME_BY_HAND: Final = (
    "A person asked to go on from the phase it failed in; earlier phases are not run again."
)


def markdown(rows: Sequence[Edge], labels: Mapping[str, str] | None = None) -> str:
    """Return Markdown tables of the states, of what each trigger means, and of every edge."""
    drawing = graph(rows, labels)
    states = [(_code(state), _cell(drawing.label(state))) for state in drawing.states]
    triggers = dict.fromkeys((_code(row.trigger), meaning(row)) for row in rows)
    edges = [
        (_code(row.trigger), _code(row.source or NO_RUN), _code(row.dest), _before(row), _condition(row))
        for row in rows
    ]
    tables = (
        _table(("state", "label"), states),
        _table(("trigger", "meaning"), tuple(triggers)),
        _table(("trigger", "from", "to", "before", "legal"), edges),
    )
    return "\n".join(tables)


def meaning(row: Edge) -> str:
    """Return what an edge means, in a sentence for people."""
    return RESUME_BY_HAND if row.trigger == RESUME and row.source == FAILED else MEANINGS[row.trigger]


def _before(row: Edge) -> str:
    return "roll back" if row.rolls_back else ""


def _condition(row: Edge) -> str:
    return "only where it failed" if row.only_where_it_failed else "always"


def _code(word: str) -> str:
    return f"`{word}`"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cell(text: str) -> str:
    """Return `text` so that Markdown shows it as it is: every ASCII mark may mean something there."""
    return "".join(
        f"&#{ord(char)};" if char.isascii() and not char.isalnum() and char != " " else char for char in text
    )
