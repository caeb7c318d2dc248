"""Spans of histories: laws that hold for each history that the one table allows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api.spans import Span, spans
from statemachine.clock import stamp
from statemachine.store import Event, Run
from statemachine.table import FAILED, INITIAL, TERMINAL, edges

PHASES = ("first", "second", "third")
MIDNIGHT = datetime(2025, 3, 12, tzinfo=UTC)
CODES = {"fail": "error", "time_out": "timeout", "cancel": "cancelled"}


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Walk along the table's edges, with refused steps in between."""
    state, last, attempt, at = INITIAL, "", 1, MIDNIGHT
    events: list[Event] = []
    for seq in range(1, draw(st.integers(2, 20))):
        legal = [
            edge
            for edge in edges(PHASES)
            if edge.source == state and not (edge.only_where_it_failed and edge.dest != last)
        ]
        if not legal:
            break
        edge = draw(st.sampled_from(legal))
        refused = state != INITIAL and draw(st.integers(0, 5)) == 0
        at += timedelta(milliseconds=draw(st.integers(-5, 5_000)))
        died = edge.trigger == "resume" and edge.source == edge.dest
        attempt = attempt + 1 if died else 1
        detail: dict[str, Any] | None = {"owner_died": True} if died else None
        dest = state if refused else edge.dest
        events.append(
            Event(
                seq=seq * 3,
                run_id=7,
                at=stamp(at),
                trigger=edge.trigger,
                source=state,
                dest=dest,
                phase=PHASES.index(dest) + 1 if dest in PHASES else 1,
                attempt=attempt,
                detail={"refused": "no"} if refused else detail,
            )
        )
        if not refused:
            last = state if edge.dest == FAILED else last
            state = edge.dest
    return events


def told(events: list[Event]) -> list[Span]:
    """Return the spans of a history, with the row that belongs to it."""
    taken = [event for event in events if not (event.detail or {}).get("refused")]
    run: Any = Run(
        id=7, status="running", state=taken[-1].dest, current_phase=1, phase_label="First",
        progress_current=1, progress_total=3, params={}, started_at=taken[0].at, updated_at=taken[-1].at,
        error_code=CODES.get(taken[-1].trigger), registry="abc",
    )  # fmt: skip
    return list(spans(run, events, "2025-03-12T00:00:00.000Z"))


@given(histories())
def test_what_was_told_of_a_run_is_never_told_differently_later(events: list[Event]) -> None:
    whole = told(events)

    for length in range(1, len(events)):
        early = told(events[:length])
        assert early == whole[: len(early)]
        assert all(span.seq <= events[length - 1].seq for span in early)


@given(histories())
def test_a_run_is_one_trace_whose_spans_have_ids_of_their_own(events: list[Event]) -> None:
    whole = told(events)

    assert len({span.span_id for span in whole}) == len(whole)
    assert len({span.trace_id for span in told(events)}) <= 1
    assert all(0 < span.span_id < 2**64 and 0 < span.trace_id < 2**128 for span in whole)


@given(histories())
def test_each_entered_phase_that_was_left_is_a_span_and_so_is_each_end_of_the_run(
    events: list[Event],
) -> None:
    taken = [event for event in events if not (event.detail or {}).get("refused")]
    whole = told(events)
    attempts = [span for span in whole if span.name != "run"]

    assert [span.name for span in attempts] == [
        event.dest for event in taken[:-1] if event.dest not in TERMINAL
    ]
    assert [span.attributes["phaseline.phase.attempt"] for span in attempts] == [
        event.attempt for event in taken[:-1] if event.dest not in TERMINAL
    ]
    assert len(whole) - len(attempts) == sum(event.dest in TERMINAL for event in taken)
    assert all(span.start <= span.end for span in whole)
    for span in attempts:
        assert span.failed == (span.attributes["phaseline.trigger"] != "advance")


@given(histories())
def test_every_span_but_the_first_of_the_run_stands_below_one_of_the_run(events: list[Event]) -> None:
    whole = told(events)
    runs = [span for span in whole if span.name == "run"]
    open_life = {span.parent_id for span in whole} - {span.span_id for span in runs} - {None}

    assert sum(span.parent_id is None for span in runs) == min(1, len(runs))
    assert len(open_life) <= 1, "the present life has not ended yet"


def test_the_same_run_of_another_database_is_another_trace() -> None:
    start = Event(
        seq=1, run_id=7, at=stamp(MIDNIGHT), trigger="start", source="", dest="first", phase=1, attempt=1
    )
    end = Event(
        seq=2, run_id=7, at=stamp(MIDNIGHT), trigger="fail", source="first", dest="failed", phase=1, attempt=1
    )
    run: Any = Run(
        id=7, status="failed", state="failed", current_phase=1, phase_label="First", progress_current=1,
        progress_total=3, params={}, started_at=start.at, updated_at=end.at, registry="abc",
        error_code="interrupted",
    )  # fmt: skip

    here, there = (list(spans(run, [start, end], origin)) for origin in ("a", "b"))

    assert {span.trace_id for span in here} & {span.trace_id for span in there} == set()
    assert {span.attributes["error.type"] for span in here} == {"interrupted"}, "the row knows it exactly"
