"""Traces as a collector gets them, and what becomes of runs when it is down, slow or unwell."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings, SettingsError
from tests.api.test_server import Server, stream_of
from tests.api.world import AS_OF, Gate, until_idle
from tests.traces.collector import Collected, collecting


@contextmanager
def serving(tmp_path: Path, phases: str, url: str) -> Iterator[TestClient]:
    """Serve until the end, which is when everything was sent."""
    of = Settings(db=tmp_path / "runs.db", as_of=AS_OF, phases=f"registries:{phases}", traces=url)
    with TestClient(create_app(of), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def start(tmp_path: Path, collected: Collected) -> Iterator[Callable[[str], Server]]:
    with ExitStack() as stack:

        def started(phases: str) -> Server:
            server = Server(tmp_path, phases, "--traces", collected.url)
            stack.callback(server.clean_up)
            return server

        yield started


def test_a_run_is_a_trace_and_each_phase_a_span_of_it(tmp_path: Path, collected: Collected) -> None:
    with serving(tmp_path, "QUICK", collected.url) as client:
        client.post("/analyze")
        until_idle(client)
        started_at = client.get("/runs/1").json()["started_at"]

    run, first, second = collected.of_runs
    assert [span.name for span in (run, first, second)] == ["run", "first_note", "second_note"]
    assert {span.trace_id for span in collected.of_runs} == {run.trace_id}
    assert (run.parent_id, first.parent_id, second.parent_id) == ("", run.span_id, run.span_id)
    assert run.start_ns == first.start_ns == ns(started_at)
    assert (first.end_ns, second.end_ns) == (second.start_ns, run.end_ns)
    assert not any(span.failed for span in collected.of_runs)
    assert run.attributes == {"phaseline.run.id": 1, "phaseline.run.status": "completed"}
    assert (run.service, set(collected.paths)) == ("phaseline", {"/v1/traces"})


def ns(at: str) -> int:
    from datetime import datetime  # noqa: PLC0415  # only here

    return round(datetime.fromisoformat(at).timestamp() * 1000) * 1_000_000


def test_a_failure_tells_its_code_and_no_word_of_its_message(tmp_path: Path, collected: Collected) -> None:
    with serving(tmp_path, "BROKEN", collected.url) as client:
        client.post("/analyze")
        until_idle(client)

    run, _, broken = collected.of_runs
    assert (run.failed, broken.failed) == (True, True)
    assert run.attributes["error.type"] == broken.attributes["error.type"] == "error"
    assert broken.attributes["exception.type"] == "RuntimeError"
    assert not any(b"SECRET123" in body or b"it broke" in body for body in collected.bodies)


@pytest.mark.slow
def test_a_run_that_was_killed_and_recovered_is_one_trace(
    start: Callable[[str], Server], gate: Gate, collected: Collected
) -> None:
    server = start("GATED")
    server.ask("POST", "/analyze", gate.body)
    arrived = gate.wait_for_arrival()
    collected.came.wait(20)  # what the first process has told is on its way before it dies
    server.told(signal.SIGKILL)
    server.ended()
    os.close(arrived)

    again = start("GATED")
    gate.let_go()
    stream_of(again).read()
    again.told(signal.SIGTERM)
    assert again.ended() == 0

    named = [(span.name, span.attributes.get("phaseline.phase.attempt")) for span in collected.of_runs]
    assert named == [("run", None), ("first_note", 1), ("gate", 1), ("gate", 2), ("last_note", 1)]
    run, _, died, *_ = collected.of_runs
    assert {(span.trace_id, span.parent_id or span.span_id) for span in collected.of_runs} == {
        (run.trace_id, run.span_id)
    }
    assert (died.failed, died.attributes["error.type"]) == (True, "owner_died")
    assert died.attributes["phaseline.end_noticed"] is True
    assert not run.failed


def test_requests_are_spans_but_not_those_that_machines_repeat(tmp_path: Path, collected: Collected) -> None:
    with serving(tmp_path, "QUICK", collected.url) as client:
        client.post("/analyze", headers={"idempotency-key": "S3CRET"})
        until_idle(client)
        for path in ("/runs/1", "/runs/1/status", "/runs/9", "/healthz", "/readyz", "/metrics", "/ui/"):
            client.get(path, headers={"authorization": "Bearer S3CRET"})
        client.get("/runs/1/stream")

    told = [
        (span.name, span.attributes["http.response.status_code"], span.failed)
        for span in sorted(collected.of_requests, key=lambda span: span.start_ns)
    ]
    assert told == [
        ("POST /analyze", 202, False),
        ("GET /runs/{run_id}", 200, False),
        ("GET /runs/{run_id}/status", 200, False),
        ("GET /runs/{run_id}", 404, False),
    ]
    assert not any(b"S3CRET" in body for body in collected.bodies)


@pytest.mark.parametrize("status", [400, 500, 503])
def test_a_collector_that_refuses_disturbs_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr("api.collector.FLUSH_S", 0.2)
    with collecting(status) as unwell, serving(tmp_path, "QUICK", unwell.url) as client:
        client.post("/analyze")
        until_idle(client)

        assert client.get("/runs/1").json()["status"] == "completed"


def test_a_collector_that_is_down_disturbs_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("api.collector.FLUSH_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    caplog.set_level(logging.INFO)

    with serving(tmp_path, "QUICK", url) as client:
        client.post("/analyze")
        until_idle(client)
        assert client.get("/runs/1").json()["status"] == "completed"

    assert "Traceback" not in caplog.text


def test_a_collector_that_never_answers_does_not_hold_the_end_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.collector.FLUSH_S", 0.2)
    with collecting() as slow:
        slow.answers.clear()
        with serving(tmp_path, "QUICK", slow.url) as client:
            client.post("/analyze")
            until_idle(client)
            assert client.get("/runs/1").json()["status"] == "completed"

        assert slow.came.wait(20)
        assert slow.spans == [], "the server has ended, and it has not answered yet"


def test_a_run_of_the_command_line_is_traced_too(tmp_path: Path, collected: Collected) -> None:
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-P", "-m", "api.cli", "analyze", "--db", "runs.db", "--json"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": f"{root}{os.pathsep}{root / 'tests/api'}",
            "PHASELINE_TRACES": collected.url,
            "PHASELINE_PHASES": "registries:QUICK",
            "OTEL_SERVICE_NAME": "night-shift",
        },
        check=True,
        capture_output=True,
    )

    assert [span.name for span in collected.of_runs] == ["run", "first_note", "second_note"]
    assert {span.service for span in collected.of_runs} == {"night-shift"}


def test_who_has_no_traces_pays_for_none(tmp_path: Path) -> None:
    program = (
        "import sys; from api.app import create_app; create_app(); "
        "assert not {'opentelemetry.sdk', 'opentelemetry.exporter'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        env={**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[2])},
    )


def test_a_missing_extra_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "api.collector", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    with pytest.raises(
        SettingsError, match=r'^TRACES wants OpenTelemetry: pip install "phaseline\[traces\]"$'
    ):
        create_app(Settings(db=tmp_path / "runs.db", traces="http://127.0.0.1:4318"))
