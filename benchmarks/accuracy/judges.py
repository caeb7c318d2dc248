"""Who judges a text: the embedded analyser, parts of it, and what it must beat.

A judge learns from examples and returns what it says of a text that was not among them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from phases.analyzers.features import measures, words
from phases.analyzers.lexicon import judge
from phases.analyzers.opinion import Model
from phases.analyzers.phrases import Lexicon, Role, lexicon
from phases.analyzers.reading import Reading, read
from phases.analyzers.stance import sentiment_of
from phases.tools import Excerpt
from tools.train_stance import Example, fit

Verdict = tuple[str, float]
"""The sentiment, and how sure the judge is (0 where it does not say)."""
Judge = Callable[[Example], Verdict]
Learner = Callable[[Sequence[Example], Sequence[Example]], Judge]
"""From the examples to learn from, and those to judge: of these it may see no label."""

NEUTRAL_BAND = 0.05
"""VADER's own: a compound score within it is neutral."""


def majority(others: Sequence[Example], _held: Sequence[Example]) -> Judge:
    """Say what most texts are."""
    ((label, _),) = Counter(other.label for other in others).most_common(1)
    return lambda _: (label, 0.0)


def vader(_others: Sequence[Example], _held: Sequence[Example]) -> Judge:
    """Say what VADER says."""
    return _by_vader({})


def vader_with_words(_others: Sequence[Example], _held: Sequence[Example]) -> Judge:
    """Say what VADER says that knows the single words of our lexicon, with our scores."""
    return _by_vader(single_words())


def single_words() -> dict[str, float]:
    """Return the directions of one word of lexicon.txt."""
    return {
        first: phrase.score
        for first, phrases in lexicon().by_first.items()
        for phrase in phrases
        if phrase.role == "direction" and not phrase.rest
    }


def _by_vader(extra: Mapping[str, float]) -> Judge:
    analyzer = make_vader(extra)

    def say(example: Example) -> Verdict:
        compound = analyzer.polarity_scores(example.text)["compound"]
        return sentiment_of_compound(compound), 0.0

    return say


def make_vader(extra: Mapping[str, float]) -> Any:
    """Return VADER's analyser with further words."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # noqa: PLC0415 - group `train` only

    analyzer = SentimentIntensityAnalyzer()
    analyzer.lexicon.update(extra)
    return analyzer


def sentiment_of_compound(compound: float) -> str:
    """Return VADER's own reading of its score."""
    if abs(compound) < NEUTRAL_BAND:
        return "neutral"
    return "bullish" if compound > 0 else "bearish"


def rules(_others: Sequence[Example], _held: Sequence[Example]) -> Judge:
    """Say which way the lexicon leans; nothing is trained."""
    return lambda example: (sentiment_of(example.reading.lean), 0.0)


def words_alone(others: Sequence[Example], _held: Sequence[Example]) -> Judge:
    """Say what a model makes of the words; nothing written by hand takes part."""
    model = fit([replace(other, measures={}) for other in others])

    def say(example: Example) -> Verdict:
        opinion = model.opinion({}, example.words)
        return opinion.sentiment, opinion.probability(opinion.sentiment)

    return say


def analyser(others: Sequence[Example], _held: Sequence[Example]) -> Judge:
    """Say what the embedded analyser says with weights from these examples."""
    model = fit(others)
    return lambda example: verdict(example.reading, example.ticker, model)


def unlearned(others: Sequence[Example], held: Sequence[Example]) -> Judge:
    """Say what the embedded analyser says without the phrases that only the texts to judge hold.

    Whoever wrote the lexicon had seen those texts; this is what is left if they had not, and a little less:
    a phrase that anybody would have thought of goes too.
    """
    kept = _without(_phrases(held) - _phrases(others))
    model = fit([_reread(other, kept) for other in others])
    return lambda example: verdict(read(example.text, phrases=kept), example.ticker, model)


def verdict(reading: Reading, ticker: str | None, model: Model) -> Verdict:
    """Return the stance on the ticker where it was found, else that of the text."""
    said = judge(reading, Excerpt(body=""), model)
    stances = {one.ticker: one.sentiment for one in said.tickers}
    return stances.get((ticker or "").upper(), said.sentiment), said.confidence


def _reread(example: Example, phrases: Lexicon) -> Example:
    reading = read(example.text, phrases=phrases)
    return replace(example, reading=reading, measures=measures(reading, reading.cues), words=words(reading))


Spelled = tuple[Role, tuple[str, ...]]


def _phrases(examples: Sequence[Example]) -> set[Spelled]:
    return {spelled for example in examples for spelled in _spelled(example.reading)}


def _spelled(reading: Reading) -> Iterator[Spelled]:
    for match in reading.matches:
        yield match.role, tuple(token.lower for token in reading.tokens[match.first : match.last + 1])


def _without(dropped: set[Spelled]) -> Lexicon:
    return Lexicon(
        {
            first: tuple(one for one in phrases if (one.role, (first, *one.rest)) not in dropped)
            for first, phrases in lexicon().by_first.items()
        }
    )


EMBEDDED = "**embedded analyser**"
JUDGES: Mapping[str, Learner] = {
    "most frequent label": majority,
    "VADER": vader,
    "VADER with our words": vader_with_words,
    "our lexicon, untrained": rules,
    "words alone, trained": words_alone,
    EMBEDDED: analyser,
    "the same, lexicon unlearned": unlearned,
}
