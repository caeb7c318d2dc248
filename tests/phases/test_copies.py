"""Copied texts: laws of the sketch, then what a paste by many accounts comes to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phases.copies import LEAST_WORDS, first_of_each, sketch

words = st.sampled_from(["shorts", "cover", "friday", "float", "locked", "nobody", "sells", "price", "now"])
long_texts = st.lists(words, min_size=LEAST_WORDS, max_size=60).map(" ".join)

PASTED = (
    "Everybody should look at this tiny company before Friday, the float is locked, insiders bought all month"
    " and the shorts have no way out of it"
)


@given(st.text())
def test_any_text_has_a_sketch_of_five_numbers_or_none(text: str) -> None:
    made = sketch(text)

    assert made is None or [len(number) for number in made.split()] == [8] * 5
    assert made == sketch(text)


@given(long_texts, st.sampled_from([str.upper, str.title, lambda text: text.replace(" ", " 7 🚀, ")]))
def test_capitals_figures_marks_and_emoji_make_no_new_text(text: str, change: object) -> None:
    assert callable(change)
    assert sketch(change(text)) == sketch(text) is not None


@given(st.lists(words, max_size=LEAST_WORDS - 1).map(" ".join))
def test_a_short_text_is_nobody_s_copy(text: str) -> None:
    assert sketch(text) is None
    assert first_of_each([sketch(text), sketch(text)]) == [0, 1]


@given(st.lists(st.none() | st.lists(st.sampled_from("abcd"), min_size=5, max_size=5).map(" ".join)))
def test_the_first_of_each_is_itself_and_comes_before(sketches: list[str | None]) -> None:
    firsts = first_of_each(sketches)

    assert all(first <= index and firsts[first] == first for index, first in enumerate(firsts))


@pytest.mark.parametrize(
    "changed",
    [
        PASTED.lower() + "!!!",
        PASTED.replace("tiny", "small"),
        f"{PASTED} https://example.org/ref=1",
        PASTED.replace("Friday", "Monday"),
    ],
)
def test_a_paste_with_a_word_changed_is_still_a_copy(changed: str) -> None:
    assert first_of_each([sketch(PASTED), sketch(changed)]) == [0, 0]


def test_two_people_of_one_opinion_are_no_copies() -> None:
    another = (
        "I think the company is small but the shorts have to cover at some point, so I bought all I could"
        " before the float is locked"
    )

    assert first_of_each([sketch(PASTED), sketch(another)]) == [0, 1]
