"""The embedded analyser: a hand-written lexicon, and a small model that learned what its readings are worth.

Offline, the same answer at every call. The lexicon finds what speaks for and against a ticker; the model (see
opinion.py) makes of that, and of the words around it, the probability of each sentiment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from phases.analyzers.features import measures, words
from phases.analyzers.opinion import Model, Opinion, model
from phases.analyzers.reading import Reading, read
from phases.analyzers.reasoning import has_reasoning, summary
from phases.analyzers.stance import Cue, cues_by_symbol, sentiment_of
from phases.tools import Analyzer, Annotation, Desk, Excerpt, Sentiment, TickerSentiment

NAME: Final = "lexicon-2"

TRUST_BONUS: Final = 0.1
CONTRADICTION_PENALTY: Final = 0.1
SARCASM_CEILING: Final = 0.5
"""Where the opposite may be meant, nothing is more than an even chance."""

TRUSTED: Final = 0.6
"""An author must be above this for the bonus."""

LEAST_PROBABILITY: Final = 0.4
"""An opinion less probable than this is not told; an even chance of three would be a third."""
LEAST_WITHOUT_CUES: Final = 0.5
"""The same where the lexicon found nothing: what is left, the words alone, is often wrong."""


class LexiconAnalyzer:
    """Annotates by `annotate`, on the workers that the run has."""

    name = NAME
    batch = 200
    free_picks = 20_000  # some ten seconds of work
    fallback: Analyzer | None = None

    def annotate_all(self, excerpts: Iterable[Excerpt], desk: Desk) -> Iterator[Annotation | None]:
        """Yield one annotation an excerpt, in order; this analyser always has an answer."""
        yield from desk.map(annotate, excerpts)


def annotate(excerpt: Excerpt) -> Annotation:
    """Return what the analyser says of one comment. Pure: it depends on the excerpt alone."""
    return judge(read(excerpt.body, excerpt.written_on), excerpt, model())


def judge(reading: Reading, excerpt: Excerpt, weights: Model) -> Annotation:
    """Return what the weights make of a comment's reading; the excerpt is needed for its context."""
    spelled = words(reading)
    opinion = weights.opinion(measures(reading, reading.cues), spelled)
    sentiment = _told(reading, reading.cues, opinion)
    argues = has_reasoning(reading.text, reading.tokens, reading.matches)
    return Annotation(
        tickers=_stances(reading, sentiment, spelled, weights),
        sentiment=sentiment,
        sarcasm_detected=is_sarcastic(reading),
        has_reasoning=argues,
        confidence=_confidence(reading, excerpt, sentiment, opinion.probability(sentiment)),
        reasoning_summary=summary(reading.text, reading.tokens, reading.matches) if argues else None,
        analyzer=NAME,
    )


def _told(reading: Reading, cues: Sequence[Cue], opinion: Opinion) -> Sentiment:
    """Return the sentiment to tell: questions alone say nothing unless the lexicon leans."""
    if opinion.probability(opinion.sentiment) < (LEAST_PROBABILITY if cues else LEAST_WITHOUT_CUES):
        return "neutral"
    return "neutral" if reading.only_asks and sentiment_of(reading.lean) == "neutral" else opinion.sentiment


def _stances(
    reading: Reading, sentiment: Sentiment, spelled: frozenset[str], weights: Model
) -> tuple[TickerSentiment, ...]:
    """Return the stance on each ticker: that of the text on the only one, else by the cues of its own."""
    shared = cues_by_symbol(reading.tokens, reading.cues, reading.mentions)
    if len(shared) == 1:
        return tuple(TickerSentiment(symbol, sentiment) for symbol in shared)
    return tuple(
        TickerSentiment(symbol, _told(reading, cues, weights.opinion(measures(reading, cues), spelled)))
        for symbol, cues in shared.items()
    )


def is_sarcastic(reading: Reading) -> bool:
    """Return whether a phrase says that the opposite may be meant."""
    return reading.roles["sarcasm"] + reading.roles["inverse"] > 0


def _confidence(reading: Reading, excerpt: Excerpt, sentiment: Sentiment, probability: float) -> float:
    """Return how probable the sentiment is, moved by what no labelled text tells: context and sarcasm."""
    if excerpt.author_trust > TRUSTED:
        probability += TRUST_BONUS
    if _contradicts(sentiment, excerpt.parents):
        probability -= CONTRADICTION_PENALTY
    ceiling = SARCASM_CEILING if is_sarcastic(reading) else 1.0
    return round(min(ceiling, max(0.0, probability)), 3)


def _contradicts(sentiment: Sentiment, parents: tuple[str, ...]) -> bool:
    """Return whether the comment and the one that it answers lean opposite ways."""
    if sentiment == "neutral" or not parents:
        return False
    return {sentiment, sentiment_of(read(parents[0]).lean)} == {"bullish", "bearish"}
