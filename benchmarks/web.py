"""The server from outside: how many status requests it answers, how soon, and how soon a run begins.

The load comes from wrk where there is one; a load generator in Python would be slower than the server.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.rounds import Figure, Target

CONNECTIONS = 32
BURST_S = 1
STARTS = 15
PAUSE_S = 0.005


class Client:
    """One connection that stays open, and a count of all answers by the first digit of their status."""

    def __init__(self, port: int) -> None:
        """Connect to the loopback."""
        self.port = port
        self.answers = Counter[int]()
        self._http = http.client.HTTPConnection("127.0.0.1", port)

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Return the answer's JSON."""
        content = None if body is None else json.dumps(body)
        self._http.request(method, path, content, {"content-type": "application/json"} if content else {})
        answer = self._http.getresponse()
        said: dict[str, Any] = json.loads(answer.read())
        self.answers[answer.status // 100] += 1
        return said

    def run_to_end(self, run_id: int) -> dict[str, Any]:
        """Wait until a run has ended and return its status."""
        never = threading.Event()
        while (status := self.ask("GET", f"/runs/{run_id}/status"))["status"] == "running":
            never.wait(PAUSE_S)
        return status

    def run_busy(self, way: str) -> int:
        """Start a run that is busy in one way until it is cancelled; return its id once it is at work."""
        run_id: int = self.ask("POST", "/analyze", {"params": {"way": way}})["run_id"]
        never = threading.Event()
        while self.ask("GET", f"/runs/{run_id}/status")["step_current"] is None:
            never.wait(PAUSE_S)
        return run_id

    def cancel(self, run_id: int) -> float:
        """Cancel a run and wait for its end; return how soon the cancel was answered, in ms."""
        began = time.perf_counter()
        self.ask("POST", f"/runs/{run_id}/cancel")
        answered = time.perf_counter()
        assert self.run_to_end(run_id)["error_code"] == "cancelled"
        return (answered - began) * 1e3


def figures(folder: Path, rounds: int) -> Iterator[Figure]:
    """Yield the figures of the server."""
    with _serving(folder / "web.db") as port:
        client = Client(port)
        yield _starting(client, rounds)
        if shutil.which("wrk"):
            run_id = client.run_busy("rests")
            yield _throughput(port, f"/runs/{run_id}/status", rounds)
            client.cancel(run_id)


@contextmanager
def _serving(db: Path) -> Generator[int]:
    # Not `-m`: the workers of ctx.map would import the server's main module again.
    program = f"from pathlib import Path; from benchmarks.server import main; main(Path({str(db)!r}))"
    server = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None, "it is a pipe"
    try:
        yield int(server.stdout.readline())
        server.terminate()
        server.wait()
    finally:
        server.kill()  # where something went wrong; its workers notice
        server.stdout.close()


def _throughput(port: int, path: str, rounds: int) -> Figure:
    pairs = [(_requests_per_s(port, "/trivial"), _requests_per_s(port, path)) for _ in range(rounds)]
    return Figure(
        what=f"GET status, {CONNECTIONS} connections, and a trivial async route of the same server",
        unit="1/s",
        ours=[ours for _, ours in pairs],
        floor=[trivial for trivial, _ in pairs],
        target=Target(0.95, at_least=True),
    )


def _requests_per_s(port: int, path: str) -> float:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{BURST_S}s", f"http://127.0.0.1:{port}{path}"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in said, said
    match = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert match is not None, said
    return float(match[1])


def _starting(client: Client, rounds: int) -> Figure:
    spent: list[tuple[float, float]] = []
    for _ in range(rounds):
        pairs = [(_bare_ms(client), _ours_ms(client)) for _ in range(STARTS)]
        spent.append(
            (statistics.median(bare for bare, _ in pairs), statistics.median(ours for _, ours in pairs))
        )
    return Figure(
        what="POST /analyze to the first line of the first phase",
        unit="ms",
        ours=[ours for _, ours in spent],
        floor=[bare for bare, _ in spent],
        target=Target(3, of="difference"),
    )


def _bare_ms(client: Client) -> float:
    began = time.monotonic()
    client.ask("POST", "/bare")
    return (float(client.ask("GET", "/bare")["began"]) - began) * 1e3


def _ours_ms(client: Client) -> float:
    began = time.monotonic()
    run = client.ask("POST", "/analyze", {"params": {"way": "returns"}})
    return (float(client.run_to_end(run["run_id"])["results"]["began"]) - began) * 1e3
