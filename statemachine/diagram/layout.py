"""Where things are in the SVG: phases in a column, `failed` as a bar beside all of them. Units: pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from statemachine.diagram.graph import Graph, Link
from statemachine.diagram.typeset import columns, wrap
from statemachine.table import COMPLETED, FAILED

PAD: Final = 28
LOOP_LANE: Final = 104  # left of the boxes: loops and their labels
BOX_WIDTH: Final = 276
BAR_WIDTH: Final = 100
RAIL: Final = 32  # from a box's left edge to the line of arrows that runs through the column
GAP: Final = 46  # between two boxes: an arrow and its label
LABEL_COLUMNS: Final = 22
LABEL_LINES: Final = 4
LABEL_LEADING: Final = 19
LINK_SPACING: Final = 28  # between two arrows on the same side of a box
SMALL_CHAR: Final = 7.0  # width of a character in an arrow's label
LEGEND_HEIGHT: Final = 66


@dataclass(frozen=True, slots=True)
class Box:
    """One state of the column."""

    state: str
    lines: tuple[str, ...]
    top: float
    height: float

    @property
    def middle(self) -> float:
        """The y of its centre line."""
        return self.top + self.height / 2

    @property
    def bottom(self) -> float:
        """The y of its lower edge."""
        return self.top + self.height


@dataclass(frozen=True, slots=True)
class Layout:
    """All measures of one picture."""

    boxes: tuple[Box, ...]
    lane: float
    """Width of the lane between the boxes and the bar."""

    @property
    def left(self) -> float:
        """The boxes' left edge."""
        return PAD + LOOP_LANE

    @property
    def right(self) -> float:
        """The boxes' right edge."""
        return self.left + BOX_WIDTH

    @property
    def rail(self) -> float:
        """The x of the arrows that run down the column."""
        return self.left + RAIL

    @property
    def bar(self) -> float:
        """The left edge of the bar that stands for `failed`."""
        return self.right + self.lane

    @property
    def width(self) -> float:
        """The picture's width."""
        return self.bar + BAR_WIDTH + PAD

    @property
    def height(self) -> float:
        """The picture's height."""
        return max(self.boxes[-1].bottom, self.boxes[-2].bottom + PAD + LEGEND_HEIGHT) + PAD

    def box(self, state: str) -> Box:
        """Return the box of a state of the column."""
        return next(box for box in self.boxes if box.state == state)


def layout(drawing: Graph) -> Layout:
    """Return where everything goes."""
    boxes: list[Box] = []
    top: float = PAD + GAP
    for state in drawing.column:
        boxes.append(_box(drawing, state, top))
        top = boxes[-1].bottom + GAP
    widest = max(
        (columns(link.text) for link in drawing.links if FAILED in (link.source, link.dest)), default=0
    )
    return Layout(tuple(boxes), max(220.0, widest * SMALL_CHAR + 64))


def _box(drawing: Graph, state: str, top: float) -> Box:
    lines = tuple(wrap(drawing.label(state), LABEL_COLUMNS, LABEL_LINES))
    name_line = 0 if state == COMPLETED else 17
    text = len(lines) * LABEL_LEADING + name_line + 22
    sides = max(len(beside(drawing, state)), len(loops(drawing, state))) * LINK_SPACING
    return Box(state, lines, top, max(text, sides))


def beside(drawing: Graph, state: str) -> tuple[Link, ...]:
    """Return the arrows between `state` and the bar."""
    return tuple(link for link in drawing.asides(state) if FAILED in (link.source, link.dest))


def loops(drawing: Graph, state: str) -> tuple[Link, ...]:
    """Return the other arrows that leave `state` sideways: to itself or past its neighbours."""
    return tuple(link for link in drawing.asides(state) if FAILED not in (link.source, link.dest))


def spread(middle: float, links: Sequence[Link]) -> list[tuple[Link, float]]:
    """Return each of `links` with its y, spread evenly about `middle`."""
    first = middle - LINK_SPACING * (len(links) - 1) / 2
    return [(link, first + LINK_SPACING * index) for index, link in enumerate(links)]
