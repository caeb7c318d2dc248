"""A desk for an analyser that works outside a run."""

from __future__ import annotations

import math
from typing import Any

from phases.model_calls import ForgottenCalls
from phases.tools import Calls, Desk
from statemachine.clock import SystemClock
from statemachine.contract import Clock


def bare_desk(
    mapper: Any = map, *, calls: Calls | None = None, clock: Clock | None = None, **more: Any
) -> Desk:
    """Return a desk with a real clock, no end and no memory; `more` sets any of its other fields."""
    idle: dict[str, Any] = {
        "remaining_s": lambda: math.inf,
        "raise_if_stopping": lambda: None,
        "warn": lambda *_args, **_context: None,
    }
    return Desk(map=mapper, calls=calls or ForgottenCalls(), clock=clock or SystemClock(), **(idle | more))
