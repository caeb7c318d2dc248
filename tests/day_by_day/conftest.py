"""A world of its own for each test."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.cli.root import run
from tests.api.world import own_world
from tests.day_by_day.world import USUAL, World, conversation, prices

Phaseline = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    own_world(tmp_path, monkeypatch)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An archive of eight days, and prices."""
    made = World(tmp_path)
    made.write(conversation(), prices(USUAL))
    return made


@pytest.fixture
def phaseline(capsys: pytest.CaptureFixture[str]) -> Phaseline:
    """Run a command line; return the exit code, stdout and stderr."""

    def typed(*args: str) -> tuple[int, str, str]:
        code = run(args)
        said = capsys.readouterr()
        return code, said.out, said.err

    return typed
