"""The few threads that wait for a server, while the thread of the run watches for a stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Final

from phases.analyzers.llm.asking import Asked
from phases.analyzers.llm.prompt import Prompt
from statemachine.contract import StopPhase

IN_FLIGHT: Final = 5
STOP_CHECK_S: Final = 0.1


class Crew:
    """Asks about up to `IN_FLIGHT` comments at once."""

    def __init__(self, pool: ThreadPoolExecutor, halt: threading.Event, check: Callable[[], None]) -> None:
        self._pool = pool
        self._halt = halt
        self._check = check

    def ask(
        self, ask: Callable[[Prompt], Asked], prompts: Sequence[Prompt]
    ) -> tuple[list[Asked], StopPhase | None]:
        """Return what came of each prompt, in order, and why the phase has to end, if it has to.

        A stop lets no new request begin and ends all waits; what is on the wire is waited for, since it is
        paid for.
        """
        jobs = [self._pool.submit(ask, prompt) for prompt in prompts]
        waiting, stop = set(jobs), None
        while waiting:
            _, waiting = wait(waiting, timeout=STOP_CHECK_S)
            stop = stop or self._stop()
        return [job.result() for job in jobs], stop

    def _stop(self) -> StopPhase | None:
        try:
            self._check()
        except StopPhase as stop:
            self._halt.set()
            return stop
        return None


@contextmanager
def crew(halt: threading.Event, check: Callable[[], None]) -> Generator[Crew]:
    """Open the threads, and end them: `halt` is set then, and what is on the wire is waited for."""
    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="phaseline-llm") as pool:
        try:
            yield Crew(pool, halt, check)
        finally:
            halt.set()
