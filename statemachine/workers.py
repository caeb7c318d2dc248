"""`ctx.map`: pure work on worker processes (or threads), results in order, a dead worker survived.

Heavy Python on the run's own thread would hold the interpreter lock, and every status read would wait for it.
Items travel in chunks, which grow while they are quick, so that a cheap function is not all overhead and a
slow one is not held back. Worker processes are spawned, never forked: a fork would copy SQLite's locks.
What makes processes is imported with the first of them: it would take a fifth of the engine's start.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal

from statemachine.errors import WorkerDied

Kind = Literal["threads", "processes"]

MAX_CHUNK: Final = 64
"""Most items that travel together."""
QUICK_S: Final = 0.05
"""A chunk that takes less lets the next ones double."""
MAX_DEATHS: Final = 3
"""So many dead pools in a row without a result, and the work itself is to blame."""


@dataclass(frozen=True, slots=True)
class _Answer:
    results: list[Any]
    error: Exception | None
    took_s: float


def _work(function: Callable[[Any], Any], chunk: Sequence[Any]) -> _Answer:
    began = time.perf_counter()
    results: list[Any] = []
    error: Exception | None = None
    for item in chunk:
        try:
            results.append(function(item))
        except Exception as raised:  # noqa: BLE001  # it travels to the run's thread and is raised there
            error = _portable(raised)
            break
    return _Answer(results, error, time.perf_counter() - began)


def _portable(error: Exception) -> Exception:
    """Return an exception that survives the way to the run's process; one that doesn't looks like a death."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    except Exception:  # noqa: BLE001  # whatever its pickling raises
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _begin_worker() -> None:
    """Leave Ctrl-C and the first turn to the main process, whose answers are waited for, and die with it."""
    import multiprocessing  # noqa: PLC0415  # see above

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(10)
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has one"
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _die_with(parent: Any) -> None:
    parent.join()
    os._exit(1)  # a worker whose owner was killed would wait for its next item for ever


class Workers:
    """The executor that all runs of a process share; started with its first work."""

    def __init__(self, kind: Kind = "processes", *, size: int | None = None) -> None:
        """Make nothing yet; `size` is the number of workers, by default that of the processors."""
        self._kind: Kind = kind
        self._size = size or os.cpu_count() or 1
        self._pool: Executor | None = None
        self._lock = threading.Lock()

    def _open(self) -> Executor:
        with self._lock:
            if self._pool is None:
                self._pool = self._new()
            return self._pool

    def _new(self) -> Executor:
        if self._kind == "threads":
            return futures.ThreadPoolExecutor(self._size, thread_name_prefix="phaseline-map")
        import multiprocessing  # noqa: PLC0415  # see above

        context = multiprocessing.get_context("spawn")
        return futures.ProcessPoolExecutor(self._size, mp_context=context, initializer=_begin_worker)

    def _replace(self, broken: Executor) -> None:
        with self._lock:
            if self._pool is broken:
                self._pool = None
        broken.shutdown(wait=False, cancel_futures=True)

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield `function(item)` for each item in order; at most a few chunks are taken ahead.

        Raises `WorkerDied` where worker processes die again and again on the same work.
        """
        waiting: deque[tuple[list[Any], Future[_Answer]]] = deque()
        try:
            yield from self._mapped(function, iter(items), waiting)
        finally:  # an exception, or a phase that wants no more
            for _, future in waiting:
                future.cancel()

    def _mapped(
        self,
        function: Callable[[Any], Any],
        source: Iterator[Any],
        waiting: deque[tuple[list[Any], Future[_Answer]]],
    ) -> Iterator[Any]:
        size, deaths = 1, 0
        while True:
            pool = self._open()
            try:
                while len(waiting) < 2 * self._size and (chunk := list(islice(source, size))):
                    waiting.append((chunk, _submitted(pool, function, chunk)))
                if not waiting:
                    return
                answer = waiting[0][1].result()
            except BrokenExecutor as error:
                self._replace(pool)
                deaths += 1
                if deaths > MAX_DEATHS:
                    raise WorkerDied(
                        f"worker processes died {deaths} times in a row in {function!r}; "
                        "is it killed for want of memory?"
                    ) from error
                again = self._open()
                for at, (chunk, _) in enumerate(waiting):
                    waiting[at] = (chunk, _submitted(again, function, chunk))
                continue
            waiting.popleft()
            deaths = 0
            size = min(size * 2, MAX_CHUNK) if answer.took_s < QUICK_S else max(size // 2, 1)
            yield from answer.results
            if answer.error is not None:
                raise answer.error

    def close(self) -> None:
        """Stop the workers; what they still do is not waited for."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def _submitted(pool: Executor, function: Callable[[Any], Any], chunk: list[Any]) -> Future[_Answer]:
    try:
        return pool.submit(_work, function, chunk)
    except BrokenExecutor as error:  # so that a pool that broke just now is met in one place
        broken: Future[_Answer] = Future()
        broken.set_exception(error)
        return broken
