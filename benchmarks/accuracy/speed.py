"""What a comment costs, beside VADER in the same minutes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from benchmarks.accuracy.judges import make_vader
from phases.analyzers import annotate_text

ROUNDS = 7


def rounds(texts: Sequence[str]) -> list[tuple[float, float]]:
    """Return `(ours, VADER's)` milliseconds of processor time a text; they take turns."""
    analyzer = make_vader({})
    annotate_text("warm")
    return [
        (_spent_ms(annotate_text, texts), _spent_ms(analyzer.polarity_scores, texts)) for _ in range(ROUNDS)
    ]


def _spent_ms(judge: Callable[[str], object], texts: Sequence[str]) -> float:
    started = time.process_time()
    for text in texts:
        judge(text)
    return (time.process_time() - started) * 1e3 / len(texts)


def row(name: str, texts: Sequence[str]) -> str:
    """Return one line of the table."""
    spent = rounds(texts)
    ours, theirs = (statistics.median(each[side] for each in spent) for side in (0, 1))
    ratios = sorted(mine / other for mine, other in spent)
    chars = statistics.median(map(len, texts))
    return (
        f"| {name} | {len(texts)} | {chars:.0f} | {ours:.2f} ms | {theirs:.2f} ms |"
        f" {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f}) |"
    )
