"""Laws of the one table. It can't be its own oracle: these are written from the words that describe it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.table import (
    ADVANCE,
    CANCEL,
    COMPLETED,
    FAIL,
    FAILED,
    INITIAL,
    RESUME,
    START,
    TERMINAL,
    TIME_OUT,
    TRIGGERS,
    Edge,
    allowed,
    edges,
    status_of,
)

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_äß", min_size=1, max_size=12)
PIPELINES = st.lists(NAMES.filter(lambda name: name not in TERMINAL), min_size=1, max_size=30, unique=True)


def from_state(rows: tuple[Edge, ...], state: str, trigger: str) -> list[Edge]:
    return [row for row in rows if row.source == state and row.trigger == trigger]


@given(PIPELINES)
def test_every_phase_has_each_trigger_exactly_once(phases: list[str]) -> None:
    rows = edges(phases)

    for phase in phases:
        found = Counter(row.trigger for row in rows if row.source == phase)
        assert found == Counter([ADVANCE, FAIL, TIME_OUT, CANCEL, RESUME])


@given(PIPELINES)
def test_advance_visits_all_phases_in_order_and_then_completes(phases: list[str]) -> None:
    rows = edges(phases)

    (start,) = from_state(rows, INITIAL, START)
    visited = [start.dest]
    while visited[-1] not in TERMINAL:
        (step,) = from_state(rows, visited[-1], ADVANCE)
        visited.append(step.dest)

    assert visited == [*phases, COMPLETED]


@given(PIPELINES)
def test_exactly_the_edges_into_failed_roll_back(phases: list[str]) -> None:
    assert all(row.rolls_back == (row.dest == FAILED) for row in edges(phases))


@given(PIPELINES)
def test_failing_timing_out_and_cancelling_lead_to_failed_from_every_phase(phases: list[str]) -> None:
    into_failed = {(row.trigger, row.source) for row in edges(phases) if row.dest == FAILED}

    assert into_failed == {(trigger, phase) for trigger in (FAIL, TIME_OUT, CANCEL) for phase in phases}


@given(PIPELINES)
def test_completed_has_no_way_out(phases: list[str]) -> None:
    assert allowed(edges(phases), COMPLETED) == ()


@given(PIPELINES)
def test_no_edge_is_said_twice(phases: list[str]) -> None:
    moves = Counter((row.trigger, row.source, row.dest) for row in edges(phases))

    assert set(moves.values()) == {1}


@given(PIPELINES)
def test_a_failed_run_can_only_be_resumed_and_only_in_the_phase_it_failed_in(phases: list[str]) -> None:
    out_of_failed = [row for row in edges(phases) if row.source == FAILED]

    assert Counter(row.dest for row in out_of_failed) == Counter(phases)
    assert all(row.trigger == RESUME and row.only_where_it_failed for row in out_of_failed)


@given(PIPELINES)
def test_a_condition_is_on_the_ways_out_of_failed_and_nowhere_else(phases: list[str]) -> None:
    assert all(row.only_where_it_failed == (row.source == FAILED) for row in edges(phases))


@given(PIPELINES)
def test_a_phase_that_lost_its_process_is_entered_again_and_no_other(phases: list[str]) -> None:
    resumed = {
        row.source: row.dest for row in edges(phases) if row.trigger == RESUME and row.source != FAILED
    }

    assert resumed == {phase: phase for phase in phases}


@given(PIPELINES)
def test_no_state_and_no_trigger_is_beyond_the_known_ones(phases: list[str]) -> None:
    rows = edges(phases)

    assert {row.source for row in rows} == {INITIAL, FAILED, *phases}
    assert {row.dest for row in rows} == {COMPLETED, FAILED, *phases}
    assert {row.trigger for row in rows} == set(TRIGGERS)


@given(PIPELINES)
def test_from_one_state_a_trigger_without_condition_has_one_destination(phases: list[str]) -> None:
    moves = Counter((row.source, row.trigger) for row in edges(phases) if not row.only_where_it_failed)

    assert set(moves.values()) == {1}


@given(PIPELINES)
def test_every_state_can_be_reached_and_every_phase_can_still_end(phases: list[str]) -> None:
    rows = edges(phases)
    reached = {INITIAL}
    while more := {row.dest for row in rows if row.source in reached} - reached:
        reached |= more

    assert reached == {INITIAL, *phases, COMPLETED, FAILED}


@given(PIPELINES)
def test_the_coarse_status_is_running_in_every_phase_and_the_states_name_at_the_ends(
    phases: list[str],
) -> None:
    assert {status_of(phase) for phase in phases} == {"running"}
    assert [status_of(end) for end in (COMPLETED, FAILED)] == ["completed", "failed"]


@given(PIPELINES)
def test_allowed_names_each_trigger_once_in_table_order(phases: list[str]) -> None:
    rows = edges(phases)

    assert allowed(rows, INITIAL) == (START,)
    assert allowed(rows, FAILED) == (RESUME,)
    assert all(allowed(rows, phase) == (ADVANCE, FAIL, TIME_OUT, CANCEL, RESUME) for phase in phases)
    assert allowed(rows, "nowhere") == ()


def test_the_table_of_two_phases_reads_as_it_is_documented() -> None:
    assert edges(["fetch", "store"]) == (
        Edge("start", "", "fetch"),
        Edge("advance", "fetch", "store"),
        Edge("advance", "store", "completed"),
        Edge("fail", "fetch", "failed", rolls_back=True),
        Edge("time_out", "fetch", "failed", rolls_back=True),
        Edge("cancel", "fetch", "failed", rolls_back=True),
        Edge("resume", "fetch", "fetch"),
        Edge("resume", "failed", "fetch", only_where_it_failed=True),
        Edge("fail", "store", "failed", rolls_back=True),
        Edge("time_out", "store", "failed", rolls_back=True),
        Edge("cancel", "store", "failed", rolls_back=True),
        Edge("resume", "store", "store"),
        Edge("resume", "failed", "store", only_where_it_failed=True),
    )


def test_an_edge_can_not_be_changed() -> None:
    (row, *_) = edges(["fetch"])

    with pytest.raises(AttributeError):
        row.dest = COMPLETED  # type: ignore[misc]  # the point of the test
