"""Colours of the SVG: one table, two themes, a readable contrast in both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LIGHT: Final[Mapping[str, str]] = {
    "card": "#fbfcfe",
    "line": "#d5dbe6",
    "box": "#ffffff",
    "ink": "#18202d",
    "soft": "#566275",
    "go": "#2f55d4",
    "here": "#e6ecff",
    "done": "#17734a",
    "done-box": "#eaf7f0",
    "stop": "#b4233c",
    "stop-box": "#fdeef1",
    "back": "#0c6f6a",
}
DARK: Final[Mapping[str, str]] = {
    "card": "#11161f",
    "line": "#2d3748",
    "box": "#1a212d",
    "ink": "#e9edf5",
    "soft": "#a5b0c2",
    "go": "#8fb0ff",
    "here": "#22305a",
    "done": "#66d6a0",
    "done-box": "#152c22",
    "stop": "#ff93a3",
    "stop-box": "#351a22",
    "back": "#5fdccf",
}

SHAPES: Final = """
.phaseline text { font: 600 15px "Inter", "Segoe UI", system-ui, "Helvetica Neue", "DejaVu Sans", sans-serif }
.phaseline .small { font-size: 12px; font-weight: 500 }
.phaseline .legend { font-size: 12px; font-weight: 400 }
.phaseline .name { font: 400 11.5px ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", monospace }
.phaseline .tag { font-size: 11px; font-weight: 700; letter-spacing: .04em }
.phaseline .number { font-size: 12.5px; font-weight: 700 }
.phaseline .middle { text-anchor: middle }
.phaseline .end { text-anchor: end }
.phaseline .shape, .phaseline .card { stroke-width: 1 }
.phaseline .here > .shape, .phaseline .broken > .shape { stroke-width: 2 }
.phaseline .halo { opacity: .25; stroke: none }
.phaseline .arrow { fill: none; stroke-width: 1.6 }
.phaseline .dashed { stroke-dasharray: 5 4 }
.phaseline .closed { opacity: .3 }
.phaseline .ahead > .shape { stroke-dasharray: 4 4 }
.phaseline .glyph { fill: none; stroke-width: 2.4; stroke-linecap: round; stroke-linejoin: round }
"""

INKS: Final = """
.phaseline .card {{ fill: {card}; stroke: {line} }}
.phaseline text {{ fill: {ink} }}
.phaseline .legend, .phaseline .name {{ fill: {soft} }}
.phaseline .shape {{ fill: {box}; stroke: {soft} }}
.phaseline .badge {{ fill: {soft} }}
.phaseline .number, .phaseline .tag {{ fill: {box} }}
.phaseline .glyph {{ stroke: {box} }}
.phaseline .origin, .phaseline .pill, .phaseline .halo {{ fill: {go} }}
.phaseline .arrow.go {{ stroke: {go} }}
.phaseline .arrow.done {{ stroke: {done} }}
.phaseline .arrow.stop {{ stroke: {stop} }}
.phaseline .arrow.back {{ stroke: {back} }}
.phaseline .small.go, .phaseline .head.go {{ fill: {go} }}
.phaseline .small.done, .phaseline .head.done {{ fill: {done} }}
.phaseline .small.stop, .phaseline .head.stop {{ fill: {stop} }}
.phaseline .small.back, .phaseline .head.back {{ fill: {back} }}
.phaseline .here .shape {{ fill: {here}; stroke: {go} }}
.phaseline .here .badge {{ fill: {go} }}
.phaseline .done .shape, .phaseline .completed .shape {{ fill: {done-box}; stroke: {done} }}
.phaseline .done .badge, .phaseline .completed .badge {{ fill: {done} }}
.phaseline .completed .pill, .phaseline .completed .halo {{ fill: {done} }}
.phaseline .broken .shape, .phaseline .failed .shape {{ fill: {stop-box}; stroke: {stop} }}
.phaseline .broken .badge, .phaseline .broken .pill {{ fill: {stop} }}
.phaseline .failed .label, .phaseline .failed .pill, .phaseline .failed .halo {{ fill: {stop} }}
.phaseline .ahead .shape {{ fill: {box}; stroke: {soft} }}
.phaseline .ahead .badge {{ fill: {soft} }}
"""


def style() -> str:
    """Return the style sheet: the shapes once, the inks once for each theme."""
    dark = INKS.format_map(DARK)
    return f"{SHAPES}{INKS.format_map(LIGHT)}@media (prefers-color-scheme: dark) {{{dark}}}\n"
