"""Every answer is as our own OpenAPI document says, whatever is asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from schemathesis.generation import GenerationMode

from api.links import LINKS
from tests.hardening.openapi import KINDS, OPERATIONS, ask, follow_links, serving

CASES = 14
"""Requests of each kind; some 500 in all. `python -m tests.hardening.openapi` asks 10,000."""


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with serving() as client:
        yield client


def test_the_document_describes_every_operation() -> None:
    assert len(OPERATIONS) == 30


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode"), [pytest.param(name, mode, id=f"{mode.value} {name}") for name, mode in KINDS]
)
def test_every_answer_is_as_documented(client: TestClient, name: str, mode: GenerationMode) -> None:
    assert ask(client, name, mode, CASES)


@pytest.mark.slow
def test_every_link_leads_to_an_answer(client: TestClient) -> None:
    led = follow_links(client)

    assert set(led) == {(of, name) for of, links in LINKS.items() for name in links if name != "next"}
    assert set(led.values()) <= {200, 202, 409}, "409: the run has ended, or the position is closed"
    assert {led[of, name] for of, name in led if name not in {"cancel", "resume", "close"}} == {200}
