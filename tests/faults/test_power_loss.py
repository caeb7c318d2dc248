"""The power goes after any operation; whatever the write cache kept, what was acknowledged is there."""

from __future__ import annotations

import random  # noqa: TID251  # chance is passed in: a Random made from a seed
from pathlib import Path
from typing import Final

import pytest

from tests.faults.forkserver import Server
from tests.faults.life import KILL, Fault, Life
from tests.faults.powerloss import cut, logged
from tests.faults.sweep import Figures

HERE: Final = Path()  # the harness chooses the folder
ONE: Final = [Life(db=HERE)]
THREE: Final = [Life(db=HERE, fault=Fault(kind=KILL, at=110)), Life(db=HERE), Life(db=HERE)]
"""One is killed, one recovers what it left, one begins on a file that was closed in good order."""
BIG: Final = [Life(db=HERE, params={"items": 3, "payload": 900_000}), Life(db=HERE)]
"""The write-ahead log is moved into the database in mid-run, and begun again."""


def _cut(server: Server, log: Path, lives: list[Life], every: int, some: int) -> Figures:
    logged(server, log, lives)
    figures = Figures()
    cut(server, log, figures, random.Random(7), every=every, some=some)
    print(f"power cuts: {figures}")  # noqa: T201  # the figures of docs/reliability.md
    return figures


def test_nothing_acknowledged_is_lost_with_the_power(server: Server, tmp_path: Path) -> None:
    figures = _cut(server, tmp_path / "log", ONE, every=7, some=2)

    assert figures.cases > 40
    assert figures.problems == []


@pytest.mark.tier1
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("lives", "every"), [(ONE, 1), (THREE, 1), (BIG, 60)], ids=["one", "three", "big"])
def test_nothing_acknowledged_is_lost_whenever_the_power_goes(
    server: Server, tmp_path: Path, lives: list[Life], every: int
) -> None:
    figures = _cut(server, tmp_path / "log", lives, every=every, some=4)

    assert figures.cases > 200
    assert figures.problems == []
