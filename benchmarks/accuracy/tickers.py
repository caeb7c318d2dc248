"""Which symbols are found in documents, compared with those that people marked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.accuracy.folds import folds_of, held_out
from phases.analyzers.text import clean
from phases.analyzers.tickers import mentions
from phases.analyzers.tokens import Token, tokenize
from phases.analyzers.universe import Vocabulary, vocabulary

Row = Mapping[str, Any]
SECTIONS = ("never", "cue", "plain", "distinct", "fake")
"""The lists of words.txt that judge a symbol."""


def marked(row: Row, wanted: Callable[[str], bool] = lambda _: True) -> set[str]:
    """Return the symbols of the spans that people marked as tickers."""
    spans = (span["text"].strip() for span in row["spans"] if span["label"] == "ticker")
    return {symbol(text) for text in spans if wanted(text)}


def symbol(text: str) -> str:
    """Return a marked span as this project writes symbols: `AMD` for `AMDs`, `BRK.B` for `BRK-B`."""
    bare = text.lstrip("$").rpartition(":")[2].replace("-", ".")
    return bare[:-1] if bare.endswith("s") and bare[:-1].isupper() else bare.upper()


def is_cashtag(text: str) -> bool:
    """Return whether a span has its dollar sign."""
    return text.startswith("$")


def found(text: str, known: Vocabulary | None = None) -> set[str]:
    """Return the symbols that the extractor finds, with what is known of symbols."""
    cleaned = clean(text)
    return {one.symbol for one in mentions(tokenize(cleaned), chars=len(cleaned), known=known)}


def found_unlearned(rows: Sequence[Row]) -> list[set[str]]:
    """Return what is found in each document without what its fold alone could have taught.

    The lists of words.txt and names.txt were written with these documents in view. Here an entry that stands
    in the held-out fold and in no other one is struck off first, also those that anybody would have written.
    """
    texts = [row["text"] for row in rows]
    tokens = {text: tokenize(clean(text)) for text in texts}
    folds = folds_of(texts)

    def learn(fold: int, others: list[str]) -> Callable[[str], set[str]]:
        held = [text for text, own in zip(texts, folds, strict=True) if own == fold]
        known = _without(_spellings(tokens, held) - _spellings(tokens, others))
        return lambda text: found(text, known)

    answers = dict(held_out(texts, folds, learn))
    return [answers[index] for index in range(len(texts))]


def _spellings(tokens: Mapping[str, Sequence[Token]], texts: Sequence[str]) -> set[str]:
    """Return the words of texts, and all that stand together up to four, in lower case."""
    spelled: set[str] = set()
    for text in texts:
        lower = [token.lower for token in tokens[text]]
        for length in range(1, 5):
            spelled.update(" ".join(lower[at : at + length]) for at in range(len(lower) - length + 1))
    return spelled


def _without(dropped: set[str]) -> Vocabulary:
    known = vocabulary()
    sections = {
        name: frozenset(word for word in getattr(known, name) if word.lower() not in dropped)
        for name in SECTIONS
    }
    names = {spelling: name for spelling, name in known.names.items() if spelling not in dropped}
    return replace(known, names=names, **sections)
