"""A list of phases is checked once, and what is wrong is named."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.contract import Phase
from statemachine.errors import RegistryError
from statemachine.registry import Registry, state_name
from statemachine.table import TERMINAL, edges
from tests.statemachine.conftest import MakeRunner, drive

LABELS = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), min_size=1, max_size=20).filter(
    lambda label: label.strip() and label.isprintable()
)
NUMBERS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8, unique=True).map(sorted)


@st.composite
def lists(draw: st.DrawFn) -> list[tuple[int, str, Any]]:
    numbers = draw(NUMBERS)
    labels = draw(
        st.lists(LABELS, min_size=len(numbers), max_size=len(numbers), unique_by=state_name).filter(
            lambda found: TERMINAL.isdisjoint(map(state_name, found))
        )
    )
    return [(number, label, print) for number, label in zip(numbers, labels, strict=True)]


@given(lists())
def test_a_good_list_is_taken_as_it_is(phases: list[tuple[int, str, Any]]) -> None:
    registry = Registry.of(phases)

    assert list(registry.phases) == phases
    assert registry.edges == edges(registry.states)
    for position, (state, phase) in enumerate(zip(registry.states, phases, strict=True), start=1):
        assert registry.positions[state] == position
        assert registry.phase_of(state) == phase
        assert registry.state_of(phase[0]) == state == state_name(phase[1])


@given(lists(), lists())
def test_the_fingerprint_stands_for_numbers_and_labels_and_nothing_else(
    one: list[tuple[int, str, Any]], two: list[tuple[int, str, Any]]
) -> None:
    same = Registry.of([(number, label, repr) for number, label, _ in one])

    assert same.fingerprint == Registry.of(one).fingerprint
    assert (Registry.of(two).fingerprint == same.fingerprint) == (one == two)


@given(LABELS)
def test_a_state_has_no_character_that_is_no_word(label: str) -> None:
    state = state_name(label)

    assert all(char == "_" or char.isalnum() for char in state)
    assert "__" not in state or "__" in label


@pytest.mark.parametrize(
    ("label", "state"),
    [
        ("Fetching Reddit", "fetching_reddit"),
        ("  Buy & sell -- now!", "_buy_sell_now_"),
        ("Prüfung", "prüfung"),
        ("A_B", "a_b"),
        ("%%%", "_"),
    ],
)
def test_a_state_is_its_phases_label(label: str, state: str) -> None:
    assert state_name(label) == state


def test_a_named_tuple_and_a_generator_are_welcome() -> None:
    registry = Registry.of(Phase(number, f"Phase {number}", print) for number in (1, 2))

    assert registry.states == ("phase_1", "phase_2")


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ([], "the list of phases is empty"),
        (7, "must be a list of .number, label, callable., not int"),
        ("phases", "not str"),
        (b"phases", "not bytes"),
        (None, "not NoneType"),
        ([[1, "One", print]], r"entry 1 of the phases, \[1, 'One'.* is not a tuple"),
        ([(1, "One")], "entry 1 .* is not a tuple"),
        ([(1, "One", print, 4)], "entry 1 .* is not a tuple"),
        ([7], "entry 1 of the phases, 7, is not a tuple"),
        ([("1", "One", print)], "has the number '1'; it must be a whole number"),
        ([(1.0, "One", print)], "has the number 1.0"),
        ([(True, "One", print)], "has the number True"),
        ([(2**63, "One", print)], "must be a whole number"),
        ([(1, "One", print), (1, "Two", print)], r"entry 2 .* must be greater than 1 before it"),
        ([(5, "One", print), (4, "Two", print)], r"entry 2 .* has the number 4; it must be greater than 5"),
        ([(1, "", print)], "has the label ''; it must be a line of text"),
        ([(1, "  ", print)], "it must be a line of text"),
        ([(1, "One\nTwo", print)], "it must be a line of text"),
        ([(1, None, print)], "has the label None"),
        ([(1, "One", print), (2, "One", print)], "entry 2 .* repeats the label 'One'"),
        ([(1, "One", print), (2, "one!", print)], None),
        ([(1, "One", print), (2, "ONE", print)], "has the state 'one', which is taken; choose another label"),
        ([(1, "Completed", print)], "has the state 'completed', which is taken"),
        ([(1, "FAILED", print)], "has the state 'failed', which is taken"),
        ([(1, "One", 7)], "entry 1 .* has no callable, but int"),
        ([(1, "One", None)], "has no callable, but NoneType"),
    ],
)
def test_a_bad_list_is_refused_with_the_entry_and_the_reason(phases: Any, message: str | None) -> None:
    if message is None:
        Registry.of(phases)
        return
    with pytest.raises(RegistryError, match=message):
        Registry.of(phases)


def test_a_long_entry_is_cut_short_in_the_message() -> None:
    with pytest.raises(RegistryError) as caught:
        Registry.of([(1, "One", "x" * 10_000)])

    assert len(str(caught.value)) < 200


@dataclass
class Counter:
    """A callable without a hash."""

    calls: int = 0

    def __call__(self, _conn: Any, _ctx: Any) -> None:
        self.calls += 1


def test_any_callable_is_a_phase(make_runner: MakeRunner, db: Path) -> None:
    counter = Counter()
    calls: list[str] = []
    runner = make_runner(
        counter, functools.partial(lambda name, _conn, _ctx: calls.append(name), "partial"), counter.__call__
    )
    runner.create({})

    assert drive(runner).status == "completed"
    assert (counter.calls, calls) == (2, ["partial"])
