"""How sure a share or a mean of few values is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import Final, Protocol

LEVEL: Final = 0.95
DRAWS: Final = 10_000


class Chance(Protocol):
    """What the bootstrap needs of `random.Random`; the caller brings it with its seed."""

    def choices(self, population: Sequence[float], *, k: int) -> list[float]:
        """Draw `k` values with replacement."""
        ...


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the interval that covers the true one in 95 of 100 such samples."""

    value: float
    low: float
    high: float


def wilson(hits: int, count: int) -> Estimate | None:
    """Return the share of hits with its score interval; `None` where nothing was counted.

    Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference, Journal of
    the American Statistical Association 22, 209-212. It stays between 0 and 1 and is honest for few cases,
    where the usual normal interval is not.

    >>> found = wilson(7, 10)
    >>> round(found.low, 3), round(found.high, 3)
    (0.397, 0.892)
    """
    if count == 0:
        return None
    share, z = hits / count, NormalDist().inv_cdf((1 + LEVEL) / 2)
    middle = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return Estimate(share, max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale))


def bootstrap_mean(values: Sequence[float], chance: Chance) -> Estimate | None:
    """Return the mean with its percentile interval; `None` for fewer than two values.

    Efron, B. (1979), Bootstrap methods: another look at the jackknife, Annals of Statistics 7, 1-26.
    """
    if len(values) < 2:  # noqa: PLR2004  # one value says nothing about spread
        return None
    means = sorted(fmean(chance.choices(values, k=len(values))) for _ in range(DRAWS))
    tail = round(DRAWS * (1 - LEVEL) / 2)
    return Estimate(fmean(values), means[tail], means[-1 - tail])
