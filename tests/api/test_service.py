from __future__ import annotations

import json
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.models import AnalyzeRequest
from api.routes.runs import list_runs
from tests.api.world import Gate, MakeSettings, Serve, services_of, until_idle

SAMPLE = re.compile(r'[a-z_]+(\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*\})? -?[0-9.e+-]+')


def test_health_says_that_the_process_is_up_and_touches_nothing(make_settings: MakeSettings) -> None:
    settings = make_settings()

    assert TestClient(create_app(settings)).get("/healthz").json() == {"status": "ok"}
    assert not settings.db.exists()


def test_readiness_ends_when_the_server_begins_to_stop(serve: Serve) -> None:
    client = serve()

    before = client.get("/readyz")
    services_of(client).end_streams()
    after = client.get("/readyz")

    assert (before.status_code, before.json()["ready"]) == (200, True)
    assert (after.status_code, after.json()["ready"]) == (503, False)


def test_metrics_are_lines_that_prometheus_reads(serve: Serve, gate: Gate) -> None:
    client = serve("GATED")
    client.post("/analyze", json=gate.body)
    gate.let_go()
    until_idle(client)
    client.post("/runs/1/cancel")

    answer = client.get("/metrics")
    lines = answer.text.splitlines()

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert all(line.startswith("# ") or SAMPLE.fullmatch(line) for line in lines)
    assert 'phaseline_runs{status="completed"} 1' in lines
    assert 'phaseline_transitions_total{trigger="advance"} 3' in lines
    assert 'phaseline_refusals_total{trigger="cancel"} 1' in lines
    assert "phaseline_abandoned_threads 0" in lines


def test_the_examples_of_a_request_are_requests(serve: Serve) -> None:
    schema = serve().get("/openapi.json").json()["components"]["schemas"]["AnalyzeRequest"]

    assert schema["examples"]
    for example in schema["examples"]:
        assert set(example) <= set(schema["properties"])
        assert AnalyzeRequest.model_validate(example).model_dump(exclude_unset=True, mode="json") == example


def test_the_document_names_every_error_and_links_a_run_to_its_status(serve: Serve) -> None:
    document: dict[str, Any] = serve().get("/openapi.json").json()

    paths = document["paths"].values()
    operations = {operation["operationId"]: operation for path in paths for operation in path.values()}
    told = operations["analyze"]["responses"]
    assert set(told) == {"202", "400", "401", "403", "409", "413", "415", "422", "500", "503"}
    assert operations["analyze"]["responses"]["202"]["links"]["status"]["operationId"] == "run_status"
    assert {"200", "404"} <= set(operations["run_status"]["responses"])
    for operation in operations.values():
        for status, response in operation["responses"].items():
            if int(status) >= 400 and operation["operationId"] != "get_readiness":
                assert list(response["content"]) == ["application/problem+json"]
    assert json.dumps(document).count("HTTPValidationError") == 0


def test_every_operation_is_explained(serve: Serve) -> None:
    document = serve().get("/openapi.json").json()

    for path in document["paths"].values():
        for operation in path.values():
            assert operation["description"].endswith((".", "`.")), operation["operationId"]
    assert list_runs.__doc__


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_of_another_sites_scripts_is_served(serve: Serve, path: str) -> None:
    answer = serve().get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_method_that_is_not_taken_is_told_what_is(serve: Serve) -> None:
    answer = serve().get("/analyze")

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
