"""Every storage operation of a run is broken in turn; the next process must make it good."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.faults.forkserver import Server
from tests.faults.sweep import KINDS, Figures, operations, sweep, sweep_twice

BIGGER_THAN_THE_CACHE = {"items": 3, "payload": 900_000}
"""SQLite's page cache holds 2 MB: such a phase writes before it commits."""
SWALLOWS_ERRORS = {"stubborn": True}


@pytest.fixture(scope="module")
def count(server: Server) -> int:
    found = operations(server)
    assert found > 100, "a run of three phases makes more than a hundred storage operations"
    return found


def _shown(figures: Figures, what: str) -> None:
    print(f"{what}: {figures}")  # noqa: T201  # the figures of docs/reliability.md
    assert figures.problems == []


@pytest.mark.parametrize("name", KINDS)
def test_a_run_survives_a_broken_storage_operation(server: Server, count: int, name: str) -> None:
    figures = Figures()
    sweep(server, name, _sample(count, 16), figures)

    _shown(figures, name)


@pytest.mark.tier1
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", KINDS)
def test_a_run_survives_each_broken_storage_operation(server: Server, count: int, name: str) -> None:
    figures = Figures()
    sweep(server, name, range(1, count + 2), figures)

    assert figures.cases == count + 1
    _shown(figures, name)


@pytest.mark.tier1
@pytest.mark.timeout(600)
@pytest.mark.parametrize("params", [SWALLOWS_ERRORS, BIGGER_THAN_THE_CACHE], ids=["stubborn", "big"])
@pytest.mark.parametrize("name", ["kill", "EIO once", "half a write, then ENOSPC"])
def test_a_stubborn_or_big_phase_survives_too(server: Server, name: str, params: dict[str, object]) -> None:
    figures = Figures()
    sweep(server, name, _sample(operations(server, params=params), 60), figures, params=params)

    _shown(figures, f"{name}, {params}")


def test_a_recovery_that_is_killed_is_recovered_from(server: Server, count: int) -> None:
    figures = Figures()
    sweep_twice(server, [count * 2 // 3], lambda operations: _sample(operations, 10), figures)

    _shown(figures, "second kill")


@pytest.mark.tier1
@pytest.mark.timeout(600)
def test_each_operation_of_a_recovery_may_be_the_last(server: Server, count: int) -> None:
    figures = Figures()
    sweep_twice(server, _sample(count, 8), lambda operations: range(1, operations + 1), figures)

    _shown(figures, "second kill")


def test_the_harness_kills_where_it_says(server: Server, count: int) -> None:
    figures = Figures()
    sweep(server, "kill", [1, count], figures)
    sweep(server, "kill", [count + 1], figures)

    assert figures.kills == 2


def _sample(operations: int, size: int) -> Iterable[int]:
    """Return about `size` of the operations 1 to `operations`, evenly spread, the last among them."""
    return range(operations, 0, -max(1, operations // size))
