"""Whether sarcasm can be told: our rules and a trained model on general tweets, against always saying yes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accuracy.folds import folds_of, held_out
from benchmarks.accuracy.scores import Figure, f1
from phases.analyzers.features import words
from phases.analyzers.lexicon import is_sarcastic
from phases.analyzers.reading import read

TWEETS = "isarcasm_train.ndjson"


@dataclass(frozen=True)
class Tweet:
    """One tweet."""

    text: str
    words: frozenset[str]
    by_rules: bool
    is_sarcastic: bool


def figures(folder: Path) -> Iterator[tuple[str, Figure]]:
    """Yield the F1 of sarcasm by judge."""
    rows = [json.loads(line) for line in (folder / TWEETS).read_text(encoding="utf-8").splitlines()]
    tweets = [_tweet(row["text"], row["sarcastic"] == 1) for row in rows if row["text"]]
    gold = [tweet.is_sarcastic for tweet in tweets]
    learned = dict(held_out(tweets, folds_of([tweet.text for tweet in tweets]), _learn))
    yield "always sarcastic", f1(gold, [True] * len(gold))
    yield "our rules", f1(gold, [tweet.by_rules for tweet in tweets])
    yield "words, trained on the other folds", f1(gold, [learned[index] for index in range(len(tweets))])


def _tweet(text: str, label: bool) -> Tweet:
    reading = read(text)
    return Tweet(text, words(reading), is_sarcastic(reading), label)


def _learn(_fold: int, others: list[Tweet]) -> Callable[[Tweet], bool]:
    from sklearn.feature_extraction import DictVectorizer  # noqa: PLC0415 - group `train` only
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - group `train` only

    columns = DictVectorizer()
    table = columns.fit_transform([dict.fromkeys(tweet.words, 1) for tweet in others])
    model = LogisticRegression(class_weight="balanced", C=0.1, max_iter=2_000)
    model.fit(table, [tweet.is_sarcastic for tweet in others])
    return lambda tweet: bool(model.predict(columns.transform([dict.fromkeys(tweet.words, 1)]))[0])
