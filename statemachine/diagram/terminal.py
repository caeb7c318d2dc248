"""Plain text: a picture for terminals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Final

from statemachine.diagram.graph import Graph, Link, Mark, Position, graph
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
    width = max(columns(_title(drawing, state)) for state in drawing.states)
    lines = [f"{SHAFT}o {_words(link)}" for link in drawing.links if link.source == INITIAL]
    for state, after in zip_longest(drawing.column, drawing.column[1:]):
        lines += [*_box(drawing, state, width), *_way_down(drawing, state, after)]
    return "\n".join([*lines, "", *_box(drawing, FAILED, width)]) + "\n"


def _box(drawing: Graph, state: str, width: int) -> list[str]:
    """Return a box, with the ways that leave or enter it sideways written beside it."""
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
