from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from api.app import create_app
from api.pipeline import load_pipeline
from api.stream import PAGE, follow
from api.wiring import open_runner
from statemachine.errors import StoreBusy
from statemachine.runner import Runner
from statemachine.store import RunReader
from statemachine.table import edges
from tests.api.world import Gate, MakeSettings, Serve, services_of, until_idle

STATUS = {
    "run_id", "status", "state", "current_phase", "phase_label", "progress_current", "progress_total",
    "step_current", "step_total", "step_unit", "started_at", "updated_at", "completed_at", "error_code",
    "error_message", "warnings", "results",
}  # fmt: skip


def events_of(text: str) -> list[dict[str, Any]]:
    """Parse server-sent events."""
    frames = []
    for block in text.strip().split("\n\n"):
        fields = [line.partition(": ") for line in block.split("\n") if not line.startswith(":")]
        if fields:
            frames.append({name: value for name, _, value in fields})
    return frames


def test_the_status_has_every_promised_member(serve: Serve) -> None:
    client = serve()
    client.post("/analyze")
    until_idle(client)

    status = client.get("/runs/1/status").json()

    assert set(status) >= STATUS
    assert (status["status"], status["state"]) == ("completed", "completed")
    assert (status["progress_current"], status["progress_total"]) == (2, 2)
    assert status["current_phase"] == 5
    assert status["results"] == {"notes": 2}


def test_an_unchanged_status_is_not_sent_again(serve: Serve) -> None:
    client = serve()
    client.post("/analyze")
    until_idle(client)
    etag = client.get("/runs/1/status").headers["etag"]

    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        answer = client.get("/runs/1/status", headers={"if-none-match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert client.get("/runs/1/status", headers={"if-none-match": '"other"'}).status_code == 200


def test_progress_inside_a_phase_is_shown_before_it_is_stored(serve: Serve, gate: Gate) -> None:
    client = serve("GATED")
    client.post("/analyze", json=gate.body)
    arrived = gate.wait_for_arrival()
    before = client.get("/runs/1/status")

    status = before.json()
    os.close(arrived)
    until_idle(client)
    after = client.get("/runs/1/status")

    assert (status["step_current"], status["step_total"], status["step_unit"]) == (1, 3, "gate")
    assert int(before.headers["retry-after"]) > 0
    assert "retry-after" not in after.headers
    assert before.headers["etag"] != after.headers["etag"]


def test_a_failure_keeps_its_warnings_and_hides_its_secrets(serve: Serve) -> None:
    client = serve("BROKEN")
    client.post("/analyze")
    until_idle(client)

    status = client.get("/runs/1/status").json()

    assert (status["status"], status["error_code"]) == ("failed", "error")
    assert "SECRET123" not in client.get("/runs/1/status").text + client.get("/runs/1/events").text
    assert status["warnings"][0]["type"] == "unwell"


def test_a_failure_that_is_not_written_yet_is_told_from_memory(serve: Serve, gate: Gate) -> None:
    client = serve("GATED")
    client.post("/analyze", json=gate.body)
    arrived = gate.wait_for_arrival()
    live = services_of(client).runner.live(1)
    assert live is not None

    live.failure = ("error", "the disk is full")
    status = client.get("/runs/1/status").json()
    live.failure = None
    os.close(arrived)

    assert (status["status"], status["state"]) == ("failed", "failed")
    assert (status["error_code"], status["error_message"]) == ("error", "the disk is full")


def test_runs_are_listed_newest_first_in_parts_that_make_a_whole(serve: Serve) -> None:
    client = serve()
    for _ in range(5):
        client.post("/analyze")
        until_idle(client)

    seen: list[int] = []
    cursor = None
    while True:
        page = client.get("/runs", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [run["id"] for run in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == [5, 4, 3, 2, 1]
    assert client.get("/runs?status=failed").json() == {"items": [], "next_cursor": None}
    assert client.get("/runs?status=strange").status_code == 422


def test_the_history_is_paged_and_complete(serve: Serve) -> None:
    client = serve()
    client.post("/analyze")
    until_idle(client)

    first = client.get("/runs/1/events?limit=2").json()
    rest = client.get(f"/runs/1/events?limit=2&cursor={first['next_cursor']}").json()

    assert [event["trigger"] for event in first["items"] + rest["items"]] == ["start", "advance", "advance"]
    assert rest["next_cursor"] is None


def test_the_stream_tells_the_history_and_ends(serve: Serve) -> None:
    client = serve()
    client.post("/analyze")
    until_idle(client)

    answer = client.get("/runs/1/stream")
    frames = events_of(answer.text)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [frame["event"] for frame in frames] == ["transition"] * 3 + ["end"]
    assert [frame.get("id") for frame in frames] == ["1", "2", "3", None]
    assert json.loads(frames[-1]["data"])["status"] == "completed"


@pytest.mark.parametrize(("seen", "expected"), [("1", ["2", "3"]), ("3", []), ("junk", ["1", "2", "3"])])
def test_the_stream_goes_on_after_the_last_event_that_was_seen(
    serve: Serve, seen: str, expected: list[str]
) -> None:
    client = serve()
    client.post("/analyze")
    until_idle(client)

    frames = events_of(client.get("/runs/1/stream", headers={"last-event-id": seen}).text)

    assert [frame["id"] for frame in frames if "id" in frame] == expected
    assert frames[-1]["event"] == "end"


def test_the_stream_follows_a_run_while_it_goes(serve: Serve, gate: Gate) -> None:
    client = serve("GATED")
    client.post("/analyze", json=gate.body)
    arrived = gate.wait_for_arrival()
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(client.get("/runs/1/stream").text))
    reader.start()

    os.close(arrived)
    reader.join(20)
    frames = events_of(heard[0])

    assert [frame["id"] for frame in frames if "id" in frame] == ["1", "2", "3", "4"]
    assert all("id" not in frame for frame in frames if frame["event"] == "progress")
    assert frames[-1]["event"] == "end"


def test_an_open_stream_ends_when_the_server_stops_and_says_no_end(serve: Serve, gate: Gate) -> None:
    client = serve("GATED")
    client.post("/analyze", json=gate.body)
    arrived = gate.wait_for_arrival()
    services = services_of(client)

    async def told() -> bytes:
        async with aclosing(follow(services, 1, 0)) as stream:
            first = await anext(stream)
            services.end_streams()
            return b"".join([first, *[frame async for frame in stream]])

    heard = [frame["event"] for frame in events_of(asyncio.run(told()).decode())]
    os.close(arrived)

    assert heard[0] == "transition"
    assert "end" not in heard


def test_a_stream_on_which_nothing_happens_says_now_and_then_that_it_is_alive(
    serve: Serve, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.stream.LOOK_S", 0)
    client = serve("GATED")
    client.post("/analyze", json=gate.body)
    arrived = gate.wait_for_arrival()

    async def told() -> list[bytes]:
        async with aclosing(follow(services_of(client), 1, 2)) as stream:
            return [await anext(stream) for _ in range(3)]

    heard = asyncio.run(told())
    os.close(arrived)

    assert [frame.partition(b"\n")[0] for frame in heard] == [b"event: progress", b": ping", b": ping"]


def test_a_client_that_leaves_while_events_wait_for_it_is_no_error(serve: Serve) -> None:
    client = serve()
    client.post("/analyze")
    until_idle(client)
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "method": "GET", "scheme": "http", "path": "/runs/1/stream", "raw_path": b"/runs/1/stream",
        "query_string": b"", "root_path": "", "server": ("testserver", 80),
        "headers": [(b"host", b"testserver")],
    }  # fmt: skip

    async def left() -> list[str]:
        kinds: list[str] = []
        full, never = asyncio.Event(), asyncio.Event()

        async def send(message: dict[str, Any]) -> None:
            kinds.append(message["type"])
            if message["type"] == "http.response.body":
                full.set()
                await never.wait()

        async def receive() -> dict[str, Any]:
            await full.wait()
            await asyncio.sleep(0)  # whoever puts the next event in line has its turn
            return {"type": "http.disconnect"}

        await client.app(scope, receive, send)  # type: ignore[arg-type]  # Starlette's types are of its own
        return kinds

    assert asyncio.run(left()) == ["http.response.start", "http.response.body"]
    assert services_of(client).streams == 0


def test_a_follower_that_is_closed_is_no_open_stream_any_more(serve: Serve, gate: Gate) -> None:
    client = serve("GATED")
    client.post("/analyze", json=gate.body)
    arrived = gate.wait_for_arrival()
    services = services_of(client)

    async def counted() -> list[int]:
        async with aclosing(follow(services, 1, 0)) as stream:
            await anext(stream)
            return [services.streams]

    heard = [*asyncio.run(counted()), services.streams]
    os.close(arrived)

    assert heard == [1, 0]


def test_a_cancel_is_accepted_and_honoured_at_the_next_check_point(serve: Serve, gate: Gate) -> None:
    client = serve("GATED")
    client.post("/analyze", json=gate.body)
    arrived = gate.wait_for_arrival()

    answer = client.post("/runs/1/cancel")
    os.close(arrived)
    until_idle(client)
    status = client.get("/runs/1/status").json()

    assert answer.status_code == 202
    assert answer.json()["cancelling"] is True
    assert (status["status"], status["error_code"]) == ("failed", "cancelled")


def test_a_cancel_of_a_run_that_has_ended_is_refused_with_what_is_allowed(serve: Serve) -> None:
    client = serve("BROKEN")
    client.post("/analyze")
    until_idle(client)

    answer = client.post("/runs/1/cancel")

    assert answer.status_code == 409
    problem = answer.json()
    assert problem["code"] == "illegal_transition"
    assert (problem["state"], problem["trigger"], problem["allowed"]) == ("failed", "cancel", ["resume"])


def test_a_failed_run_goes_on_in_the_phase_it_failed_in(serve: Serve) -> None:
    client = serve("BROKEN")
    client.post("/analyze")
    until_idle(client)

    answer = client.post("/runs/1/resume")
    until_idle(client)

    assert answer.status_code == 202
    assert answer.json()["state"] == "break_down"
    assert client.get("/runs/1").json()["results"] == {"notes": 1}


def test_a_completed_run_can_not_be_resumed(serve: Serve) -> None:
    client = serve()
    client.post("/analyze")
    until_idle(client)

    assert client.post("/runs/1/resume").json()["code"] == "illegal_transition"


def test_the_machine_is_the_table(serve: Serve) -> None:
    machine = serve().get("/machine").json()

    assert [state["state"] for state in machine["states"]] == [
        "first_note", "second_note", "completed", "failed",
    ]  # fmt: skip
    told = [(edge["trigger"], edge["source"], edge["dest"]) for edge in machine["edges"]]
    table = edges(["first_note", "second_note"])
    assert told == [(edge.trigger, edge.source, edge.dest) for edge in table]


@pytest.mark.parametrize(
    ("form", "media_type", "sign"),
    [
        ("mermaid", "text/vnd.mermaid", "stateDiagram-v2"),
        ("dot", "text/vnd.graphviz", "digraph"),
        ("svg", "image/svg+xml", "<svg"),
    ],
)
def test_a_run_is_drawn_in_every_form(serve: Serve, form: str, media_type: str, sign: str) -> None:
    client = serve("BROKEN")
    client.post("/analyze")
    until_idle(client)

    answer = client.get(f"/runs/1/diagram?format={form}")

    assert answer.headers["content-type"].startswith(media_type)
    assert answer.text.startswith(sign)
    assert "script-src" not in answer.headers["content-security-policy"]


def test_a_run_of_other_phases_is_shown_but_neither_drawn_nor_resumed(serve: Serve) -> None:
    broken = serve("BROKEN")
    broken.post("/analyze")
    until_idle(broken)

    client = serve("QUICK")

    assert client.get("/runs/1/status").json()["state"] == "failed"
    assert client.get("/runs/1/diagram").json()["code"] == "foreign_registry"
    assert client.post("/runs/1/resume").json()["code"] == "foreign_registry"


OF_A_RUN = ("", "/status", "/events", "/stream", "/diagram")


@pytest.mark.parametrize("tail", OF_A_RUN)
def test_a_run_that_is_not_there_is_not_found(serve: Serve, tail: str) -> None:
    answer = serve().get(f"/runs/7{tail}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("tail", OF_A_RUN)
def test_no_run_id_whatsoever_is_an_internal_error(serve: Serve, tail: str) -> None:
    client = serve()

    @settings(max_examples=40, deadline=None)
    @given(run_id=st.one_of(st.integers(), st.text(min_size=1, max_size=30)))
    def holds(run_id: int | str) -> None:
        answer = client.get(f"/runs/{quote(str(run_id), safe='')}{tail}")
        assert answer.status_code in {404, 422}
        assert answer.headers["content-type"] == "application/problem+json"

    holds()


def test_an_unexpected_error_tells_nothing_and_keeps_the_headers(serve: Serve, gate: Gate) -> None:
    client = serve()
    services_of(client).pipeline = None  # type: ignore[assignment]  # a bug, as far as the route knows

    answer = client.get("/machine")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "Traceback" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_client_works_without_a_lifespan(make_settings: MakeSettings) -> None:
    client = TestClient(create_app(make_settings()))

    assert client.post("/analyze").status_code == 202
    services_of(client).runner.wait(20)
    assert client.get("/runs/1/status").json()["status"] == "completed"
    services_of(client).close()


def test_a_server_that_ends_without_a_signal_stops_its_runs_as_configured(
    make_settings: MakeSettings, gate: Gate
) -> None:
    with TestClient(create_app(make_settings("GATED", shutdown="checkpoint"))) as client:
        runner = services_of(client).runner
        client.post("/analyze", json=gate.body)
        arrived = gate.wait_for_arrival()
        keeper = threading.Thread(target=lambda: (runner._stopping.wait(10), os.close(arrived)))
        keeper.start()
    keeper.join()

    reader = RunReader(runner.db)
    assert (reader.run(1).status, reader.run(1).owner) == ("running", None)
    reader.close()


def test_a_runner_that_is_handed_in_recovers_and_stays_open(make_settings: MakeSettings) -> None:
    settings = make_settings()
    runner = open_runner(settings, load_pipeline(settings.phases))
    left = open_runner(settings, load_pipeline(settings.phases))
    left.request_stop()
    left.start({})
    left.close()

    with TestClient(create_app(settings, runner=runner)) as client:
        until_idle(client)
        assert client.get("/runs/1/status").json()["status"] == "completed"

    assert runner.readiness()["ready"] is True
    runner.close()


def test_while_a_phase_holds_the_write_lock_answers_come_from_reads(serve: Serve, gate: Gate) -> None:
    client = serve("HOLDING")
    client.post("/analyze", json=gate.body, headers={"idempotency-key": "one"})
    arrived = gate.wait_for_arrival()

    looks = [
        client.get(path).status_code for path in ("/runs", "/runs/1/status", "/runs/1/events", "/metrics")
    ]
    refusals = [client.post(path).status_code for path in ("/analyze", "/runs/1/resume")]
    replayed = client.post("/analyze", json=gate.body, headers={"idempotency-key": "one"})
    cancel = client.post("/runs/1/cancel").status_code
    os.close(arrived)
    until_idle(client)

    assert (looks, refusals, cancel) == ([200] * 4, [409] * 2, 202)
    assert (replayed.status_code, replayed.json()["run_id"]) == (202, 1)
    assert client.get("/runs/1/status").json()["error_code"] == "cancelled"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [("SQLITE_BUSY", 503, "store_busy"), ("SQLITE_IOERR", 500, "internal_error")],
)
def test_a_database_that_is_busy_is_told_apart_from_one_that_is_broken(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, error: str, status: int, code: str
) -> None:
    client = serve()
    raised = sqlite3.OperationalError("as SQLite says")
    raised.sqlite_errorname = error

    def broken(_self: RunReader, _run_id: int) -> None:
        raise raised

    monkeypatch.setattr(RunReader, "run", broken)
    answer = client.get("/runs/1")

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ("retry-after" in answer.headers) == (status == 503)


def test_a_busy_database_does_not_keep_a_server_from_starting(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(_self: Runner) -> None:
        raise StoreBusy("the database is busy")

    monkeypatch.setattr(Runner, "recover", busy)

    assert serve().get("/readyz").json()["ready"] is True


def test_a_long_history_is_streamed_whole(serve: Serve) -> None:
    client = serve("BROKEN")
    client.post("/analyze")
    until_idle(client)
    for _ in range(PAGE // 2):
        client.post("/runs/1/resume")
        until_idle(client)

    told = [frame["id"] for frame in events_of(client.get("/runs/1/stream").text) if "id" in frame]

    assert len(told) == 3 + 2 * (PAGE // 2)
    assert told == sorted(told, key=int)
