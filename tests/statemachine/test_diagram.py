"""Every picture shows every edge of the table, whatever the labels are, and marks where a run is."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from html import unescape
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.diagram import FORMATS, Position, ascii_art, dot, markdown, mermaid, svg
from statemachine.diagram.graph import graph
from statemachine.diagram.handbook import MEANINGS, meaning
from statemachine.diagram.palette import DARK, LIGHT
from statemachine.diagram.typeset import columns, one_line, shorten, wrap
from statemachine.errors import RegistryError
from statemachine.registry import Registry
from statemachine.table import COMPLETED, FAILED, TERMINAL, TRIGGERS, Edge, edges

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = ['"]; x', "<script>alert(1)</script>", "%%{init: {}}%%", "a\\", "| & `", "End", "état", "Note: x"]
PRINTABLE = st.characters(exclude_categories=("C", "Z")) | st.just(" ")
LABELS = st.text(PRINTABLE, min_size=1, max_size=40) | st.sampled_from(HOSTILE)
SIX = ["fetch", "rank", "analyze", "detect", "trade", "watch"]


def registry(labels: Sequence[str]) -> Registry:
    return Registry.of([(number, label, print) for number, label in enumerate(labels, start=1)])


def usable(labels: Sequence[str]) -> bool:
    try:
        registry(labels)
    except RegistryError:
        return False
    return True


REGISTRIES = st.lists(LABELS, min_size=1, max_size=6).filter(usable).map(registry)


def labels_of(machine: Registry) -> dict[str, str]:
    return {state: phase.label for state, phase in zip(machine.states, machine.phases, strict=True)}


def positions(machine: Registry) -> list[Position | None]:
    """Every place where a run of this machine can be."""
    failed = [Position(FAILED, state) for state in machine.states]
    return [None, *map(Position, machine.states), Position(COMPLETED), Position(FAILED), *failed]


# What every picture says


@given(REGISTRIES)
def test_merged_arrows_are_the_tables_edges_and_no_others(machine: Registry) -> None:
    drawn = [
        Edge(trigger, link.source, link.dest, link.rolls_back, link.only_where_it_failed)
        for link in graph(machine.edges).links
        for trigger in link.triggers
    ]

    assert Counter(drawn) == Counter(machine.edges)


@given(REGISTRIES)
def test_every_arrow_is_drawn_beside_exactly_one_state_or_between_two(machine: Registry) -> None:
    drawing = graph(machine.edges)

    drawn = [link for state in drawing.column for link in drawing.asides(state)]
    drawn += [link for link in drawing.links if drawing.is_step(link) or not link.source]

    assert Counter(drawn) == Counter(drawing.links)


@given(REGISTRIES, st.data())
def test_a_run_has_left_behind_exactly_the_phases_before_its_own(
    machine: Registry, data: st.DataObject
) -> None:
    at = data.draw(st.sampled_from(machine.states))
    drawing = graph(machine.edges, position=Position(at))

    marks = [drawing.mark(state) for state in machine.states]
    index = machine.states.index(at)

    assert marks == ["done"] * index + ["here"] + ["ahead"] * (len(marks) - index - 1)


def test_a_failed_run_shows_where_it_failed() -> None:
    drawing = graph(edges(SIX), position=Position(FAILED, "analyze"))

    marks = [drawing.mark(state) for state in drawing.states]

    assert marks == ["done", "done", "broken", "ahead", "ahead", "ahead", "ahead", "here"]


def test_only_the_way_back_into_the_phase_it_failed_in_is_open() -> None:
    drawing = graph(edges(SIX), position=Position(FAILED, "analyze"))

    closed = [link.dest for link in drawing.links if drawing.is_closed(link)]

    assert closed == ["fetch", "rank", "detect", "trade", "watch"]


def test_where_it_is_not_known_where_a_run_failed_nothing_is_said_of_its_phases() -> None:
    drawing = graph(edges(SIX), position=Position(FAILED))

    assert {drawing.mark(phase) for phase in SIX} == {"ahead"}
    assert not any(map(drawing.is_closed, drawing.links))


def test_without_a_run_every_way_is_open() -> None:
    drawing = graph(edges(SIX))

    assert not any(map(drawing.is_closed, drawing.links))


def test_a_completed_run_has_left_all_phases_behind() -> None:
    drawing = graph(edges(SIX), position=Position(COMPLETED))

    assert {drawing.mark(phase) for phase in SIX} == {"done"}


@pytest.mark.parametrize("position", [Position("elsewhere"), Position(FAILED, "elsewhere")])
def test_a_run_of_another_machine_is_refused(position: Position) -> None:
    with pytest.raises(ValueError, match="can't mark 'elsewhere': the machine has only fetch, rank"):
        graph(edges(SIX), position=position)


def test_every_trigger_has_a_meaning() -> None:
    assert set(MEANINGS) == set(TRIGGERS)


def test_resume_means_a_person_where_the_run_had_failed() -> None:
    by_source = {row.source in TERMINAL: meaning(row) for row in edges(["work"]) if row.trigger == "resume"}

    assert by_source[True].startswith("A person asked")
    assert by_source[False].startswith("The process died")


# Mermaid


@given(REGISTRIES)
def test_mermaid_declares_each_state_once_and_each_arrow_once(machine: Registry) -> None:
    head, *lines = mermaid(machine.edges, labels_of(machine)).splitlines()

    declared = [line for line in lines if re.fullmatch(r'    state "[^"]+" as \w+', line, re.ASCII)]
    arrows = [line for line in lines if re.fullmatch(r"    (\[\*\]|\w+) --> \w+: .+", line, re.ASCII)]

    assert head == "stateDiagram-v2"
    assert len(declared) == len(machine.states) + len(TERMINAL)
    assert len(arrows) == len(graph(machine.edges).links)
    assert len(declared) + len(arrows) == len(lines)
    assert len({line.rsplit(" ", 1)[1] for line in declared}) == len(declared)


@given(REGISTRIES)
def test_mermaid_labels_read_back_as_they_were_and_mean_nothing(machine: Registry) -> None:
    text = mermaid(machine.edges, labels_of(machine))

    shown = re.findall(r'state "(.*)" as', text)

    assert [unescape(label) for label in shown[: len(machine.phases)]] == [
        one_line(phase.label) or state for phase, state in zip(machine.phases, machine.states, strict=True)
    ]
    assert not set('"<>#%{}:*`[]') & set("".join(shown))


def test_mermaid_never_uses_a_keyword_as_the_name_of_a_state() -> None:
    machine = registry(["State", "End", "Note", "Class", "Two words"])

    ids = re.findall(r'" as (\S+)', mermaid(machine.edges))

    assert ids == ["p1", "p2", "p3", "p4", "two_words", "completed", "failed"]


def test_mermaid_lights_the_state_that_a_run_is_in() -> None:
    text = mermaid(edges(["first_one", "second_one"]), position=Position("second_one"))

    assert "    class first_one done\n    class second_one here\n    class completed ahead\n" in text


# DOT


@given(REGISTRIES)
def test_dot_has_one_line_a_state_and_one_an_arrow(machine: Registry) -> None:
    lines = dot(machine.edges, labels_of(machine)).splitlines()
    quoted = r'"(?:[^"\\]|\\["\\])*"'

    nodes = [line for line in lines if re.fullmatch(rf"    {quoted} \[label={quoted}, [^\"]*\".*\];", line)]
    arrows = [
        line for line in lines if re.fullmatch(rf"    {quoted} -> {quoted} \[label={quoted}.*\];", line)
    ]

    assert len(nodes) == len(machine.states) + len(TERMINAL)
    assert len(arrows) == len(graph(machine.edges).links)


def test_dot_dashes_exactly_what_rolls_back() -> None:
    lines = [line for line in dot(edges(SIX)).splitlines() if " -> " in line]

    assert [line for line in lines if "style=dashed" in line] == [
        line for line in lines if '-> "failed"' in line
    ]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_accepts_hostile_labels() -> None:
    machine = registry(HOSTILE)

    run = subprocess.run(
        ["dot", "-Tplain"],
        input=dot(machine.edges, labels_of(machine)),
        text=True,
        capture_output=True,
        check=False,
    )

    assert (run.returncode, run.stderr) == (0, "")


# SVG


def links_of(picture: str) -> list[str]:
    groups = ET.fromstring(picture).iter(f"{SVG}g")
    return [group[0].text or "" for group in groups if group.get("class", "").startswith("link")]


@given(REGISTRIES)
def test_svg_draws_every_arrow_once(machine: Registry) -> None:
    picture = svg(machine.edges, labels_of(machine))

    assert Counter(links_of(picture)) == Counter(
        f"{link.text}: {link.source or 'new'} to {link.dest}{f' ({link.note})' if link.note else ''}"
        for link in graph(machine.edges).links
    )


@given(REGISTRIES, st.data())
def test_svg_is_well_formed_and_has_words_for_those_who_can_not_see_it(
    machine: Registry, data: st.DataObject
) -> None:
    position = data.draw(st.sampled_from(positions(machine)))

    root = ET.fromstring(svg(machine.edges, labels_of(machine), position))
    description = root.findtext(f"{SVG}desc", "")

    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title")
    assert all((one_line(phase.label) or "_") in description for phase in machine.phases)


@given(REGISTRIES)
def test_svg_takes_no_markup_from_labels(machine: Registry) -> None:
    tags = {
        element.tag.removeprefix(SVG)
        for element in ET.fromstring(svg(machine.edges, labels_of(machine))).iter()
    }

    assert tags == {"svg", "title", "desc", "style", "defs", "marker", "path", "rect", "g", "text", "circle"}


@pytest.mark.parametrize("count", [1, 3, 6, 30])
def test_svg_boxes_do_not_overlap(count: int) -> None:
    machine = registry([f"{'A rather long label for a phase ' * (n % 4 + 1)}{n}" for n in range(count)])

    root = ET.fromstring(svg(machine.edges, labels_of(machine)))
    boxes = [
        (float(shape.get("y", "")), float(shape.get("height", "")))
        for group in root.iter(f"{SVG}g")
        if group.get("class", "").startswith("state") and "failed" not in group.get("class", "")
        for shape in group.iter(f"{SVG}rect")
    ]

    assert len(boxes) == count + 1
    assert all(y + height < after for (y, height), (after, _) in itertools.pairwise(boxes))
    assert boxes[-1][0] + boxes[-1][1] < float(root.get("height", ""))


def test_svg_texts_stay_inside_their_boxes() -> None:
    machine = registry(["Short", "A rather long label that needs several lines", "W" * 200, "日本語" * 30])

    root = ET.fromstring(svg(machine.edges, labels_of(machine)))

    for group in root.iter(f"{SVG}g"):
        if group.get("class", "").startswith("state"):
            box = next(group.iter(f"{SVG}rect"))
            top, height = float(box.get("y", "")), float(box.get("height", ""))
            assert all(
                top + 10 < float(text.get("y", "")) < top + height - 5 for text in group.iter(f"{SVG}text")
            )


def test_svg_draws_ways_that_a_later_table_may_have() -> None:
    skip, pause = Edge("skip", "fetch", "trade"), Edge("pause", "rank", "rank")
    undo, accept = Edge("undo", "detect", "analyze", rolls_back=True), Edge("accept", FAILED, COMPLETED)

    drawn = links_of(svg((*edges(SIX), skip, undo, pause, accept)))

    assert {
        "skip: fetch to trade",
        "undo: detect to analyze (rolls back)",
        "accept: failed to completed",
    } <= set(drawn)
    assert "resume · pause: rank to rank" in drawn


def test_svg_of_a_machine_that_can_not_fail_has_no_bar() -> None:
    picture = svg([edge for edge in edges(SIX) if FAILED not in (edge.source, edge.dest)])

    assert 'class="state failed' not in picture
    assert len(links_of(picture)) == 1 + 2 * len(SIX)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_machine_of_a_hundred_phases_is_drawn(name: str) -> None:
    machine = registry([f"Phase {number}" for number in range(100)])

    assert "Phase 99" in FORMATS[name](machine.edges, labels_of(machine), None)


def test_svg_lights_the_current_state_and_ticks_the_ones_before_it() -> None:
    root = ET.fromstring(svg(edges(SIX), position=Position("analyze")))

    looks = [
        group.get("class", "") for group in root.iter(f"{SVG}g") if group.get("class", "").startswith("state")
    ]

    assert looks == [
        "state failed ahead",
        "state done",
        "state done",
        "state here",
        "state ahead",
        "state ahead",
        "state ahead",
        "state completed ahead",
    ]


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, WCAG 2.2."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        *((ink, "card") for ink in ("ink", "soft", "go", "done", "stop", "back")),
        *(("ink", paper) for paper in ("box", "here", "done-box", "stop-box")),
        *(("soft", paper) for paper in ("box", "here", "done-box", "stop-box")),
        *(("box", paper) for paper in ("go", "done", "stop", "soft")),
        ("stop", "stop-box"),
        ("stop", "box"),
    ],
)
def test_text_has_the_contrast_that_wcag_asks_for(theme: dict[str, str], ink: str, paper: str) -> None:
    lighter, darker = sorted((luminance(theme[ink]), luminance(theme[paper])), reverse=True)

    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("rsvg-convert") is None, reason="rsvg-convert is not installed")
def test_a_second_renderer_draws_the_svg() -> None:
    machine = registry(HOSTILE)

    run = subprocess.run(
        ["rsvg-convert"],
        input=svg(machine.edges, labels_of(machine)).encode(),
        capture_output=True,
        check=False,
    )

    assert run.stdout.startswith(b"\x89PNG")


# Plain text


@given(REGISTRIES, st.data())
def test_ascii_art_names_every_arrow_and_marks_one_state(machine: Registry, data: st.DataObject) -> None:
    position = data.draw(st.sampled_from(positions(machine)))
    picture = ascii_art(machine.edges, labels_of(machine), position)

    assert picture.count("[>]") >= (position is not None)
    assert len(re.findall(r"^      \| advance$", picture, re.MULTILINE)) == len(machine.states)
    assert len(re.findall(r"- - fail, time_out, cancel .* failed$", picture, re.MULTILINE)) == len(
        machine.states
    )
    assert len(re.findall(r"<-- resume -- itself$", picture, re.MULTILINE)) == len(machine.states)


@given(REGISTRIES)
def test_the_frames_of_ascii_art_line_up(machine: Registry) -> None:
    lines = ascii_art(machine.edges, labels_of(machine)).splitlines()

    frames = {line.split("  ")[0] for line in lines if line.startswith("+-")}
    titles = {columns(line[: line.index(" |") + 2]) for line in lines if line.startswith("| ")}

    assert len(frames) == 1
    assert max(titles) <= len(frames.pop())


def test_ascii_art_fits_a_terminal_whatever_the_labels_are() -> None:
    machine = registry(["long " * 100])

    assert max(map(len, ascii_art(machine.edges, labels_of(machine)).splitlines())) <= 100


@given(st.text(max_size=200))
def test_no_label_brings_a_control_character_or_a_line_break(label: str) -> None:
    line = one_line(label)

    assert line.isprintable()
    assert line == one_line(line)


@given(REGISTRIES)
def test_markdown_has_a_row_for_every_state_trigger_and_edge(machine: Registry) -> None:
    text = markdown(machine.edges, labels_of(machine))
    states, triggers, moves = (table.splitlines()[2:] for table in text.split("\n\n"))

    assert len(states) == len(machine.states) + len(TERMINAL)
    assert len(triggers) == len(TRIGGERS) + 1  # resume means two things
    assert len(moves) == len(machine.edges)
    assert {line.count("|") for line in states} == {3}


@given(st.text("ab äß日本", max_size=80).map(one_line), st.integers(4, 20), st.integers(1, 4))
def test_wrapped_lines_fit_and_lose_nothing_but_what_is_cut_off(text: str, width: int, most: int) -> None:
    lines = wrap(text, width, most)

    assert len(lines) <= most
    assert all(columns(line) <= width for line in lines)
    assert text.replace(" ", "").startswith("".join(lines).replace(" ", "").removesuffix("…"))
    assert lines == [] or lines[-1].endswith("…") or "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(st.text(max_size=40).map(one_line), st.integers(3, 20))
def test_a_shortened_text_fits(text: str, width: int) -> None:
    assert columns(shorten(text, width)) <= width


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_pictures_are_the_same_each_time(name: str) -> None:
    draw = FORMATS[name]

    assert draw(edges(SIX), None, Position("analyze")) == draw(edges(SIX), None, Position("analyze"))
