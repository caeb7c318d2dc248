"""Plain text: a picture for terminals and a table of every edge for documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from statemachine.diagram.graph import Graph, Link, Mark, Position, columns, graph, meaning, name
from statemachine.table import FAILED, INITIAL, Edge

SIGNS: Final[Mapping[Mark, str]] = {
    "plain": "   ",
    "done": "[x]",
    "here": "[>]",
    "broken": "[!]",
    "ahead": "[ ]",
}
SHAFT: Final = 6  # columns from the left edge to the arrow between two boxes


def ascii_art(
    rows: Sequence[Edge], labels: Mapping[str, str] | None = None, position: Position | None = None
) -> str:
    """Return a picture of plain characters; only labels may bring others than ASCII."""
    drawing = graph(rows, labels, position)
    column = [state for state in drawing.states if state != FAILED]
    width = max(columns(_title(drawing, state)) for state in drawing.states)
    lines = list(_entrance(drawing))
    for state in column:
        lines += _box(drawing, state, width)
        lines += _way_down(drawing, state)
    lines += ["", *_box(drawing, FAILED, width)]
    return "\n".join(lines) + "\n"


def _title(drawing: Graph, state: str) -> str:
    return f"{SIGNS[drawing.mark(state)]} {drawing.label(state)}"


def _entrance(drawing: Graph) -> Iterator[str]:
    for link in drawing.links:
        if link.source == INITIAL:
            yield f"{' ' * SHAFT}o {_words(link)}"
            yield f"{' ' * SHAFT}|"


def _box(drawing: Graph, state: str, width: int) -> list[str]:
    """Return a box with the ways that leave it sideways beside it."""
    title = _title(drawing, state)
    frame = f"+{'-' * (width + 2)}+"
    middle = f"| {title}{' ' * (width - columns(title))} |"
    box = [frame, middle, frame]
    asides = [_aside(link) for link in drawing.links if link.source == state and not _is_down(drawing, link)]
    asides += [""] * (len(box) - len(asides))
    box += [" " * len(frame)] * (len(asides) - len(box))
    return [f"{part}{aside}".rstrip() for part, aside in zip(box, asides, strict=True)]
