"""Plain text: a picture for terminals and a table of every edge for documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Final

from statemachine.diagram.graph import Graph, Link, Mark, Position, graph, meaning, name
from statemachine.diagram.typeset import columns, shorten
from statemachine.table import FAILED, INITIAL, Edge

SIGNS: Final[Mapping[Mark, str]] = {
    "plain": "   ",
    "done": "[x]",
    "here": "[>]",
    "broken": "[!]",
    "ahead": "[ ]",
}
LABEL_COLUMNS: Final = 36
SHAFT: Final = " " * 6  # from the left edge to the arrow between two boxes


def ascii_art(
    rows: Sequence[Edge], labels: Mapping[str, str] | None = None, position: Position | None = None
) -> str:
    """Return a picture of plain characters; only labels may bring others than ASCII."""
    drawing = graph(rows, labels, position)
    lines = [f"{SHAFT}o {_words(link)}" for link in drawing.links if link.source == INITIAL]
    for state, after in zip_longest(drawing.column, drawing.column[1:]):
        lines += [*_box(drawing, state), *_way_down(drawing, state, after)]
    return "\n".join([*lines, "", *_box(drawing, FAILED)]) + "\n"


def _box(drawing: Graph, state: str) -> list[str]:
    """Return a box, with the ways that leave or enter it sideways written beside it."""
    width = max(columns(_title(drawing, any_state)) for any_state in drawing.states)
    title = _title(drawing, state)
    frame = f"+{'-' * (width + 2)}+"
    box = [frame, f"| {title}{' ' * (width - columns(title))} |", frame]
    asides = [_aside(link, state) for link in drawing.asides(state)]
    pairs = zip_longest(box, asides, fillvalue="")
    return [f"{part or ' ' * len(frame)}  {aside}".rstrip() for part, aside in pairs]


def _title(drawing: Graph, state: str) -> str:
    return f"{SIGNS[drawing.mark(state)]} {shorten(drawing.label(state), LABEL_COLUMNS)}"


def _aside(link: Link, state: str) -> str:
    if link.is_loop:
        return f"<-- {_words(link)} -- itself"
    if link.dest == state:
        return f"<-- {_words(link)} -- {link.source}"
    shaft = "- -" if link.rolls_back else "---"
    return f"{shaft} {_words(link)} {shaft}> {link.dest}"


def _way_down(drawing: Graph, state: str, after: str | None) -> list[str]:
    ways = [link for link in drawing.links if (link.source, link.dest) == (state, after)]
    return [line for link in ways for line in (f"{SHAFT}| {_words(link)}", f"{SHAFT}v")]


def _words(link: Link) -> str:
    words = ", ".join(link.triggers)
    return f"{words} ({link.note})" if link.note else words


def markdown(rows: Sequence[Edge], labels: Mapping[str, str] | None = None) -> str:
    """Return Markdown tables of the states, of what each trigger means, and of every edge."""
    drawing = graph(rows, labels)
    states = [(_code(state), _cell(drawing.label(state))) for state in drawing.states]
    triggers = dict.fromkeys((_code(row.trigger), meaning(row)) for row in rows)
    edges = [
        (_code(row.trigger), _code(name(row.source)), _code(row.dest), _before(row), _condition(row))
        for row in rows
    ]
    tables = (
        _table(("state", "label"), states),
        _table(("trigger", "meaning"), tuple(triggers)),
        _table(("trigger", "from", "to", "before", "legal"), edges),
    )
    return "\n".join(tables)


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
