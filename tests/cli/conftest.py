"""The command line in this process: arguments in, exit code and two texts out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.cli.root import run
from tests.api.world import AS_OF, Gate, own_world

Phaseline = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    own_world(tmp_path, monkeypatch)
    monkeypatch.setenv("PHASELINE_AS_OF", AS_OF)
    monkeypatch.setenv("PHASELINE_PHASES", "registries:QUICK")
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)


@pytest.fixture
def phaseline(capsys: pytest.CaptureFixture[str]) -> Phaseline:
    """Run a command line; return the exit code, stdout and stderr."""

    def typed(*args: str) -> tuple[int, str, str]:
        code = run(args)
        said = capsys.readouterr()
        return code, said.out, said.err

    return typed


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path / "gate")
    yield made
    made.release()
