"""Driving runs in this process: a runner, progress, and Ctrl-C that leaves them resumable."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import NoReturn

from api.cli.exits import Exit
from api.cli.follow import Display, Status, display, follow
from api.cli.text import say
from api.logs import configure, configure_briefly
from api.pipeline import Pipeline, load_pipeline
from api.settings import Settings
from api.status import status_of_run
from api.traces import traces_of
from api.wiring import open_runner
from statemachine.runner import Runner
from statemachine.store import Run, RunReader

LOOK_S = 0.5


@contextmanager
def running(
    settings: Settings,
    *,
    brief: bool = True,
    open_it: Callable[[Settings, Pipeline], Runner] = open_runner,
) -> Generator[Runner]:
    """Open a runner, and let it end well: runs still going are stopped at their next check point."""
    configure_briefly(settings) if brief else configure(settings)
    traces = traces_of(settings)
    runner = open_it(settings, load_pipeline(settings.phases))
    if traces is not None:
        traces.watch(runner)
    try:
        yield runner
    finally:
        runner.close()
        if traces is not None:
            traces.close()
        if runner.readiness()["abandoned_threads"]:
            say("a stuck phase is left behind")


def drive(runner: Runner, run: Run, show: Display | None = None) -> Status:
    """Show a run that this process drives until it has ended, or was stopped by Ctrl-C.

    It is shown on `show`, which its caller has entered, or else on a display of its own.

    The first Ctrl-C (or SIGTERM) stops it at its next check point, resumable; the second ends the process.
    """
    changed = threading.Event()
    unsubscribe = runner.subscribe(lambda _: changed.set())
    reader = RunReader(runner.db)

    def look() -> Status:
        changed.clear()
        return status_of_run(reader.run(run.id), runner.live(run.id))

    def wait() -> None:
        changed.wait(LOOK_S)

    try:
        labels = [phase.label for phase in runner.registry.phases]
        shown = nullcontext(show) if show else display(labels, run.progress_current)
        with _interruptible(runner), shown as where:
            return follow(look, wait, where, until=lambda: runner.wait(0))
    finally:
        unsubscribe()
        reader.close()


@contextmanager
def _interruptible(runner: Runner) -> Generator[None]:
    interrupts = 0

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1:
            _leave()
        # On a thread of its own: a signal handler may interrupt whoever holds the lock that this needs.
        threading.Thread(target=_stop, args=(runner,), daemon=True).start()

    former = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _stop(runner: Runner) -> None:
    runner.request_stop()
    say("stopping at the next check point; Ctrl-C again to leave at once")


def _leave() -> NoReturn:
    os._exit(Exit.INTERRUPTED)  # the run's last check point is durable; whoever comes next goes on from there


def tell_end(status: Status) -> None:
    """Say how a run has ended, or how to go on with it."""
    run_id = status["run_id"]
    if status["status"] == "running":
        where = status["phase_label"]
        say(f"run {run_id} stopped in {where!r}; go on with: phaseline resume {run_id}")
    elif status["status"] == "failed":
        where, code = status["phase_label"], status["error_code"]
        say(f"run {run_id} failed in {where!r} ({code}): {status['error_message']}")
