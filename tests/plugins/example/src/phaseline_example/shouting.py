"""An analyser: whoever shouts is bullish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from phases.tools import Analyzer, Annotation, Desk, Excerpt, TickerSentiment


def shout(excerpt: Excerpt) -> Annotation:
    """Annotate one text; runs in the workers, so it is a plain function of a module."""
    loud = excerpt.body.isupper()
    tickers = (word.removeprefix("$") for word in excerpt.body.split() if word.startswith("$"))
    sentiment = "bullish" if loud else "neutral"
    return Annotation(
        tickers=tuple(TickerSentiment(ticker, sentiment) for ticker in dict.fromkeys(tickers)),
        sentiment=sentiment,
        sarcasm_detected=False,
        has_reasoning=False,
        confidence=0.9 if loud else 0.5,
        analyzer="shouting-1",
    )


class ShoutingAnalyzer:
    """Needs no model and no network."""

    name = "shouting-1"
    batch = 500
    free_picks = 1_000
    fallback: Analyzer | None = None

    def annotate_all(self, excerpts: Iterable[Excerpt], desk: Desk) -> Iterator[Annotation | None]:
        """Yield one annotation an excerpt."""
        return desk.map(shout, excerpts)


def make(argument: str) -> ShoutingAnalyzer:
    """Return the analyser; it takes no argument."""
    return ShoutingAnalyzer()
