"""Only their owner reads the files that a run leaves, whatever the umask says."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from statemachine.registry import Registry
from statemachine.runner import Runner
from tests.hardening.conftest import Command
from tests.hardening.leaking import work


@pytest.fixture(autouse=True)
def _anything_goes() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    found = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir()}
    return {".": oct(stat.S_IMODE(folder.stat().st_mode)), **found}


def test_an_open_database_and_all_beside_it_are_private() -> None:
    runner = Runner(Path("data/runs.db"), Registry.of([(1, "Work", work)]))
    try:
        runner.start({})
        assert runner.wait(20)
        found = modes(Path("data"))
    finally:
        runner.close()

    assert {"runs.db", "runs.db-wal", "runs.db-shm"} < set(found)
    assert any("owner" in name for name in found)
    assert found.pop(".") == "0o700"
    assert set(found.values()) == {"0o600"}


@pytest.mark.slow
def test_a_run_of_the_pipeline_leaves_private_files(command: Command) -> None:
    flags = ("--db", "deep/data/runs.db", "--executor", "threads")

    assert command("analyze", *flags)[0] == 0
    found = modes(Path("deep/data"))

    assert {"runs.db", "runs.db-key"} < set(found)
    assert found.pop(".") == "0o700"
    assert set(found.values()) == {"0o600"}


@pytest.mark.slow
def test_the_log_of_a_detached_run_is_private(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASELINE_PHASES", "nowhere:PHASES")

    assert command("analyze", "--detach", "--db", "data/runs.db")[0] == 1

    assert modes(Path("data")) == {".": "0o700", "runs.db.log": "0o600"}
