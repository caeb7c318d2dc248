"""Requests made up from our own OpenAPI document, right and wrong ones: every answer is as documented."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app
from api.settings import Settings
from tests.api.world import until_idle

EXAMPLES = 14
"""Requests for each operation and mode; some 500 in all."""
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
load_all_checks()


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """A server of the real pipeline whose sample was analysed once, so that there is something to answer."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        of = Settings(db=Path(folder) / "runs.db", executor="threads", max_active_runs=3)
        with TestClient(create_app(of), raise_server_exceptions=False) as client:
            client.post("/analyze")
            until_idle(client)
            assert client.get("/signals").json()["items"]
            yield client


SCHEMA = schemathesis.openapi.from_dict(create_app(Settings(db=Path("unused.db"))).openapi())
OPERATIONS = {
    f"{operation.method.upper()} {operation.path}": operation
    for operation in (result.ok() for result in SCHEMA.get_all_operations())
}


def _takes_anything(operation: Any) -> bool:
    """Return whether there is something to get wrong."""
    return bool(operation.body) or any(True for _ in operation.iter_parameters())


def test_the_document_describes_every_operation() -> None:
    assert len(OPERATIONS) == 27


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode"),
    [
        pytest.param(name, mode, id=f"{mode.value} {name}")
        for name, operation in OPERATIONS.items()
        for mode in GenerationMode
        if mode == GenerationMode.POSITIVE or _takes_anything(operation)
    ],
)
def test_every_answer_is_as_documented(client: TestClient, name: str, mode: GenerationMode) -> None:
    operation = OPERATIONS[name]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        case.validate_response(_answer(client, case), checks=CHECKS)

    ask()


def _answer(client: TestClient, case: schemathesis.Case) -> Any:
    sent = case.as_transport_kwargs(base_url="http://testserver")
    sent.pop("cookies")
    sent["content"] = sent.pop("data", None)
    return client.request(**sent)
