"""The pipeline's own phases, made to wait or to break where a run's params say so.

`{"act": {"3": "wait"}, "gate": PATH}` holds a run in phase 3 until the file is there; `"burn"` does the same
and never rests; `"break"` fails it unless the file is there, with `message`. The states are the pipeline's,
so the page can't tell the difference.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
from pathlib import Path
from typing import Any, Final

import phases
from statemachine.contract import Phase

PAUSE_S: Final = 0.05
STEPS: Final = 4_000
CHUNK: Final = 100_000

SCHEMA = phases.SCHEMA


def _wait(ctx: Any) -> None:
    """Work in small steps until the gate is there; a cancel or a stop ends it at the next one."""
    pause = threading.Event()
    for step in itertools.count(1):
        if Path(ctx.params["gate"]).exists():
            return
        ctx.progress(min(step, STEPS), STEPS, "comment")
        ctx.checkpoint()
        pause.wait(PAUSE_S)


def _burn(ctx: Any) -> None:
    """Keep a processor and the interpreter busy, some milliseconds a step."""
    for step in itertools.count(1):
        if Path(ctx.params["gate"]).exists():
            return
        sum(number & 1 for number in range(CHUNK))
        ctx.progress(step, None, "chunk")
        ctx.raise_if_stopping()


def _break(ctx: Any) -> None:
    """Warn, and raise until the gate is there."""
    if Path(ctx.params["gate"]).exists():
        return
    ctx.warn("source_slow", "the archive answered late; what had come by then was read", seconds=12)
    ctx.checkpoint()
    raise RuntimeError(ctx.params.get("message", "the archive ended in the middle of line 4,117"))


ACTS: Final = {"wait": _wait, "burn": _burn, "break": _break}


def _staged(phase: Phase) -> Phase:
    def act(conn: sqlite3.Connection, ctx: Any) -> None:
        asked = ctx.params.get("act", {}).get(str(phase.number))
        if asked is not None:
            ACTS[asked](ctx)
        phase.function(conn, ctx)

    return phase._replace(function=act)


PHASES = [_staged(phase) for phase in phases.PHASES]
