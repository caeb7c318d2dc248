"""Work for the worker processes: functions that can be found by name there, and need no more than this."""

from __future__ import annotations

import multiprocessing
import os
import threading
from pathlib import Path


class Picky(Exception):
    """An exception that can be pickled, but not loaded again."""

    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")


def double(number: int) -> int:
    return number * 2


def where(_number: int) -> tuple[int, str]:
    return os.getpid(), threading.current_thread().name


def refuse(number: int) -> int:
    if number == 3:
        raise ValueError(f"no {number}")
    return number


def refuse_oddly(number: int) -> int:
    raise Picky(code=number)


def leave(number: int) -> int:
    if number == 3:
        raise SystemExit(number)
    return number


def die_at_first(entry: tuple[Path, int]) -> int:
    """Kill the worker at item 3, unless that has been done before; count each call."""
    folder, number = entry
    with (folder / f"calls-{number}").open("a") as calls:
        calls.write("x")
    mark = folder / "died"
    if number == 3 and not mark.exists():
        mark.touch()
        os._exit(1)
    return number


def die(_number: int) -> int:
    os._exit(1)


def unpicklable(_number: int) -> object:
    return lambda: None


def how_started(_number: int) -> str | None:
    return multiprocessing.get_start_method(allow_none=True)
