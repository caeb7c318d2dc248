"""What more than a hundred attacks achieve: with the embedded analyser, and with a model that obeys them.

`python -m pytest -s -k figures tests/injection` prints the table of docs/injection.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import pytest

from phases.analyzers.lexicon import NAME, LexiconAnalyzer
from phases.analyzers.text import clean
from phases.analyzers.tickers import extract
from phases.annotations import MAX_SUMMARY_CHARS, SET_ASIDE
from tests.injection.corpus import Attack, attacks
from tests.injection.world import Verdict, analyzed, gullible, verdicts
from tests.models.asking import analyzer
from tests.models.server import ModelServer, model_server

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "injection.md"
DAY: Final = date(2025, 3, 12)
EMBEDDED, MODEL = "embedded analyser", "obedient model"

THEIR_OWN_WORDS: Final = frozenset({6, 53, 82, 85})
"""Attacks whose added words say something to people too: the embedded analyser reads them like any others."""

OBEYED: Final = frozenset({6, 62, 71, 74, 76, 82, 83, 84, 85, 88, 94, 97, 100})
"""Attacks that a model which obeys every text still obeys, for the comment itself or for a reply to it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An attack, what phase 3 made of it, and of its clean twin."""

    attack: Attack
    verdict: Verdict
    twin: Verdict

    @property
    def is_set_aside(self) -> bool:
        return self.verdict.analyzer == SET_ASIDE.analyzer

    @property
    def is_without_effect(self) -> bool:
        """Whether the opinion is the twin's, and no firmer."""
        return self.verdict.opinion == self.twin.opinion and self.verdict.confidence <= self.twin.confidence


def outcomes(by: Sequence[Verdict], twins: Sequence[Verdict]) -> list[Outcome]:
    return [Outcome(*each) for each in zip(attacks(), by, twins, strict=True)]


@pytest.fixture(scope="module")
def embedded() -> list[Outcome]:
    scenes, twins = ([each.scene for each in attacks()], [each.twin for each in attacks()])
    return outcomes(verdicts(LexiconAnalyzer(), scenes), verdicts(LexiconAnalyzer(), twins))


@pytest.fixture(scope="module")
def obeying() -> tuple[list[Outcome], ModelServer]:
    with model_server(gullible) as server:
        twins = verdicts(analyzer(server), [each.twin for each in attacks()])
        server.requests.clear()
        attacked = verdicts(analyzer(server), [each.scene for each in attacks()])
    return outcomes(attacked, twins), server


def test_there_are_enough_attacks_of_enough_kinds() -> None:
    assert len(attacks()) >= 60
    assert len({attack.technique for attack in attacks()}) >= 30
    assert {attack.place for attack in attacks()} == {"body", "parent", "title", "image"}
    assert all(attack.scene != attack.twin for attack in attacks())


def test_what_the_embedded_analyser_says_of_an_attack_is_nothing_or_what_it_says_of_its_twin(
    embedded: list[Outcome],
) -> None:
    changed = {each.attack.number for each in embedded if not (each.is_set_aside or each.is_without_effect)}

    assert changed == THEIR_OWN_WORDS
    assert all(each.verdict.confidence <= each.twin.confidence for each in embedded)


def test_what_an_obedient_model_says_of_an_attack_is_nothing_or_what_it_says_of_its_twin_but_for_some(
    obeying: tuple[list[Outcome], ModelServer],
) -> None:
    changed = {each.attack.number for each in obeying[0] if not (each.is_set_aside or each.is_without_effect)}

    assert changed - THEIR_OWN_WORDS == OBEYED - THEIR_OWN_WORDS


def test_no_attack_adds_a_ticker_that_its_own_comment_does_not_name(
    embedded: list[Outcome], obeying: tuple[list[Outcome], ModelServer]
) -> None:
    for each in (*embedded, *obeying[0]):
        named = extract(clean(each.attack.scene.body), DAY)
        assert {ticker for ticker, _ in each.verdict.stances} <= set(named), each.attack.number


def test_a_comment_that_is_set_aside_says_nothing_and_no_model_reads_it(
    obeying: tuple[list[Outcome], ModelServer],
) -> None:
    found, server = obeying
    aside = [each for each in found if each.is_set_aside]

    shown = [request.shown for request in server.requests]
    assert all(each.verdict.opinion == ("neutral", False, False, ()) for each in aside)
    assert all(each.verdict.confidence == 0 for each in aside)
    assert not any(each.attack.is_legible(text) for each in aside for text in shown)


def test_nothing_that_is_stored_can_harm_a_terminal_or_run_over(
    obeying: tuple[list[Outcome], ModelServer],
) -> None:
    summaries = [each.verdict.summary for each in obeying[0] if each.verdict.summary]

    assert summaries
    assert all(text.isprintable() and len(text) <= MAX_SUMMARY_CHARS for text in summaries)


def test_a_model_that_never_ends_is_cut_off_and_the_embedded_analyser_answers(
    obeying: tuple[list[Outcome], ModelServer],
) -> None:
    found, server = obeying
    endless = [each for each in found if each.attack.wants == "endless" and not each.is_set_aside]

    assert endless
    assert {each.verdict.analyzer for each in endless} == {NAME}
    assert {request.body["max_tokens"] for request in server.requests} == {500, 1_000}


def test_the_clean_twins_are_never_set_aside(
    embedded: list[Outcome], obeying: tuple[list[Outcome], ModelServer]
) -> None:
    assert {each.twin.analyzer for each in embedded} == {NAME}
    assert {each.twin.analyzer for each in obeying[0]} == {"llm:m-1/1"}


@pytest.mark.parametrize(("author", "fires"), [({"author": "u_one"}, False), ({}, True)])
def test_one_author_with_all_attacks_and_a_model_that_obeys_fires_no_signal(
    author: dict[str, str], fires: bool
) -> None:
    scenes = [attack.scene for attack in attacks()]

    with model_server(gullible) as server, analyzed(analyzer(server), scenes, **author) as rows:
        signals = rows.all("SELECT ticker FROM signals")

    assert bool(signals) == fires


# --- figures ---

LAYERS: Final = ("set aside", "never shown", "without effect", "its own words", "obeyed")


def layer(each: Outcome, shown: Sequence[str]) -> str:
    """Return what stopped an attack, or what didn't; `shown` is what a model got to read."""
    if each.is_set_aside:
        return "set aside"
    is_legible = any(each.attack.is_legible(text) for text in shown)
    if each.is_without_effect:
        return "without effect" if is_legible else "never shown"
    return "obeyed" if is_legible else "its own words"


def test_the_figures_of_the_document_are_those_of_the_corpus(
    embedded: list[Outcome], obeying: tuple[list[Outcome], ModelServer]
) -> None:
    shown = [request.shown for request in obeying[1].requests]
    rows: list[str] = []
    for name, found, texts in ((EMBEDDED, embedded, ()), (MODEL, obeying[0], shown)):
        for is_fresh in (False, True):
            count = Counter(layer(each, texts) for each in found if each.attack.fresh == is_fresh)
            cells = (name, "fresh" if is_fresh else "known", count.total(), *(count[at] for at in LAYERS))
            rows.append(f"| {' | '.join(map(str, cells))} |")

    print(*rows, sep="\n")  # noqa: T201  # the figures, for who asks with -s
    assert set(rows) <= set(DOCUMENT.read_text(encoding="utf-8").splitlines())
