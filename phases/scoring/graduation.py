"""When the experiment has shown something: the rule by which a signal type would leave paper trading."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

WINDOWS: Final = 3
"""So many completed windows in a row are looked at, the newest ones: ninety days."""
MIN_BEATEN: Final = 2
"""In at least so many of them the benchmark must have been beaten."""
WORST_RELATIVE: Final = -0.15
"""In none of them may the portfolio have been further behind; a share of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A completed window of a stock portfolio; those of options don't count."""

    period_start: str
    signal_type: str
    relative_performance: float | None
    """Its return less the benchmark's, a share of one; `None` where one of them is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graduation:
    """Whether a signal type has passed, and if none has, why not."""

    graduated: bool
    signal_type: str | None
    """The type that has passed."""
    completed_windows: int
    reasons: tuple[str, ...]
    """What is missing, in words; empty where one has passed."""


def graduation(results: Sequence[Result]) -> Graduation:
    """Judge the newest completed windows.

    A type passes that was better than the other in all of them, beat the benchmark in most and was far behind
    it in none. A window without figures can't speak for anybody.

    >>> graduation([]).reasons
    ('0 of 3 windows are completed',)
    """
    windows = _newest(results)
    best = _best_in_all(windows)
    known = [] if best is None else [relative for window in windows if (relative := window[best]) is not None]
    reasons = _reasons(windows, best, known)
    return Graduation(
        graduated=not reasons,
        signal_type=None if reasons else best,
        completed_windows=len({each.period_start for each in results}),
        reasons=reasons,
    )


Window = Mapping[str, float | None]
"""The relative performance by signal type."""


def _newest(results: Sequence[Result]) -> list[Window]:
    by_start: defaultdict[str, dict[str, float | None]] = defaultdict(dict[str, float | None])
    for each in results:
        by_start[each.period_start][each.signal_type] = each.relative_performance
    return [by_start[start] for start in sorted(by_start)[-WINDOWS:]]


def _best_in_all(windows: Sequence[Window]) -> str | None:
    best = {_best(window) for window in windows}
    return best.pop() if len(best) == 1 else None


def _best(window: Window) -> str | None:
    """Return the type that did better than each other one; `None` for a tie or where a figure is missing."""
    known = {signal_type: relative for signal_type, relative in window.items() if relative is not None}
    top = max(known.values(), default=None)
    leaders = [signal_type for signal_type, relative in known.items() if relative == top]
    return leaders[0] if len(leaders) == 1 and len(known) == len(window) else None


def _reasons(windows: Sequence[Window], best: str | None, known: Sequence[float]) -> tuple[str, ...]:
    if len(windows) < WINDOWS:
        return (f"{len(windows)} of {WINDOWS} windows are completed",)
    if best is None:
        return (f"no signal type is known to be the better one in all {WINDOWS} windows",)
    beaten = sum(relative > 0 for relative in known)
    findings = {
        f"{best} beat the benchmark in {beaten} of {WINDOWS} windows, not in {MIN_BEATEN}": beaten
        < MIN_BEATEN,
        f"{best} was {-min(known):.1%} behind the benchmark in one window": min(known) < WORST_RELATIVE,
    }
    return tuple(sentence for sentence, is_so in findings.items() if is_so)
