"""SVG without Graphviz: one column that a run flows down, and the bar that it can fall against.

The picture brings its own card, colours for light and dark (`prefers-color-scheme`) and words for those
who can't see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from xml.etree.ElementTree import Element, indent, tostring

from statemachine.diagram.elements import arrow, arrow_heads, document, draw, group, number, text
from statemachine.diagram.graph import Graph, Link, Mark, Position, graph
from statemachine.diagram.layout import (
    BAR_WIDTH,
    BOX_WIDTH,
    GAP,
    LABEL_LEADING,
    LEGEND_HEIGHT,
    LOOP_LANE,
    PAD,
    Box,
    Layout,
    beside,
    layout,
    loops,
    spread,
)
from statemachine.diagram.palette import style
from statemachine.diagram.typeset import columns, shorten
from statemachine.table import COMPLETED, FAILED, INITIAL, Edge

BADGE_RADIUS: Final = 13
BAR_LABEL_EVERY: Final = 560  # a long bar says its name again
NAME_COLUMNS: Final = 30
TAG_CHAR: Final = 7.4  # width of a character in a tag
KINDS: Final = ("go", "done", "stop", "back")
TICK: Final = "M-5 0 L-1.5 4 L5.5 -4"
CROSS: Final = "M-4.5 -4.5 L4.5 4.5 M4.5 -4.5 L-4.5 4.5"
GLYPHS: Final[Mapping[Mark, str]] = {"done": TICK, "broken": CROSS}
TAGS: Final[Mapping[Mark, str]] = {"here": "now", "broken": "failed here"}
SAID: Final[Mapping[Mark, str]] = {
    "plain": "",
    "done": " (done)",
    "here": " (the run is here)",
    "broken": " (it failed here)",
    "ahead": " (not reached)",
}
LEGEND: Final = (
    ("go", "commits rows and boundary as one"),
    ("stop", "rolls back what is not committed"),
    ("back", "from failed: only where it failed"),
)


def svg(
    rows: Sequence[Edge], labels: Mapping[str, str] | None = None, position: Position | None = None
) -> str:
    """Return a standalone SVG picture."""
    drawing = graph(rows, labels, position)
    place = layout(drawing)
    root = document(place.width, place.height, _title(drawing), _description(drawing), style())
    arrow_heads(root, KINDS)
    draw(root, "rect", "card", x=0.5, y=0.5, width=place.width - 1, height=place.height - 1, rx=16)
    _entrance(root, drawing, place)
    _bar(root, drawing, place)
    for box in place.boxes:
        _links(root, drawing, place, box)
    for box in place.boxes:
        _state(root, drawing, place, box)
    _legend(root, place)
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _title(drawing: Graph) -> str:
    if drawing.position is None:
        return "The states of a run and every legal way between them"
    return f"The run is in {drawing.label(drawing.position.state)}"


def _description(drawing: Graph) -> str:
    """Say the picture in words, for screen readers."""
    column = ", ".join(f"{drawing.label(state)}{SAID[drawing.mark(state)]}" for state in drawing.column)
    ways_out = "; ".join(
        dict.fromkeys(f"{link.text} to {link.dest}, {link.note}" for link in drawing.links if link.rolls_back)
    )
    return f"From top to bottom: {column}. From every phase: {ways_out}{SAID[drawing.mark(FAILED)]}."


def _entrance(root: Element, drawing: Graph, place: Layout) -> None:
    draw(root, "circle", "origin", cx=place.rail, cy=PAD + 6, r=6)
    for link in drawing.links:
        if link.source == INITIAL:
            _down(root, place, link, PAD + 12, "go")


def _bar(root: Element, drawing: Graph, place: Layout) -> None:
    linked = [box for box in place.boxes if beside(drawing, box.state)]
    if not linked:
        return
    top, height, mark = linked[0].top, linked[-1].bottom - linked[0].top, drawing.mark(FAILED)
    bar = group(root, f"state failed {mark}", f"{FAILED}{SAID[mark]}")
    _shape(bar, mark, x=place.bar, y=top, width=BAR_WIDTH, height=height, rx=12)
    count = max(1, round(height / BAR_LABEL_EVERY))
    for index in range(count):
        y = top + height * (index + 0.5) / count + 5
        text(bar, "label middle", place.bar + BAR_WIDTH / 2, y, drawing.label(FAILED))
    _tag(bar, mark, place.bar + BAR_WIDTH - 14, top)


def _links(root: Element, drawing: Graph, place: Layout, box: Box) -> None:
    for link in drawing.links:
        if link.source == box.state and drawing.is_step(link):
            _down(root, place, link, box.bottom, "done" if drawing.mark(box.state) == "done" else "go")
    for link, y in spread(box.middle, beside(drawing, box.state)):
        _across(root, drawing, place, link, y, below=y > box.middle)
    for link, y in spread(box.middle, loops(drawing, box.state)):
        _bow(root, place, link, y)


def _down(root: Element, place: Layout, link: Link, top: float, kind: str) -> None:
    """Draw an arrow from `top` to the box below."""
    end = place.box(link.dest).top
    way = _link(root, link, kind)
    arrow(way, kind, f"M{number(place.rail)} {number(top)} V{number(end - 3)}")
    text(way, f"small {kind}", place.rail + 14, end - GAP / 2 + 4, link.text)


def _across(root: Element, drawing: Graph, place: Layout, link: Link, y: float, *, below: bool) -> None:
    """Draw an arrow to the bar or back from it."""
    falls = link.dest == FAILED
    start, end = (place.right, place.bar - 3) if falls else (place.bar, place.right + 3)
    kind = "stop" if falls else "back"
    way = _link(root, link, f"{kind} closed" if drawing.is_closed(link) else kind)
    arrow(way, kind, f"M{number(start)} {number(y)} H{number(end)}", dashed=link.rolls_back)
    text(way, f"small middle {kind}", (place.right + place.bar) / 2, y + (16 if below else -7), link.text)


def _bow(root: Element, place: Layout, link: Link, y: float) -> None:
    """Draw an arrow at the left: a small loop, or a wide bow to another state of the column."""
    reach = 44 if link.is_loop else LOOP_LANE - 16
    end = y + 12 if link.is_loop else place.box(link.dest).middle
    out = number(place.left - reach)
    path = (
        f"M{number(place.left)} {number(y - 12)} "
        f"C{out} {number(y - 16)} {out} {number(end + 4)} {number(place.left - 3)} {number(end)}"
    )
    way = _link(root, link, "back")
    arrow(way, "back", path, dashed=link.rolls_back)
    text(way, "small end back", place.left - reach * 0.75 - 6, (y + end) / 2 - 2, link.text)


def _link(root: Element, link: Link, kind: str) -> Element:
    note = f" ({link.note})" if link.note else ""
    return group(root, f"link {kind}", f"{link.text}: {link.source or 'new'} to {link.dest}{note}")


def _state(root: Element, drawing: Graph, place: Layout, box: Box) -> None:
    mark = drawing.mark(box.state)
    is_end = box.state == COMPLETED
    state = group(
        root,
        f"state completed {mark}" if is_end else f"state {mark}",
        f"{drawing.label(box.state)}{SAID[mark]}",
    )
    radius = box.height / 2 if is_end else 12
    _shape(state, mark, x=place.left, y=box.top, width=BOX_WIDTH, height=box.height, rx=radius)
    _badge(state, drawing, place, box)
    _words(state, place, box, name="" if is_end else box.state)
    _tag(state, mark, place.right - 14, box.top)


def _shape(state: Element, mark: Mark, *, x: float, y: float, width: float, height: float, rx: float) -> None:
    """Draw a box, with a halo where the run is."""
    if mark == "here":
        draw(state, "rect", "halo", x=x - 5, y=y - 5, width=width + 10, height=height + 10, rx=rx + 5)
    draw(state, "rect", "shape", x=x, y=y, width=width, height=height, rx=rx)


def _badge(state: Element, drawing: Graph, place: Layout, box: Box) -> None:
    """Draw the phase's position, or the sign for what became of it."""
    draw(state, "circle", "badge", cx=place.rail, cy=box.middle, r=BADGE_RADIUS)
    glyph = TICK if box.state == COMPLETED else GLYPHS.get(drawing.mark(box.state))
    if glyph is None:
        position = drawing.phases.index(box.state) + 1
        text(state, "number middle", place.rail, box.middle + 4.5, str(position))
    else:
        at = f"translate({number(place.rail)} {number(box.middle)})"
        draw(state, "path", "glyph", d=glyph, transform=at)


def _words(state: Element, place: Layout, box: Box, *, name: str) -> None:
    x = place.rail + 24
    y = box.middle - (len(box.lines) - 1) * LABEL_LEADING / 2 + (-3 if name else 5)
    for index, line in enumerate(box.lines):
        text(state, "label", x, y + index * LABEL_LEADING, line)
    if name:
        text(state, "name", x, y + (len(box.lines) - 1) * LABEL_LEADING + 18, shorten(name, NAME_COLUMNS))


def _tag(state: Element, mark: Mark, right: float, top: float) -> None:
    """Draw what is special about a state in a small pill across its upper edge."""
    words = TAGS.get(mark)
    if words:
        width = columns(words) * TAG_CHAR + 18
        draw(state, "rect", "pill", x=right - width, y=top - 9, width=width, height=18, rx=9)
        text(state, "tag middle", right - width / 2, top + 4, words)


def _legend(root: Element, place: Layout) -> None:
    """Explain the kinds of arrow in the empty corner beside `completed`."""
    x, top = place.right + 48, place.height - PAD - LEGEND_HEIGHT
    for index, (kind, words) in enumerate(LEGEND):
        y = top + 14 + index * 22
        arrow(root, kind, f"M{number(x)} {number(y)} h28", dashed=kind == "stop")
        text(root, "legend", x + 42, y + 4, words)
