"""A world of its own for each test, and the log as a person would see it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.cli.root import run
from tests.api.world import own_world

Command = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def _own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    own_world(tmp_path, monkeypatch)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process; return its exit code and all that it wrote."""

    def ran(*args: str) -> tuple[int, str]:
        capsys.readouterr()
        code = run(args)
        return code, "".join(capsys.readouterr())

    return ran
