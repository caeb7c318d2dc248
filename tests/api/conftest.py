"""A real server application on a real database, with small phases that tests can hold and let go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from tests.api.world import AS_OF, Gate, MakeSettings, Serve, own_world


@pytest.fixture(autouse=True)
def _own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_world(tmp_path, monkeypatch)


@pytest.fixture
def make_settings(tmp_path: Path) -> MakeSettings:
    def make(phases: str = "QUICK", **settings: Any) -> Settings:
        given = {"db": tmp_path / "runs.db", "as_of": AS_OF, "phases": f"registries:{phases}"}
        return Settings(**{**given, **settings})

    return make


@pytest.fixture
def serve(make_settings: MakeSettings) -> Iterator[Serve]:
    """Start the application for a list of `registries.py`; return a client of it."""
    with ExitStack() as stack:

        def start(phases: str = "QUICK", **settings: Any) -> TestClient:
            app = create_app(make_settings(phases, **settings))
            return stack.enter_context(TestClient(app, raise_server_exceptions=False))

        yield start


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path / "gate")
    yield made
    made.release()
