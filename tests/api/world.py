"""What the tests of the API and the command line share: types, a gate, and ways to wait."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.services import Services
from api.settings import Settings

HERE = Path(__file__).parent
MakeSettings = Callable[..., Settings]
Serve = Callable[..., TestClient]
AS_OF = "2020-12-01T18:00:00Z"


def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no setting of the machine reach a test, and its phases be importable."""
    for name in [name for name in os.environ if name.startswith(("PHASELINE_", "REDDIT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(HERE))


class Gate:
    """The named pipe at which `registries.gate` waits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)

    @property
    def body(self) -> dict[str, Any]:
        """What to post, so that the run waits here."""
        return {"params": {"gate": str(self.path)}}

    def wait_for_arrival(self) -> int:
        """Return the open gate when the phase has come to it; close it to let the phase go on."""
        return os.open(self.path, os.O_WRONLY)

    def let_go(self) -> None:
        """Wait until the phase has come here, and let it go on."""
        os.close(self.wait_for_arrival())

    def release(self) -> None:
        """Let go whoever waits here now or comes later."""
        held = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        opened = self.path.with_suffix(".open")
        opened.touch()
        opened.replace(self.path)
        os.close(held)


def services_of(client: TestClient) -> Services:
    services: Services = client.app.state.services  # type: ignore[attr-defined]  # Starlette's state is untyped
    return services


def until_idle(client: TestClient) -> None:
    """Wait until no run is driven any more."""
    assert services_of(client).runner.wait(20)
