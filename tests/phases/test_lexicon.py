"""The embedded analyser: laws over any excerpt, then what traders mean by what they say."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phases.analyzers import annotate_text
from phases.analyzers.features import measures, words
from phases.analyzers.lexicon import NAME, LexiconAnalyzer, annotate
from phases.analyzers.opinion import model
from phases.analyzers.phrases import lexicon
from phases.analyzers.reading import read
from phases.analyzers.reasoning import MAX_SUMMARY_CHARS
from phases.analyzers.stance import REPEATS, weigh
from phases.analyzers.text import clean
from phases.analyzers.tokens import tokenize
from phases.analyzers.universe import data_lines
from phases.tools import Annotation, Excerpt, Sentiment
from tests.desks import bare_desk

ROOT = Path(__file__).parents[2]
LABELS = ROOT.parent / "shared" / "data" / "labels"

DIRECTIONS = [
    phrase.strip()
    for section, line in data_lines("lexicon.txt")
    if section == "direction"
    for phrase in line.split(": ", 1)[1].split(", ")
    if "~" not in phrase
]
any_text = st.text(alphabet=st.characters(exclude_categories=()), max_size=300)
talk = st.lists(
    st.sampled_from(
        [
            *DIRECTIONS,
            "$GME",
            "AMC",
            "not",
            "very",
            "maybe",
            "but",
            ".",
            "?",
            "!",
            ",",
            "because",
            "50%",
            "P/E",
        ]
    ),
    max_size=30,
).map(" ".join)
excerpts = st.builds(
    Excerpt,
    body=any_text | talk,
    post_title=talk,
    image_description=st.none() | talk,
    parents=st.lists(talk, max_size=3).map(tuple),
    author_trust=st.floats(0, 1),
)


def stances(text: str) -> dict[str, Sentiment]:
    return {stance.ticker: stance.sentiment for stance in annotate_text(text).tickers}


def sentiment(text: str) -> Sentiment:
    return annotate_text(text).sentiment


# --- laws ---


@given(excerpts)
def test_any_excerpt_gets_a_well_formed_annotation(excerpt: Excerpt) -> None:
    annotation = annotate(excerpt)
    names = [stance.ticker for stance in annotation.tickers]

    assert annotation.sentiment in {"bullish", "bearish", "neutral"}
    assert {stance.sentiment for stance in annotation.tickers} <= {"bullish", "bearish", "neutral"}
    assert len(names) == len(set(names))
    assert 0 <= annotation.confidence <= 1
    assert annotation.analyzer == NAME


@given(excerpts)
def test_the_same_excerpt_always_gets_the_same_annotation(excerpt: Excerpt) -> None:
    first = annotate(excerpt)
    annotate(Excerpt(body="$AMC puts are printing", author_trust=1.0))

    assert annotate(excerpt) == first


@given(excerpts)
def test_where_a_comment_stands_touches_nothing_but_the_confidence(excerpt: Excerpt) -> None:
    alone = annotate(Excerpt(body=excerpt.body))

    assert replace(annotate(excerpt), confidence=0.0) == replace(alone, confidence=0.0)


@given(excerpts)
def test_a_summary_is_a_short_line_of_the_comment_s_own_words(excerpt: Excerpt) -> None:
    annotation = annotate(excerpt)

    if annotation.reasoning_summary is None:
        assert not annotation.has_reasoning
    else:
        own_words = " ".join(clean(excerpt.body).split())
        assert annotation.has_reasoning
        assert len(annotation.reasoning_summary) <= MAX_SUMMARY_CHARS
        assert annotation.reasoning_summary.rstrip(" …") in own_words


@given(excerpts)
def test_what_crosses_to_a_worker_and_back_is_unchanged(excerpt: Excerpt) -> None:
    there: Callable[[Excerpt], Annotation]
    there, sent = pickle.loads(pickle.dumps((annotate, excerpt)))

    assert pickle.loads(pickle.dumps(there(sent))) == annotate(excerpt)


@given(talk, st.sampled_from(["retard", "retarded", "autist", "autistic", "regard", "degenerate"]))
def test_slurs_that_the_forum_uses_of_itself_say_nothing(text: str, slur: str) -> None:
    assert sentiment(f"{text} . {slur}") == sentiment(text)


@given(st.sampled_from(["calls", "50c", "shares to the moon", "looks undervalued"]), st.integers(1, 40))
def test_shouting_it_again_never_changes_the_direction(words: str, times: int) -> None:
    assert sentiment(f"GME {words} " * times) == sentiment(f"GME {words}") == "bullish"


def test_a_phrase_counts_less_each_time_and_not_at_all_in_the_end() -> None:
    tokens = tokenize("moon " * 50)
    values = [cue.value for cue in weigh(tokens, list(lexicon().matches(tokens)), [])]

    assert values == sorted(values, reverse=True)
    assert len(values) == REPEATS


@given(st.sampled_from(["calls", "leaps", "shares"]), st.sampled_from(["puts"]))
def test_two_tickers_keep_their_own_stances_in_either_order(good: str, bad: str) -> None:
    assert stances(f"GME {good}, AMC {bad}") == {"GME": stances(f"GME {good}")["GME"], "AMC": "bearish"}
    assert stances(f"AMC {bad}, GME {good}") == {"AMC": "bearish", "GME": stances(f"GME {good}")["GME"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit", ["moon ", "🚀", "$AB moon ", "GME not bullish but short ", "because 50% ", "? "]
)
def test_time_grows_with_the_text_and_not_with_its_square(unit: str) -> None:
    def took(chars: int) -> float:
        text = unit * (chars // len(unit))
        return min(cpu_seconds(lambda: annotate_text(text)) for _ in range(3))

    assert took(8_000) < 10 * max(took(2_000), 1e-4)  # four times the text; its square would be sixteen


def cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


@pytest.mark.slow
def test_another_process_with_another_hash_seed_says_the_same() -> None:
    text = (
        "NVDA calls, AMC puts, GME 🚀, because revenue grew 40% and P/E fell from 80 to 35, price target $950"
    )
    script = f"from phases.analyzers import annotate_text; print(repr(annotate_text({text!r})))"
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert said == {repr(annotate_text(text)) + "\n"}


# --- the lexicon file ---


def test_a_phrase_has_one_score() -> None:
    scores: dict[tuple[str, ...], set[float]] = {}
    for first, phrases in lexicon().by_first.items():
        for phrase in phrases:
            if phrase.role == "direction":
                scores.setdefault((first, *phrase.rest), set()).add(phrase.score)

    assert {words: found for words, found in scores.items() if len(found) > 1} == {}


def test_every_phrase_of_the_lexicon_is_found_where_it_is_said() -> None:
    for section, line in data_lines("lexicon.txt"):
        phrases = line.split(": ", 1)[1] if section == "direction" else line
        for phrase in phrases.split(", "):
            tokens = tokenize(phrase.rstrip("~"))
            found = {(match.role, match.first, match.last) for match in lexicon().matches(tokens)}

            assert (section, 0, len(tokens) - 1) in found, phrase


# --- what traders mean ---


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("$GME to the moon 🚀🚀🚀", "bullish"),
        ("loading up on TSLA calls before earnings", "bullish"),
        ("bought puts on TSLA, this is going to zero", "bearish"),
        ("my puts are printing", "bearish"),
        ("sold puts on AAPL", "bullish"),
        ("short squeeze incoming on KOSS", "bullish"),
        ("going short here, this is overvalued", "bearish"),
        ("buy the dip", "bullish"),
        ("AMD 120c", "bullish"),
        ("SPY 350p", "bearish"),
        ("SNAP -12% after hours", "bearish"),
        ("bears r fuk", "bullish"),
        ("🌈🐻 everywhere, sell everything", "bearish"),
        ("💎🙌 hold the line", "bullish"),
        ("lost everything on this scam, bankrupt by friday", "bearish"),
        ("not bullish at all", "bearish"),
        ("the chart looks terrible but I'm buying more", "bullish"),
        ("great company but it is overvalued and will crash", "bearish"),
        ("I'm retarded but I like the stock", "bullish"),
        ("what does IV crush mean? noob question, can someone explain", "neutral"),
        ("strong buy but overvalued", "bearish"),
        ("overvalued but a strong buy", "bullish"),
        ("it will go up", "bullish"),
        ("will it go up?", "neutral"),
        ("should I sell or hold?", "neutral"),
        ("calls or puts?", "neutral"),
        ("put it in the fridge and call me", "neutral"),
        ("in the short term, as long as I can", "neutral"),
        ("what time does the market open", "neutral"),
        ("", "neutral"),
    ],
)
def test_a_comment_leans_the_way_a_trader_would_read_it(text: str, meant: Sentiment) -> None:
    assert sentiment(text) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Loading up on $GME calls 🚀, selling my AMC", {"GME": "bullish", "AMC": "bearish"}),
        ("Short NKLA, long TSLA", {"NKLA": "bearish", "TSLA": "bullish"}),
        ("Sold AMC, bought GME", {"AMC": "bearish", "GME": "bullish"}),
        ("Sold AMC bought GME", {"AMC": "bearish", "GME": "bullish"}),
        ("GME calls AMC puts", {"GME": "bullish", "AMC": "bearish"}),
        ("GME calls and AMC puts", {"GME": "bullish", "AMC": "bearish"}),
        ("MSFT is up 3% and AAPL is down 4%", {"MSFT": "bullish", "AAPL": "bearish"}),
        ("GME, AMC and BB to the moon", {"GME": "bullish", "AMC": "bullish", "BB": "bullish"}),
        ("NIO is a bubble. XPEV too. Bought puts.", {"NIO": "bearish", "XPEV": "bearish"}),
        ("the mouse is undervalued", {"DIS": "bullish"}),
        ("anyone watching PLTR?", {"PLTR": "neutral"}),
        ("BTC to the moon", {"BTC": "bullish"}),
        ("Cramer said buy COIN", {"COIN": "bearish"}),
    ],
)
def test_each_ticker_gets_the_stance_of_its_own_clause(text: str, meant: dict[str, Sentiment]) -> None:
    assert stances(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "literally can't go tits up, all in on SPY weeklies",
        "inverse Cramer and you will be rich",
        "great earnings, stock down 20% /s",
        "what could go wrong with 0DTE calls",
        "trust me bro 🤡",
    ],
)
def test_sarcasm_is_noticed_and_lowers_the_confidence(text: str) -> None:
    annotation = annotate_text(text)

    assert annotation.sarcasm_detected
    assert annotation.confidence <= 0.5


ARGUMENT = (
    "NVDA is overvalued because the P/E is 120 while revenue growth slows to 20%. Margins fall from 75% to"
    " 60% since supply catches up with demand, and guidance for the next quarter was cut. I bought puts."
)


def test_an_argument_is_recognised_and_quoted() -> None:
    annotation = annotate_text(ARGUMENT)

    assert annotation.has_reasoning
    assert annotation.sentiment == "bearish"
    assert annotation.reasoning_summary is not None
    assert annotation.reasoning_summary in ARGUMENT


@pytest.mark.parametrize(
    "text",
    [
        "to the moon 🚀🚀🚀 diamond hands, apes together strong, tendies for everybody who holds the line",
        "because I like it",
        "P/E? EPS? revenue? margin? guidance? what do these terms mean and where do I find them? 10% or 20%?",
    ],
)
def test_enthusiasm_and_questions_are_no_argument(text: str) -> None:
    annotation = annotate_text(text)

    assert not annotation.has_reasoning
    assert annotation.reasoning_summary is None


def test_confidence_is_how_probable_the_sentiment_is() -> None:
    text = "extremely bullish, buying calls"
    reading = read(text)
    opinion = model().opinion(measures(reading, reading.cues), words(reading))

    assert annotate_text(text).confidence == round(opinion.bullish, 3)


def test_context_moves_the_confidence_by_what_the_guide_says() -> None:
    def confidence(body: str, **around: Any) -> float:
        return annotate(Excerpt(body=body, **around)).confidence

    bare = confidence("buying some puts")

    assert confidence("buying some puts", author_trust=0.6) == bare
    assert confidence("buying some puts", author_trust=0.61) == pytest.approx(min(1, bare + 0.1))
    assert confidence("buying some puts", parents=("bullish, buying calls",)) == pytest.approx(bare - 0.1)
    assert confidence("buying some puts", parents=("sell everything, bearish",)) == bare
    assert confidence("buying some puts 🤡", author_trust=0.9) == 0.5  # the opposite may be meant


def test_the_analyser_answers_in_order_on_the_workers_it_is_given() -> None:
    bodies = ["GME calls", "AMC puts", "nothing"]
    given_to: list[Any] = []

    def run_map(function: Any, items: Any) -> Any:
        given_to.append(function)
        return map(function, items)

    answers = list(
        LexiconAnalyzer().annotate_all([Excerpt(body=body) for body in bodies], bare_desk(run_map))
    )

    assert answers == [annotate_text(body) for body in bodies]
    assert given_to == [annotate]


# --- against labels of people ---


def labelled(name: str) -> list[dict[str, Any]]:
    path = LABELS / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the repository")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_it_is_right_far_more_often_than_the_most_frequent_answer() -> None:
    rows = labelled("wsb_sentiment_dev.ndjson")
    said = [sentiment(row["text"]) for row in rows]
    gold = [row["label"] for row in rows]
    opinions = [(want, have) for want, have in zip(gold, said, strict=True) if have != "neutral"]

    assert sum(want == have for want, have in zip(gold, said, strict=True)) / len(rows) > 0.6
    assert sum(want not in {have, "neutral"} for want, have in opinions) / len(opinions) < 0.15
