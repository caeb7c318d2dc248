"""Asking again, a few times and not at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from phases.prices.errors import BadAnswer, RateLimited, Unreachable

WAITS_S: Final = (1.0, 2.0, 4.0)
"""Seconds before the second, third and fourth question."""
MAX_WAIT_S: Final = 15.0
"""The longest wait that a source may ask for."""
PASSING: Final = (RateLimited, Unreachable, BadAnswer)
"""What may be better in a moment."""

ResultT = TypeVar("ResultT")


def patiently(question: Callable[[], ResultT], wait: Callable[[float], object]) -> ResultT:
    """Return the answer to a question that is asked up to four times; the last failure is raised."""
    for wait_s in WAITS_S:
        try:
            return question()
        except PASSING as error:
            asked_s = error.retry_after_s if isinstance(error, RateLimited) else 0.0
            wait(max(wait_s, min(asked_s, MAX_WAIT_S)))
    return question()
