"""The equity curves as SVG: portfolios against the benchmark, and below how much there was to go by.

The picture brings its own card, colours for light and dark (`prefers-color-scheme`) and words for those who
can't see it. Runs stand at equal distances, whatever the calendar has between them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, indent, tostring

from api.replay.outcome import Curve, Outcome
from statemachine.diagram.elements import document, draw, group, number, text
from statemachine.diagram.palette import DARK, LIGHT

WIDTH: Final = 860.0
LEFT, RIGHT, TOP = 70.0, 660.0, 96.0
CURVES_HEIGHT: Final = 250.0
BARS_TOP: Final = TOP + CURVES_HEIGHT + 76
BARS_HEIGHT: Final = 56.0
HEIGHT: Final = BARS_TOP + BARS_HEIGHT + 56
LABEL_GAP: Final = 17.0
STEPS: Final = (1, 2, 2.5, 5, 10)
LINES_WANTED: Final = 5
LEAST_SPAN: Final = 0.01
DATES_WANTED: Final = 8

MARKS_WITH_WORDS: Final = 8

LOOKS: Final = ("a", "b", "c", "d")
STYLE: Final = """
.phaseline text { font: 400 12px "Inter", "Segoe UI", system-ui, "Helvetica Neue", "DejaVu Sans", sans-serif }
.phaseline .title { font-size: 17px; font-weight: 650 }
.phaseline .label { font-size: 12.5px; font-weight: 600 }
.phaseline .end { text-anchor: end }
.phaseline .middle { text-anchor: middle }
.phaseline .curve { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round }
.phaseline .benchmark { stroke-dasharray: 5 4; stroke-width: 1.8 }
.phaseline .grid { stroke-width: 1 }
.phaseline .ring { stroke-width: 2 }
.phaseline .mark { font-size: 11.5px; font-weight: 600; paint-order: stroke; stroke-width: 5px }
.phaseline .zero { stroke-width: 1.4 }
.phaseline .lead { stroke-width: 1; opacity: .6 }
"""
INKS: Final = """
.phaseline .card {{ fill: {card}; stroke: {line} }}
.phaseline text {{ fill: {soft} }}
.phaseline .title {{ fill: {ink} }}
.phaseline .grid {{ stroke: {line} }}
.phaseline .zero {{ stroke: {soft} }}
.phaseline .bar {{ fill: {soft}; opacity: .55 }}
.phaseline .curve.a, .phaseline .lead.a {{ stroke: {go} }}
.phaseline .curve.b, .phaseline .lead.b {{ stroke: {done} }}
.phaseline .curve.c, .phaseline .lead.c {{ stroke: {stop} }}
.phaseline .curve.d, .phaseline .lead.d {{ stroke: {back} }}
.phaseline .curve.benchmark, .phaseline .lead.benchmark {{ stroke: {soft} }}
.phaseline .label.a, .phaseline .mark.a, .phaseline .dot.a {{ fill: {go} }}
.phaseline .label.b, .phaseline .mark.b, .phaseline .dot.b {{ fill: {done} }}
.phaseline .label.c, .phaseline .mark.c, .phaseline .dot.c {{ fill: {stop} }}
.phaseline .label.d, .phaseline .mark.d, .phaseline .dot.d {{ fill: {back} }}
.phaseline .ring {{ fill: {card} }}
.phaseline .mark {{ stroke: {card} }}
.phaseline .ring.a {{ stroke: {go} }}
.phaseline .ring.b {{ stroke: {done} }}
.phaseline .ring.c {{ stroke: {stop} }}
.phaseline .ring.d {{ stroke: {back} }}
.phaseline .label.benchmark, .phaseline .dot.benchmark {{ fill: {soft} }}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One curve as the picture draws it."""

    look: str
    portfolio: str
    points: Sequence[tuple[int, float]]
    """Position of the run, and the change since the first known value, a share of one."""

    @property
    def name(self) -> str:
        """What the line is called."""
        return self.portfolio.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Scale:
    """Where runs and changes are drawn."""

    runs: int
    low: float
    high: float

    def x(self, run: int) -> float:
        """Return where a run stands."""
        return LEFT + (RIGHT - LEFT) * (run + 0.5) / self.runs

    def y(self, change: float) -> float:
        """Return the height of a change."""
        return TOP + CURVES_HEIGHT * (self.high - change) / (self.high - self.low)


def equity(outcome: Outcome) -> str:
    """Return a standalone SVG picture of a replay."""
    lines = _lines(outcome)
    ticks = _ticks([change for line in lines for _, change in line.points])
    scale = Scale(max(1, len(outcome.looks)), ticks[0], ticks[-1])
    rules = ", with changed rules" if outcome.plan.rules else ""
    title = f"Replay of {outcome.plan.start} to {outcome.plan.end}{rules}"
    root = document(WIDTH, HEIGHT, title, _in_words(lines), _style())
    draw(root, "rect", "card", x=0.5, y=0.5, width=WIDTH - 1, height=HEIGHT - 1, rx=16)
    text(root, "title", 28, 38, title)
    text(root, "", 28, 60, _subtitle(outcome))
    _grid(root, scale, ticks)
    for line in lines:
        _curve(root, scale, line)
        _purchases(root, scale, line, outcome)
    _labels(root, scale, lines)
    _bars(root, scale, outcome)
    _dates(root, scale, outcome)
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _style() -> str:
    return f"{STYLE}{INKS.format_map(LIGHT)}@media (prefers-color-scheme: dark) {{{INKS.format_map(DARK)}}}\n"


def _lines(outcome: Outcome) -> list[Line]:
    """Return the benchmark and the portfolios that traded; one that did not is no curve but a word."""
    traded = {trade.portfolio for trade in outcome.trades}
    own = [curve for curve in outcome.curves if curve.name in traded]
    lines = [_line(outcome.benchmark, "benchmark"), *map(_line, own, LOOKS)]
    return [line for line in lines if line.points]


def _line(curve: Curve, look: str) -> Line:
    known = [(run, value) for run, value in enumerate(curve.values) if value is not None]
    return Line(look, curve.name, [(run, value / known[0][1] - 1) for run, value in known])


def _subtitle(outcome: Outcome) -> str:
    traded = {trade.portfolio for trade in outcome.trades}
    idle = [curve.name.replace("_", " ") for curve in outcome.curves if curve.name not in traded]
    untraded = f"; no trade in {', '.join(idle)}" if idle else ""
    if not traded:
        untraded = "; no portfolio traded, so all of them stayed at 0%"
    return f"change in value since the first run, at paper prices{untraded}"


def _in_words(lines: Sequence[Line]) -> str:
    ends = "; ".join(f"{line.name} {line.points[-1][1]:+.1%}" for line in lines)
    return f"Change since the first run: {ends or 'nothing is known'}. Bars: comments each run had to go by."


def _ticks(changes: Sequence[float]) -> list[float]:
    """Return round values that enclose the changes and zero."""
    low, high = min([0.0, *changes]), max([0.0, *changes])
    span = max(high - low, LEAST_SPAN)
    magnitude = 10.0 ** math.floor(math.log10(span / LINES_WANTED))
    step = next(each * magnitude for each in STEPS if each * magnitude * LINES_WANTED >= span)
    first, last = math.floor(low / step), math.ceil(max(high, low + LEAST_SPAN) / step)
    return [index * step for index in range(first, last + 1)]


def _grid(root: Element, scale: Scale, ticks: Sequence[float]) -> None:
    decimals = 0 if all(abs(tick * 100 - round(tick * 100)) < LEAST_SPAN for tick in ticks) else 1
    for tick in ticks:
        look = "grid" if abs(tick) > LEAST_SPAN**3 else "zero"
        draw(root, "line", look, x1=LEFT, x2=RIGHT, y1=scale.y(tick), y2=scale.y(tick))
        text(
            root,
            "end",
            LEFT - 10,
            scale.y(tick) + 4,
            _percent(tick, decimals) if look == "grid" else "0%",
        )


def _curve(root: Element, scale: Scale, line: Line) -> None:
    whole = group(root, "", f"{line.name}: {line.points[-1][1]:+.2%}")
    path = " ".join(
        f"{'L' if index else 'M'}{number(scale.x(run))} {number(scale.y(change))}"
        for index, (run, change) in enumerate(line.points)
    )
    draw(whole, "path", f"curve {line.look}", d=path)
    run, change = line.points[-1]
    draw(whole, "circle", f"dot {line.look}", cx=scale.x(run), cy=scale.y(change), r=3.5)


def _purchases(root: Element, scale: Scale, line: Line, outcome: Outcome) -> None:
    """Draw a ring where a portfolio bought; where it bought little, with what."""
    bought: defaultdict[str, list[str]] = defaultdict(list)
    for trade in outcome.trades:
        if trade.portfolio == line.portfolio:
            bought[trade.entry_day].append(trade.ticker)
    days = [look.when[:10] for look in outcome.looks]
    for day, tickers in bought.items():
        run, change = next(point for point in line.points if days[point[0]] == day)
        ring = group(root, "", f"{day}: bought {', '.join(tickers)}")
        draw(ring, "circle", f"ring {line.look}", cx=scale.x(run), cy=scale.y(change), r=4.5)
        if len(bought) <= MARKS_WITH_WORDS:
            text(ring, f"middle mark {line.look}", scale.x(run), scale.y(change) - 10, " ".join(tickers[:2]))


def _labels(root: Element, scale: Scale, lines: Sequence[Line]) -> None:
    """Name each curve at its end, moved apart where ends are close."""
    lines = sorted(lines, key=lambda line: -line.points[-1][1])
    heights = [scale.y(line.points[-1][1]) for line in lines]
    for line, y, place in zip(lines, heights, apart(heights), strict=True):
        run = line.points[-1][0]
        draw(root, "line", f"lead {line.look}", x1=scale.x(run) + 6, y1=y, x2=RIGHT + 12, y2=place)
        text(
            root,
            f"label {line.look}",
            RIGHT + 16,
            place + 4,
            f"{line.name} {_percent(line.points[-1][1], 1)}",
        )


def _percent(share: float, decimals: int) -> str:
    return f"{share:+.{decimals}%}".replace("-", "−")


def apart(places: Sequence[float]) -> list[float]:
    """Return sorted places moved downwards, as little as it takes, until they are `LABEL_GAP` apart.

    >>> apart([10.0, 12.0, 80.0])
    [10.0, 27.0, 80.0]
    """
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + LABEL_GAP) if moved else place)
    return moved


def _bars(root: Element, scale: Scale, outcome: Outcome) -> None:
    most = max((look.comments for look in outcome.looks), default=0)
    text(root, "", LEFT, BARS_TOP - 30, f"comments that each run had to go by (at most {most:,})")
    width = min(26.0, (RIGHT - LEFT) / scale.runs * 0.62)
    base = BARS_TOP + BARS_HEIGHT
    for run, look in enumerate(outcome.looks):
        height = BARS_HEIGHT * look.comments / most if most else 0.0
        bar = group(root, "", f"{look.when}: {look.comments:,} comments")
        draw(
            bar, "rect", "bar", x=scale.x(run) - width / 2, y=base - height, width=width, height=height, rx=2
        )
        if scale.runs <= 2 * DATES_WANTED:
            text(bar, "middle", scale.x(run), base - height - 5, f"{look.comments:,}")
    draw(root, "line", "grid", x1=LEFT, x2=RIGHT, y1=base, y2=base)


def _dates(root: Element, scale: Scale, outcome: Outcome) -> None:
    every = max(1, math.ceil(len(outcome.looks) / DATES_WANTED))
    for run in range(0, len(outcome.looks), every):
        text(root, "middle", scale.x(run), HEIGHT - 30, f"{outcome.looks[run].as_of:%b %-d}")
