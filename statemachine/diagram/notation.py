"""Graph languages: Mermaid for documents that render it, DOT for Graphviz and its friends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html.entities import html5
from typing import Final

from statemachine.diagram.graph import Graph, Link, Position, graph
from statemachine.table import COMPLETED, FAILED, INITIAL, Edge

MERMAID_CLASSES: Final = (
    "classDef done fill:#d9f2e3,stroke:#1a7f4b,color:#0c3b22",
    "classDef here fill:#3156d3,stroke:#1b3597,color:#ffffff,stroke-width:3px",
    "classDef broken fill:#fbdde3,stroke:#b4233c,color:#5f0f1e,stroke-width:3px",
    "classDef ahead fill:#f3f4f7,stroke:#8b95a5,color:#333b47,stroke-dasharray:4 3",
)
MERMAID_PLAIN: Final = frozenset(" _-,()")

ENTITIES: Final[Mapping[str, str]] = {
    char: f"&{entity}" for entity, char in html5.items() if entity.endswith(";") and len(char) == 1
}

DOT_LOOKS: Final[Mapping[str, str]] = {
    "plain": 'fillcolor="#ffffff", color="#5c6778"',
    "done": 'fillcolor="#d9f2e3", color="#1a7f4b"',
    "here": 'fillcolor="#3156d3", color="#1b3597", fontcolor="#ffffff", penwidth=3',
    "broken": 'fillcolor="#fbdde3", color="#b4233c", penwidth=3',
    "ahead": 'fillcolor="#f3f4f7", color="#8b95a5"',
}


def mermaid(
    rows: Sequence[Edge], labels: Mapping[str, str] | None = None, position: Position | None = None
) -> str:
    """Return a Mermaid `stateDiagram-v2`."""
    drawing = graph(rows, labels, position)
    ids = {INITIAL: "[*]", **{state: _mermaid_id(drawing, state) for state in drawing.states}}
    lines = [f'state "{_mermaid_text(drawing.label(state))}" as {ids[state]}' for state in drawing.states]
    lines += [f"{ids[link.source]} --> {ids[link.dest]}: {_words(link)}" for link in drawing.links]
    if position is not None:
        lines += MERMAID_CLASSES
        lines += [f"class {ids[state]} {drawing.mark(state)}" for state in drawing.states]
    return "stateDiagram-v2\n" + "".join(f"    {line}\n" for line in lines)


def _words(link: Link) -> str:
    return f"{link.text} ({link.note})" if link.note else link.text


def _mermaid_id(drawing: Graph, state: str) -> str:
    """Return an ASCII id that is no keyword; "State", "End" and "Über" are legal labels of phases.

    No keyword has an underscore, and no id of the form p1 has one, so ids neither mean nor hide another.
    """
    if state in (COMPLETED, FAILED) or (state.isascii() and "_" in state):
        return state
    return f"p{drawing.phases.index(state) + 1}"


def _mermaid_text(text: str) -> str:
    """Return `text` with everything but letters, digits and harmless marks as named HTML entities.

    Mermaid's own `#34;` codes are left undecoded in the descriptions of states, named entities are not.
    What has no name is kept: only ASCII means anything to Mermaid, and all of its marks have one.
    """
    return "".join(
        char if char.isalnum() or char in MERMAID_PLAIN else ENTITIES.get(char, char) for char in text
    )


def dot(
    rows: Sequence[Edge], labels: Mapping[str, str] | None = None, position: Position | None = None
) -> str:
    """Return a Graphviz digraph."""
    drawing = graph(rows, labels, position)
    lines = [
        "rankdir=LR;",
        'graph [fontname="Helvetica", bgcolor="transparent"];',
        'node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=12];',
        'edge [fontname="Helvetica", fontsize=10, color="#5c6778", fontcolor="#5c6778"];',
        f"{_dot_text(INITIAL)} [shape=point, width=0.15];",
    ]
    lines += [_dot_node(drawing, state) for state in drawing.states]
    lines += [_dot_edge(link) for link in drawing.links]
    return "digraph run {\n" + "".join(f"    {line}\n" for line in lines) + "}\n"


def _dot_node(drawing: Graph, state: str) -> str:
    look = DOT_LOOKS[drawing.mark(state)]
    return f"{_dot_text(state)} [label={_dot_text(drawing.label(state))}, {look}];"


def _dot_edge(link: Link) -> str:
    style = ', style=dashed, color="#b4233c"' if link.rolls_back else ""
    ends = f"{_dot_text(link.source)} -> {_dot_text(link.dest)}"
    return f"{ends} [label={_dot_text(_words(link))}{style}];"


def _dot_text(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
