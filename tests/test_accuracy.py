"""How accuracy is measured: nothing judged was learned from, and figures are what their names say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.accuracy.__main__ import filled
from benchmarks.accuracy.folds import FOLDS, folds_of, held_out
from benchmarks.accuracy.scores import calibration_error, sentiment_figures, ticker_figures
from phases.analyzers.opinion import model
from tools.train_stance import WEIGHTS, written

LABELS = st.sampled_from(["bearish", "bullish", "neutral"])
PASTED = (
    "everybody look at this tiny company before friday the float is locked and the shorts have no way out"
)


@given(st.lists(st.text(max_size=30), max_size=40))
def test_the_fold_of_a_text_follows_from_the_text(texts: list[str]) -> None:
    folds = folds_of(texts)

    assert folds == [folds_of([text])[0] for text in texts]
    assert all(0 <= fold < FOLDS for fold in folds)


def test_copies_of_a_text_are_in_one_fold() -> None:
    copies = [PASTED, PASTED.upper(), PASTED.replace("tiny", "small"), f"{PASTED} 🚀"]

    assert len(set(folds_of(copies))) == 1


@given(st.lists(st.integers(0, FOLDS - 1), max_size=40))
def test_nothing_is_judged_by_what_learned_from_it(folds: list[int]) -> None:
    items = list(range(len(folds)))

    def learn(fold: int, others: list[int]) -> Callable[[int], bool]:
        assert all(folds[other] != fold for other in others)
        return lambda item: item not in others and len(others) == len(folds) - folds.count(fold)

    assert sorted(held_out(items, folds, learn)) == [(item, True) for item in items]


def test_figures_by_hand() -> None:
    gold = ["bullish", "bullish", "bearish", "neutral"]
    said = ["bullish", "bearish", "bearish", "bullish"]
    figures = {name: figure.value for name, figure in sentiment_figures(gold, said).items()}

    assert figures == {
        "right": 2 / 4,
        "macro F1": pytest.approx((2 / 3 + 2 / 4 + 0) / 3),
        "wrong way": pytest.approx(1 / 4),
        "coverage": 1.0,
    }


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=30))
def test_an_interval_holds_its_figure_and_shares_are_shares(pairs: list[tuple[str, str]]) -> None:
    gold, said = [want for want, _ in pairs], [have for _, have in pairs]

    for figure in sentiment_figures(gold, said).values():
        assert -1e-9 <= figure.low <= figure.high <= 1 + 1e-9
        assert 0 <= figure.value <= 1


def test_tickers_are_compared_document_by_document() -> None:
    figures = ticker_figures([{"GME", "AMC"}, {"BB"}], [{"GME"}, {"GME"}])

    assert {name: figure.value for name, figure in figures.items()} == {
        "precision": pytest.approx(1 / 3),
        "recall": 1 / 2,
        "F1": pytest.approx(2 / 5),
    }


def test_a_promise_kept_has_no_calibration_error_and_a_broken_one_its_gap() -> None:
    assert calibration_error([0.75] * 4, [True, True, True, False]) == pytest.approx(0)
    assert calibration_error([1.0] * 4, [True, True, False, False]) == pytest.approx(0.5)


def test_a_table_without_its_place_in_the_document_is_refused() -> None:
    place = "a <!-- t: begin, written by `make accuracy` -->\nold\n<!-- t: end --> b"

    assert "old" not in filled(place, {"t": "new"})
    assert filled(place, {"t": "new"}).count("new") == 1
    with pytest.raises(ValueError, match="no place for the table other"):
        filled(place, {"other": "new"})


def test_the_weights_are_written_as_they_are_read() -> None:
    assert written(model()) == WEIGHTS.read_text(encoding="utf-8")
