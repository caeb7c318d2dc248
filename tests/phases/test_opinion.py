"""The trained part of the embedded analyser: its laws, its weights, and a floor on texts of our own."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phases.analyzers import annotate_text
from phases.analyzers.features import measures, words
from phases.analyzers.opinion import INTERCEPT, WEIGHTS_FILE, Logits, Model, Opinion, model
from phases.analyzers.reading import read
from phases.analyzers.text import clean
from phases.analyzers.tickers import mentions
from phases.analyzers.tokens import tokenize
from phases.analyzers.universe import vocabulary

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "phases" / "analyzers" / WEIGHTS_FILE
COMMENTS = [
    json.loads(line) for line in Path(__file__).with_name("comments.ndjson").read_text("utf-8").splitlines()
]

wordy = st.lists(
    st.sampled_from("buy sell calls puts not never GME $AMC the moon red up down ? ! , . 50c 🚀".split()),  # noqa: SIM905 - reads as a text
    max_size=30,
).map(" ".join)
texts = st.text(max_size=200) | wordy
logits = st.builds(Logits, st.floats(-20, 20), st.floats(-20, 20))


def opinion_of(text: str) -> Opinion:
    reading = read(text)
    return model().opinion(measures(reading, reading.cues), words(reading))


# --- laws ---


@given(texts)
def test_the_probabilities_of_a_text_add_up_to_one(text: str) -> None:
    opinion = opinion_of(text)

    assert opinion.bearish + opinion.bullish + opinion.neutral == pytest.approx(1)
    assert min(opinion.bearish, opinion.bullish, opinion.neutral) >= 0


@given(logits)
def test_the_sentiment_is_the_most_probable_one(intercept: Logits) -> None:
    opinion = Model(intercept=intercept, measures={}, words={}).opinion({}, frozenset())

    if opinion.bearish != opinion.bullish:  # an even choice is neutral
        most = max(opinion.bearish, opinion.bullish, opinion.neutral)
        assert opinion.probability(opinion.sentiment) == most


def test_weights_too_large_for_an_exponential_still_give_probabilities() -> None:
    opinion = Model(intercept=Logits(5_000.0, -5_000.0), measures={}, words={}).opinion({}, frozenset())

    assert (opinion.bearish, opinion.bullish, opinion.neutral) == (1, 0, 0)


@given(texts)
def test_the_compatibility_form_of_a_text_reads_the_same(text: str) -> None:
    said = annotate_text(text)

    if clean(unicodedata.normalize("NFKC", text)) == clean(text):  # an escape may be spelled by the form
        assert annotate_text(unicodedata.normalize("NFKC", text)) == said


@given(wordy)
def test_full_width_letters_read_as_plain_ones(text: str) -> None:
    wide = re.sub("[0-9A-Za-z]", lambda letter: chr(ord(letter[0]) + 0xFEE0), text)

    assert annotate_text(wide) == annotate_text(text)


@given(wordy)
def test_every_ticker_stands_in_the_text_and_is_a_symbol_or_a_cashtag_or_traded(text: str) -> None:
    known = vocabulary().classes
    found = {one.symbol: one for one in mentions(tokenize(clean(text)), chars=len(clean(text)))}

    for stance in annotate_text(text).tickers:
        assert stance.ticker.lower() in text.lower()
        assert stance.ticker in known or found[stance.ticker].reason in {"cashtag", "cue"}


@pytest.mark.parametrize(
    "phrase", ["bullish on this", "buying more", "a good buy", "going up", "undervalued", "bearish here"]
)
def test_a_negation_flips_an_opinion_or_silences_it(phrase: str) -> None:
    said, denied = (annotate_text(text).sentiment for text in (phrase, f"not {phrase}"))

    assert said != "neutral"
    assert denied != said


@given(texts, texts)
def test_what_stands_in_another_comment_changes_nothing(text: str, other: str) -> None:
    before = annotate_text(text)
    annotate_text(other)

    assert annotate_text(text) == before


@given(st.sampled_from(COMMENTS), st.sampled_from(["@guru", "https://example.org/buy", "u/bull_of_the_day"]))
def test_names_and_addresses_are_no_words(comment: dict[str, Any], name: str) -> None:
    text = comment["text"]

    assert words(read(f"{text} {name}")) <= words(read(text))


# --- the weights ---


def test_the_weights_are_the_ones_whose_figures_are_published() -> None:
    page = (ROOT / "docs" / "accuracy.md").read_text("utf-8")

    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() in page


def test_the_weights_are_small_and_name_each_feature_once() -> None:
    rows = [line.split("\t")[:2] for line in WEIGHTS.read_text("utf-8").splitlines() if line[0] != "#"]

    assert WEIGHTS.stat().st_size < 100_000
    assert len({tuple(row) for row in rows}) == len(rows)


def test_every_measure_of_a_text_has_its_weight() -> None:
    reading = read("GME calls?")

    assert set(measures(reading, reading.cues)) == set(model().measures)
    assert INTERCEPT not in model().measures


def test_no_weight_holds_more_than_two_words_a_figure_an_address_or_a_name() -> None:
    for word in model().words:
        assert len(word.split(" ")) <= 2
        assert not re.search(r"\b\d|https?|www|@|/", word)


def test_reading_a_comment_loads_nothing_heavy() -> None:
    script = (
        "import sys; from phases.analyzers import annotate_text; annotate_text('GME calls');"
        "print({'numpy', 'sklearn', 'pandas', 'socket', 'vaderSentiment'} & set(sys.modules))"
    )

    said = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, text=True
    )

    assert said.stdout == "set()\n"


# --- texts of our own ---


def test_our_own_comments_are_many_and_each_is_there_once() -> None:
    assert len({comment["text"] for comment in COMMENTS}) == len(COMMENTS) >= 60


def test_of_our_own_comments_most_are_read_rightly_and_few_the_wrong_way() -> None:
    pairs = [(comment["sentiment"], annotate_text(comment["text"]).sentiment) for comment in COMMENTS]
    opinions = [(want, have) for want, have in pairs if have != "neutral"]

    assert sum(want == have for want, have in pairs) / len(pairs) >= 0.65
    assert sum(want not in {have, "neutral"} for want, have in opinions) / len(opinions) <= 0.2


def test_of_our_own_comments_nearly_all_tickers_are_found_with_most_stances_right() -> None:
    wanted = [(number, *stance) for number, one in enumerate(COMMENTS) for stance in one["tickers"].items()]
    said = [
        (number, one.ticker, one.sentiment)
        for number, comment in enumerate(COMMENTS)
        for one in annotate_text(comment["text"]).tickers
    ]
    places = {place[:2] for place in wanted} & {place[:2] for place in said}

    assert len(places) / len({place[:2] for place in wanted}) >= 0.9
    assert len(places) / len({place[:2] for place in said}) >= 0.9
    assert len(set(wanted) & set(said)) / len(places) >= 0.65
