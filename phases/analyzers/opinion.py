"""How probable each sentiment of a text is: a logistic regression with weights of our own.

The weights are data, opinion.tsv, written by tools/train_stance.py: one line a feature with its weights for
bearish and for bullish; neutral is what both are measured against. A text's words share their weight, so that
a long text does not count for more than a short one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from phases.tools import Sentiment

WEIGHTS_FILE: Final = "opinion.tsv"
INTERCEPT: Final = "intercept"


class Logits(NamedTuple):
    """The logarithm of how much likelier than neutral each opinion is."""

    bearish: float
    bullish: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """Probabilities of the three sentiments; they add up to 1."""

    bearish: float
    bullish: float
    neutral: float

    @property
    def sentiment(self) -> Sentiment:
        """Return the most probable sentiment; an even choice is neutral."""
        if max(self.bearish, self.bullish) <= self.neutral or self.bearish == self.bullish:
            return "neutral"
        return "bullish" if self.bullish > self.bearish else "bearish"

    def probability(self, sentiment: Sentiment) -> float:
        """Return the probability of one of them."""
        return {"bearish": self.bearish, "bullish": self.bullish, "neutral": self.neutral}[sentiment]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The weights, by feature."""

    intercept: Logits
    measures: Mapping[str, Logits]
    words: Mapping[str, Logits]

    def opinion(self, measures: Mapping[str, float], words: frozenset[str]) -> Opinion:
        """Return the probabilities for the features of a text; unknown words say nothing."""
        known = [self.words[word] for word in words if word in self.words]
        share = 1 / math.sqrt(max(1, len(known)))
        bearish, bullish = (
            self.intercept[side]
            + math.fsum(self.measures[name][side] * value for name, value in measures.items())
            + math.fsum(weight[side] for weight in known) * share
            for side in (0, 1)
        )
        return _softmax(bearish, bullish)


def _softmax(bearish: float, bullish: float) -> Opinion:
    most = max(bearish, bullish, 0.0)
    odds = [math.exp(logit - most) for logit in (bearish, bullish, 0.0)]
    total = math.fsum(odds)
    return Opinion(bearish=odds[0] / total, bullish=odds[1] / total, neutral=odds[2] / total)


@cache
def model() -> Model:
    """Return opinion.tsv, read at the first call and kept."""
    rows = {(kind, name): logits for kind, name, logits in _rows()}
    return Model(
        intercept=rows["measure", INTERCEPT],
        measures={
            name: logits for (kind, name), logits in rows.items() if kind == "measure" and name != INTERCEPT
        },
        words={name: logits for (kind, name), logits in rows.items() if kind == "word"},
    )


def _rows() -> Iterator[tuple[str, str, Logits]]:
    for line in files("phases.analyzers").joinpath(WEIGHTS_FILE).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            kind, name, bearish, bullish = line.split("\t")
            yield kind, name, Logits(float(bearish), float(bullish))
