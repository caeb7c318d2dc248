"""The real server as a process of its own, with real signals."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from api.listening import listening, url_of
from api.server import SWITCH_S
from statemachine.store import Run, RunReader
from tests.api.world import AS_OF, HERE, Gate

ROOT: Final = HERE.parents[1]
END_S: Final = 30


def serve(folder: Path, phases: str, *flags: str) -> subprocess.Popen[str]:
    """`phaseline serve`, on a free port unless the flags say otherwise."""
    named = ("--db", str(folder / "runs.db"), "--phases", f"registries:{phases}", "--as-of", AS_OF)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "api.cli", "serve", "--json", "--port", "0", *named, *flags],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(HERE)))},
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Server:
    """A server that answers."""

    def __init__(self, folder: Path, phases: str, *flags: str) -> None:
        self.db = folder / "runs.db"
        self.process = serve(folder, phases, *flags)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.address = urlsplit(json.loads(line)["url"]).netloc
        self._open = ExitStack()

    def connection(self) -> HTTPConnection:
        return self._open.enter_context(closing(HTTPConnection(self.address, timeout=END_S)))

    def ask(self, method: str, path: str, body: Any = None) -> HTTPResponse:
        conn = self.connection()
        headers = {} if body is None else {"Content-Type": "application/json"}
        conn.request(method, path, None if body is None else json.dumps(body), headers)
        return self._open.enter_context(conn.getresponse())

    def said(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.readline()

    def told(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        return self.process.wait(END_S)

    def run(self, run_id: int = 1) -> Run:
        reader = RunReader(self.db)
        try:
            return reader.run(run_id)
        finally:
            reader.close()

    def clean_up(self) -> None:
        self.process.kill()
        self._open.close()
        self.process.__exit__(None, None, None)


Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def started(phases: str, *flags: str) -> Server:
            server = Server(tmp_path, phases, *flags)
            stack.callback(server.clean_up)
            return server

        yield started


def stream_of(server: Server, run_id: int = 1) -> HTTPResponse:
    """Return an open event stream that has told its first event."""
    stream = server.ask("GET", f"/runs/{run_id}/stream")
    assert stream.readline().startswith(b"event: transition")
    return stream


def killed_in_mid_run(start: Start, gate: Gate) -> Server:
    """Return what is left of a server that died while a run was at the gate."""
    server = start("GATED")
    server.ask("POST", "/analyze", gate.body)
    arrived = gate.wait_for_arrival()
    server.told(signal.SIGKILL)
    server.ended()
    os.close(arrived)
    return server


def is_listening(server: Server) -> bool:
    host, _, port = server.address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=END_S).close()
    except (ConnectionRefusedError, ConnectionResetError):  # reset: it closed with us in its queue
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_the_door_and_lets_the_run_end(
    start: Start, gate: Gate, number: signal.Signals
) -> None:
    server = start("GATED")
    server.ask("POST", "/analyze", gate.body)
    arrived = gate.wait_for_arrival()
    stream = stream_of(server)

    server.told(number)
    rest = stream.read()
    while is_listening(server):
        continue
    os.close(arrived)

    assert server.ended() == 0
    assert b"event: end" not in rest
    assert server.run().status == "completed"


@pytest.mark.slow
@pytest.mark.parametrize(("flags", "signals"), [((), 2), (("--shutdown", "checkpoint"), 1)])
def test_a_run_can_be_stopped_at_its_check_point_and_goes_on_at_the_next_start(
    start: Start, gate: Gate, flags: tuple[str, ...], signals: int
) -> None:
    server = start("GATED", *flags)
    server.ask("POST", "/analyze", gate.body)
    arrived = gate.wait_for_arrival()
    stream = stream_of(server)
    server.told(signal.SIGTERM)
    stream.read()  # it ends when the signal was heard, so that two of them are not taken for one
    if signals == 2:
        server.told(signal.SIGTERM)
        while not any("once more" in line for line in iter(server.said, "")):
            continue
    os.close(arrived)

    assert server.ended() == 0
    stopped = server.run()
    assert (stopped.status, stopped.state, stopped.owner) == ("running", "gate", None)

    again = start("GATED")
    gate.let_go()
    last = stream_of(again).read()
    assert b"event: end" in last
    assert (again.run().status, again.run().attempt) == ("completed", 1)


@pytest.mark.slow
def test_a_thread_that_is_stuck_for_ever_does_not_keep_the_process_alive(start: Start, gate: Gate) -> None:
    server = start("GATED", "--hard-limit-s", "0.2", "--abandon-after-s", "0.2")
    server.ask("POST", "/analyze", gate.body)
    arrived = gate.wait_for_arrival()
    stream_of(server).read()  # ends with the run, which the watchdog fails
    ready = json.loads(server.ask("GET", "/readyz").read())

    server.told(signal.SIGTERM)

    assert ready["abandoned_threads"] == 1
    assert server.ended() == 0
    assert server.run().error_code == "timeout"
    os.close(arrived)


@pytest.mark.slow
def test_a_stop_does_not_wait_for_ever_for_a_phase_that_never_looks_up(start: Start, gate: Gate) -> None:
    server = start("GATED", "--shutdown", "checkpoint", "--stop-grace-s", "0.2")
    server.ask("POST", "/analyze", gate.body)
    arrived = gate.wait_for_arrival()

    server.told(signal.SIGTERM)

    assert server.ended() == 0
    stopped = server.run()
    assert (stopped.status, stopped.state, stopped.owner, stopped.attempt) == ("running", "gate", None, 1)
    os.close(arrived)
    again = start("GATED")
    gate.let_go()
    stream_of(again).read()
    assert again.run().status == "completed"


@pytest.mark.slow
def test_a_run_whose_server_was_killed_goes_on_by_itself(start: Start, gate: Gate) -> None:
    killed_in_mid_run(start, gate)

    again = start("GATED")
    gate.let_go()
    stream_of(again).read()

    assert again.run().status == "completed"
    reader = RunReader(again.db)
    assert [event.trigger for event in reader.events(1)] == [
        "start",
        "advance",
        "resume",
        "advance",
        "advance",
    ]
    reader.close()


@pytest.mark.slow
def test_a_server_that_can_not_listen_takes_nobodys_run_over(
    start: Start, gate: Gate, tmp_path: Path
) -> None:
    server = killed_in_mid_run(start, gate)
    dead = server.run()

    with socket.create_server(("127.0.0.1", 0)) as taken:
        other = serve(tmp_path, "GATED", "--port", str(taken.getsockname()[1]))
        said, complaint = other.communicate(timeout=END_S)

    assert (other.returncode, said) == (1, "")
    assert "can't listen on 127.0.0.1" in complaint
    assert server.run() == dead


@pytest.mark.slow
def test_a_phase_that_computes_hands_the_interpreter_over_soon(start: Start) -> None:
    server = start("CURIOUS")
    server.ask("POST", "/analyze", {})

    assert b"event: end" in server.ask("GET", "/runs/1/stream").read()
    assert server.run().results == {"switch_s": pytest.approx(SWITCH_S)}


@pytest.mark.slow
def test_a_server_whose_stdin_is_its_lifeline_ends_with_it(start: Start) -> None:
    server = start("QUICK", "--lifeline")
    assert server.process.stdin is not None

    server.process.stdin.close()

    assert server.ended() == 0


@pytest.mark.slow
def test_clients_that_leave_in_the_middle_of_a_stream_leave_nothing_in_the_log(
    start: Start, gate: Gate
) -> None:
    server = start("GATED")
    server.ask("POST", "/analyze", gate.body)
    arrived = gate.wait_for_arrival()
    for reads, rudely in itertools.product((0, 1), (True, False)):
        for _ in range(15):
            leave_a_stream(server, reads=reads, rudely=rudely)

    while b"phaseline_event_streams 0\n" not in server.ask("GET", "/metrics").read():
        continue
    os.close(arrived)
    server.told(signal.SIGTERM)

    assert server.ended() == 0
    assert [line for line in iter(server.said, "") if " INFO " not in line and "serving" not in line] == []


def leave_a_stream(server: Server, *, reads: int, rudely: bool) -> None:
    """Ask for the stream over a bare socket, and close it; rudely: with a reset, not with a goodbye."""
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=END_S) as client:
        client.sendall(b"GET /runs/1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.recv(reads * 100)
        if rudely:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.slow
def test_a_body_in_chunks_is_cut_off_at_the_limit(start: Start) -> None:
    server = start("QUICK")
    conn = server.connection()

    conn.request(
        "POST",
        "/analyze",
        (b" " * 4096 for _ in range(17)),
        {"Content-Type": "application/json", "Transfer-Encoding": "chunked"},
        encode_chunked=True,
    )
    answer = conn.getresponse()

    assert answer.status == 413
    assert json.loads(answer.read())["code"] == "payload_too_large"


@pytest.mark.slow
def test_the_factory_serves_under_plain_uvicorn_too(tmp_path: Path, gate: Gate) -> None:
    settings = {"PHASELINE_DB": "runs.db", "PHASELINE_PHASES": "registries:GATED", "PHASELINE_AS_OF": AS_OF}
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--factory", "api.app:create_app", "--fd", str(listener.fileno())],
        env={**os.environ, **settings, "PYTHONPATH": os.pathsep.join((str(ROOT), str(HERE)))},
        cwd=tmp_path,
        pass_fds=[listener.fileno()],
        stderr=subprocess.DEVNULL,
    )
    listener.close()
    with ExitStack() as opened:
        opened.callback(process.wait)
        opened.callback(process.kill)
        conn = opened.enter_context(closing(HTTPConnection("127.0.0.1", port, timeout=END_S)))
        conn.request("POST", "/analyze", json.dumps(gate.body), {"Content-Type": "application/json"})
        assert conn.getresponse().read()
        arrived = gate.wait_for_arrival()
        conn.request("GET", "/runs/1/stream")
        stream = opened.enter_context(conn.getresponse())
        stream.readline()

        process.send_signal(signal.SIGTERM)
        stream.read()
        os.close(arrived)
        process.wait(END_S)

    reader = RunReader(tmp_path / "runs.db")
    assert reader.run(1).status == "completed"
    reader.close()


@pytest.mark.slow
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_answer_never_waits_for_an_acknowledgement(host: str) -> None:
    with listening(host, 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP  # what asyncio looks at before it sets TCP_NODELAY
        assert url_of(listener).startswith("http://[::1]:" if ":" in host else "http://127.0.0.1:")
