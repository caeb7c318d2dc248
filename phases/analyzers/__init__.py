"""What reads comments: the ticker extraction, and the analysers of `phases.tools.Analyzer`."""

from __future__ import annotations

from phases.analyzers.lexicon import annotate
from phases.tools import Annotation, Excerpt


def annotate_text(text: str) -> Annotation:
    """Return what the embedded analyser says of a bare text, without a post, parents or an author.

    >>> found = annotate_text("Loading up on $GME calls 🚀, selling my AMC")
    >>> [(stance.ticker, stance.sentiment) for stance in found.tickers]
    [('GME', 'bullish'), ('AMC', 'bearish')]
    """
    return annotate(Excerpt(body=text))
