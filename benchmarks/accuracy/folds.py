"""What no part of a judgement may have seen: fixed folds of a set, with copies of one text in one fold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import TypeVar

from phases.analyzers.text import clean
from phases.copies import first_of_each, sketch

FOLDS = 5

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


def folds_of(texts: Sequence[str]) -> list[int]:
    """Return the fold of each text. It follows from the text alone, so it is the same at every run."""
    firsts = first_of_each([sketch(text) for text in texts])
    return [_fold(texts[first]) for first in firsts]


def _fold(text: str) -> int:
    return int.from_bytes(blake2b(clean(text).lower().encode(), digest_size=4).digest()) % FOLDS


def held_out(
    items: Sequence[ItemT],
    folds: Sequence[int],
    learn: Callable[[int, list[ItemT]], Callable[[ItemT], AnswerT]],
) -> Iterator[tuple[int, AnswerT]]:
    """Yield `(index, answer)` of every item by what `learn(fold, others)` learned from the other folds."""
    for fold in range(FOLDS):
        answer = learn(fold, [item for item, own in zip(items, folds, strict=True) if own != fold])
        yield from ((index, answer(items[index])) for index, own in enumerate(folds) if own == fold)
