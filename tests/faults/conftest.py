"""The shim is built once, with the C compiler of the machine; without one, what needs it is skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.forkserver import Server
from tests.faults.toolchain import built_shim


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = built_shim(tmp_path_factory.mktemp("shim"))
    if built is None:
        pytest.skip("there is no C compiler (cc) here to build the shim with")
    return built


@pytest.fixture(scope="session")
def server(shim: Path) -> Iterator[Server]:
    with Server(shim) as started:
        yield started


@pytest.fixture(scope="session")
def plain_server() -> Iterator[Server]:
    """A fork server on the disk as it is."""
    with Server(None) as started:
        yield started
