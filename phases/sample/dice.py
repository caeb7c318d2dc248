"""Chance from a fixed seed, the same with every version of Python."""

from __future__ import annotations

import random  # noqa: TID251 - this is the one place, and it is seeded
from collections.abc import Sequence
from typing import TypeVar

ItemT = TypeVar("ItemT")


class Dice:
    """Throws that depend on the seed only; `Random.random()` alone is promised never to change."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - nothing secret

    def share(self) -> float:
        """Return a number from 0 up to 1."""
        return self._random.random()

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return low + int(self.share() * (high - low + 1))

    def pick(self, items: Sequence[ItemT]) -> ItemT:
        """Return one of the items."""
        return items[self.whole(0, len(items) - 1)]

    def spread(self) -> float:
        """Return a number between -1 and 1, mostly near 0."""
        return self.share() + self.share() - 1
