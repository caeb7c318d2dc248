"""`ctx.map`: pure work elsewhere, in order, whatever happens to the workers."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine.errors import WorkerDied
from statemachine.workers import MAX_CHUNK, MAX_DEATHS, QUICK_S, Kind, Workers, _Answer, _begin_worker
from tests.statemachine import work
from tests.statemachine.conftest import MakeRunner, drive

ROOT = Path(__file__).parents[2]


@contextmanager
def workers(kind: Kind = "threads", size: int = 2) -> Iterator[Workers]:
    made = Workers(kind, size=size)
    yield made
    made.close()


@pytest.fixture(scope="module")
def processes() -> Iterator[Workers]:
    """Two worker processes, started once."""
    with workers("processes") as made:
        yield made


# --- order and window ---


@given(st.lists(st.integers(), max_size=300), st.integers(1, 5))
@settings(max_examples=30)
def test_results_come_in_order_one_for_each_item(numbers: list[int], size: int) -> None:
    with workers(size=size) as made:
        assert list(made.map(work.double, iter(numbers))) == [2 * number for number in numbers]


@given(size=st.integers(1, 4), taken=st.integers(1, 400))
@settings(max_examples=30)
def test_only_a_bounded_window_of_items_is_taken_ahead(size: int, taken: int) -> None:
    asked = 0

    def source() -> Iterator[int]:
        nonlocal asked
        while True:
            asked += 1
            yield asked

    with workers(size=size) as made:
        results = made.map(work.double, source())
        for _ in range(taken):
            next(results)

        assert asked <= taken + (2 * size + 1) * MAX_CHUNK


def test_nothing_is_taken_before_the_first_result_is_wanted() -> None:
    with workers() as made:
        made.map(work.double, iter([].__getitem__, None))


def test_threads_work_in_this_process_and_not_on_this_thread() -> None:
    with workers("threads") as made:
        (found,) = set(made.map(work.where, [1]))

    assert found[0] == os.getpid()
    assert found[1].startswith("phaseline-map")
    assert found[1] != threading.current_thread().name


@pytest.mark.slow
def test_processes_work_elsewhere_and_are_used_again(processes: Workers) -> None:
    first = {pid for pid, _ in processes.map(work.where, range(50))}
    second = {pid for pid, _ in processes.map(work.where, range(50))}

    assert os.getpid() not in first | second
    assert len(first | second) <= 2
    assert list(processes.map(work.double, range(200))) == list(range(0, 400, 2))


# --- exceptions ---


@pytest.mark.parametrize("kind", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_an_exception_comes_after_the_results_before_it(kind: Kind, processes: Workers) -> None:
    with workers("threads") as threads:
        results = (threads if kind == "threads" else processes).map(work.refuse, range(10))

        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ValueError, match="no 3"):
            next(results)
        assert list(results) == []


@pytest.mark.slow
def test_an_exception_that_can_not_travel_is_told_and_no_death(processes: Workers) -> None:
    with pytest.raises(RuntimeError, match="Picky: code 7"):
        list(processes.map(work.refuse_oddly, [7]))


@pytest.mark.slow
def test_what_can_not_be_pickled_is_told(processes: Workers) -> None:
    with pytest.raises((pickle.PicklingError, AttributeError), match=r"pickle|local object"):
        list(processes.map(work.unpicklable, [1]))
    with pytest.raises((pickle.PicklingError, AttributeError), match=r"pickle|local object"):
        list(processes.map(lambda number: number, [1]))


@pytest.mark.slow
def test_work_that_wants_to_leave_the_process_raises_that(processes: Workers) -> None:
    with pytest.raises(SystemExit):
        list(processes.map(work.leave, range(10)))


def test_a_source_that_raises_raises() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise KeyError("gone")

    with workers() as made, pytest.raises(KeyError):
        list(made.map(work.double, source()))


def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    go, begun = threading.Event(), threading.Semaphore(0)

    def slow_but_the_first(number: int) -> int:
        if number > 0:
            begun.release()
            assert go.wait(60)
        return number

    with workers(size=2) as made:
        results = made.map(slow_but_the_first, range(100))
        assert next(results) == 0
        for _ in range(2):
            begun.acquire()
        results.close()  # type: ignore[attr-defined]  # it is a generator
        go.set()
        assert list(made.map(abs, [-1, -2, -3])) == [1, 2, 3], "behind what had begun"

    assert not begun.acquire(blocking=False)


# --- deaths ---


@pytest.mark.slow
def test_the_death_of_a_worker_is_survived_and_what_was_yielded_is_not_done_again(folder: Path) -> None:
    with workers("processes") as made:
        results = made.map(work.die_at_first, ((folder, number) for number in range(20)))
        found = list(results)

    assert found == list(range(20))
    assert (folder / "died").exists()
    assert (folder / "calls-0").read_text() in {"x", "xx"}


@pytest.mark.slow
def test_work_that_kills_every_worker_is_given_up() -> None:
    with workers("processes", size=1) as made:
        with pytest.raises(WorkerDied, match=r"died 4 times in a row in <function die.*want of memory"):
            list(made.map(work.die, [1]))

        assert list(made.map(work.double, [2])) == [4], "others can go on"


@pytest.mark.slow
def test_a_phase_whose_workers_keep_dying_fails_its_run(make_runner: MakeRunner) -> None:
    runner = make_runner(lambda _conn, ctx: list(ctx.map(work.die, [1])), executor="processes")
    runner.create({})

    assert "worker processes died 4 times in a row" in (drive(runner).error_message or "")


def test_a_pool_that_another_run_has_replaced_already_is_not_closed() -> None:
    with workers("threads") as made:
        pool = made._open()
        made._replace(pool)
        again = made._open()
        made._replace(pool)

        assert made._open() is again


class Broken(Executor):
    """A pool that has just broken."""

    def submit(self, *_: object, **__: object) -> Future[Any]:
        raise BrokenExecutor("a child process terminated abruptly")


def test_a_pool_that_breaks_while_work_is_handed_in_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with workers("threads") as made:
        new = made._new
        pools: list[Executor] = [Broken(), Broken()]
        monkeypatch.setattr(made, "_new", lambda: pools.pop() if pools else new())

        assert list(made.map(work.double, range(5))) == [0, 2, 4, 6, 8]


ORPHANAGE = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from statemachine.workers import Workers
from tests.statemachine import work

if __name__ == "__main__":
    kept = Workers("processes", size=2)
    print(*{pid for pid, _ in kept.map(work.where, range(100))}, flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_workers_die_with_a_parent_that_was_killed(folder: Path) -> None:
    program = folder / "orphanage.py"
    program.write_text(ORPHANAGE)
    command = [sys.executable, str(program), str(ROOT)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        orphans = [int(pid) for pid in parent.stdout.readline().split()]
        assert orphans
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        # Its end of the pipe is closed with the last process that holds it: this read waits for the orphans.
        assert parent.stdout.read() == ""


def test_closing_twice_or_before_any_work_is_fine() -> None:
    made = Workers("processes")
    made.close()
    made.close()


class Mortal(Executor):
    """A pool that answers so many chunks, in so many seconds each, and is broken from then on."""

    def __init__(self, answers: int, took_s: Sequence[float] = (), sizes: list[int] | None = None) -> None:
        self._answers = answers
        self._took_s = iter(took_s)
        self._sizes = sizes

    def submit(self, _work: Any, function: Any, chunk: Any, /) -> Future[Any]:  # type: ignore[override]  # one use
        future: Future[Any] = Future()
        if self._answers == 0:
            future.set_exception(BrokenExecutor("a child process terminated abruptly"))
            return future
        self._answers -= 1
        if self._sizes is not None:
            self._sizes.append(len(chunk))
        future.set_result(_Answer([function(item) for item in chunk], None, next(self._took_s, 0.0)))
        return future


def test_as_many_deaths_in_a_row_as_are_allowed_are_survived_and_then_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pools = iter([Mortal(0)] * MAX_DEATHS + [Mortal(1)] + [Mortal(0)] * (MAX_DEATHS - 1) + [Mortal(99)])
    monkeypatch.setattr(Workers, "_new", lambda _self: next(pools))

    assert list(Workers(size=1).map(abs, [-1, -2, -3])) == [1, 2, 3]
    assert list(pools) == []


def test_one_death_more_is_blamed_on_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workers, "_new", lambda _self: Mortal(0))

    with pytest.raises(WorkerDied) as blamed:
        list(Workers(size=1).map(abs, [-1]))

    assert str(blamed.value) == (
        f"worker processes died {MAX_DEATHS + 1} times in a row in {abs!r}; is it killed for want of memory?"
    )


@pytest.mark.parametrize(
    ("took_s", "sizes"),
    [
        ([], [1, 1, 2, 4, 8, 16, 32, MAX_CHUNK, MAX_CHUNK]),
        ([0, 0, QUICK_S, QUICK_S, QUICK_S, QUICK_S], [1, 1, 2, 4, 2, 1, 1, 1, 2]),
    ],
)
def test_chunks_grow_while_they_are_quick_and_shrink_where_they_are_not(
    monkeypatch: pytest.MonkeyPatch, took_s: list[float], sizes: list[int]
) -> None:
    seen: list[int] = []
    pool = Mortal(10**6, took_s, seen)
    monkeypatch.setattr(Workers, "_new", lambda _self: pool)

    assert list(Workers(size=1).map(abs, range(1000))) == list(range(1000))
    assert seen[: len(sizes)] == sizes


# --- what a worker process begins with ---


@pytest.mark.slow
def test_worker_processes_are_spawned_for_a_fork_would_copy_locks(processes: Workers) -> None:
    assert list(processes.map(work.how_started, [1])) == ["spawn"]


def test_a_worker_leaves_the_signal_and_the_first_turn_to_others_and_dies_with_its_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[object] = []
    parent, ended = threading.Event(), threading.Event()

    class Parent:
        def join(self) -> None:
            assert parent.wait(60)
            done.append(threading.current_thread().daemon)

    def leave(code: int) -> None:
        done.append(code)
        ended.set()

    monkeypatch.setattr("multiprocessing.parent_process", Parent)
    monkeypatch.setattr(signal, "signal", lambda *given: done.append(given))
    monkeypatch.setattr(os, "nice", done.append)
    monkeypatch.setattr(os, "_exit", leave)

    _begin_worker()
    assert done == [(signal.SIGINT, signal.SIG_IGN), 10]
    parent.set()
    assert ended.wait(60)

    assert done[2:] == [True, 1]
