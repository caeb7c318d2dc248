"""Figures of a comparison with 95% intervals, by drawing the texts anew (percentile bootstrap)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

DRAWS = 2_000
LABELS = ("bearish", "bullish", "neutral")
_OPINIONS = slice(0, 2)


@dataclass(frozen=True)
class Figure:
    """A figure and its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})"


def sentiment_figures(gold: Sequence[str], said: Sequence[str]) -> dict[str, Figure]:
    """Return right, macro F1, wrong way and coverage; a label that the set does not know counts in no F1."""
    cells = np.zeros((len(gold), 9))
    places = [3 * LABELS.index(want) + LABELS.index(have) for want, have in zip(gold, said, strict=True)]
    cells[np.arange(len(gold)), places] = 1
    known = [index for index, label in enumerate(LABELS) if label in gold]
    kinds: dict[str, Callable[[Any], Any]] = {
        "right": lambda table: np.trace(table, axis1=-2, axis2=-1) / table.sum((-2, -1)),
        "macro F1": lambda table: _f1(table)[..., known].mean(-1),
        "wrong way": lambda table: (table[..., 0, 1] + table[..., 1, 0]) / _opinions(table),
        "coverage": lambda table: _opinions(table) / table.sum((-2, -1)),
    }
    return {kind: _drawn(cells, lambda sums, of=of: of(sums.reshape(-1, 3, 3))) for kind, of in kinds.items()}


def ticker_figures(found: Sequence[set[str]], gold: Sequence[set[str]]) -> dict[str, Figure]:
    """Return precision, recall and F1 of the sets, document by document."""
    counts = [(len(have & want), len(have), len(want)) for have, want in zip(found, gold, strict=True)]
    cells = np.array(counts, dtype=float)
    return {
        "precision": _drawn(cells, lambda sums: sums[:, 0] / sums[:, 1]),
        "recall": _drawn(cells, lambda sums: sums[:, 0] / sums[:, 2]),
        "F1": _drawn(cells, lambda sums: 2 * sums[:, 0] / (sums[:, 1] + sums[:, 2])),
    }


def share(hits: Sequence[bool]) -> Figure:
    """Return the share of hits."""
    return _drawn(np.array(hits, dtype=float)[:, None], lambda sums: sums[:, 0] / len(hits))


def f1(gold: Sequence[bool], said: Sequence[bool]) -> Figure:
    """Return the F1 of what is true."""
    cells = np.array(
        [(want and have, want, have) for want, have in zip(gold, said, strict=True)], dtype=float
    )
    return _drawn(cells, lambda sums: 2 * sums[:, 0] / np.maximum(1, sums[:, 1] + sums[:, 2]))


def calibration_error(confidences: Sequence[float], hits: Sequence[bool]) -> float:
    """Return the expected calibration error over tenths: the mean gap between promised and kept."""
    promised, kept = np.array(confidences), np.array(hits, dtype=float)
    tenths = np.minimum(9, (promised * 10).astype(int))
    gaps = [abs((promised - kept)[tenths == tenth].sum()) for tenth in range(10)]
    return float(sum(gaps) / len(hits))


def _drawn(cells: Any, of: Callable[[Any], Any]) -> Figure:
    """Return `of` the columns' sums, and its interval over draws of the rows with replacement."""
    chance = np.random.default_rng(20260801)
    weights = chance.multinomial(len(cells), np.full(len(cells), 1 / len(cells)), size=DRAWS)
    low, high = np.percentile(of(weights @ cells), [2.5, 97.5])
    return Figure(float(of(cells.sum(0, keepdims=True))[0]), float(low), float(high))


def _opinions(table: Any) -> Any:
    return np.maximum(1, table[..., :, _OPINIONS].sum((-2, -1)))


def _f1(table: Any) -> Any:
    hits = np.diagonal(table, axis1=-2, axis2=-1)
    return 2 * hits / np.maximum(1, table.sum(-1) + table.sum(-2))
