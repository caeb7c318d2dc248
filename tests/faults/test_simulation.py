"""Whole histories from seeds: whatever happens in them, no law is broken, and in the end every run ends."""

from __future__ import annotations

import pytest

from tests.faults.forkserver import Server
from tests.faults.simulation import Simulation


def test_histories_of_bad_luck_end_well(server: Server) -> None:
    simulation = Simulation(server).run(range(25))

    assert simulation.figures.problems == []
    assert simulation.figures.kills > 5
    assert {"completed", "error"} <= simulation.outcomes.keys()


@pytest.mark.tier1
@pytest.mark.timeout(900)
def test_many_histories_of_bad_luck_end_well(server: Server) -> None:
    simulation = Simulation(server).run(range(1_000, 1_400))

    print(simulation)  # noqa: T201  # the figures of docs/reliability.md
    assert simulation.figures.problems == []
    every = {"completed", "error", "timeout", "cancelled", "interrupted", "attempts_exhausted"}
    assert every <= simulation.outcomes.keys()
