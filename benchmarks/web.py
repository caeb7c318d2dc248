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
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.loads import WAYS
from benchmarks.rounds import Figure, Target, quantile, taking_turns

CONNECTIONS = 32
BURST_S = 1
STARTS = 15
READS = 100
PAUSE_S = 0.005


class Client:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        """Connect to the loopback."""
        self.port = port
        self._http = http.client.HTTPConnection("127.0.0.1", port)

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Return the answer's JSON."""
        content = None if body is None else json.dumps(body)
        self._http.request(method, path, content, {"content-type": "application/json"} if content else {})
        answer = self._http.getresponse()
        said: dict[str, Any] = json.loads(answer.read())
        assert answer.status < 400, said
        return said

    def run_to_end(self, run_id: int) -> dict[str, Any]:
        """Wait until a run has ended and return its status."""
        never = threading.Event()
        while (status := self.ask("GET", f"/runs/{run_id}/status"))["status"] == "running":
            never.wait(PAUSE_S)
        return status

    @contextmanager
    def running(self, way: str) -> Generator[str]:
        """Keep a run busy in one way; yield the path of its status."""
        run_id = self.ask("POST", "/analyze", {"params": {"way": way}})["run_id"]
        path = f"/runs/{run_id}/status"
        never = threading.Event()
        while self.ask("GET", path)["step_current"] is None:
            never.wait(PAUSE_S)
        yield path
        self.ask("POST", f"/runs/{run_id}/cancel")
        self.run_to_end(run_id)


def figures(folder: Path, rounds: int) -> Iterator[Figure]:
    """Yield the figures of the server."""
    with _serving(folder / "web.db") as port:
        client = Client(port)
        yield _starting(client, rounds)
        if shutil.which("wrk"):
            with client.running("rests") as path:
                yield _throughput(port, path, rounds)
        yield from _latencies(client, rounds)


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


def _latencies(client: Client, rounds: int) -> Iterator[Figure]:
    """Yield how soon a status is answered while a phase works, to a phase that rests."""
    taken: dict[str, list[list[float]]] = {way: [] for way in WAYS if way != "returns"}
    for _ in range(rounds):
        for way, waits_ms in taken.items():
            with client.running(way) as path:
                ours, _ = taking_turns(lambda: client.ask("GET", path), _nothing, READS, pause_s=PAUSE_S)
                waits_ms.append(ours.wall_ms)
    idle = taken.pop("rests")
    for way, waits_ms in taken.items():
        for share, word in [(0.5, "p50"), (0.99, "p99")]:
            yield Figure(
                what=f"GET status while a phase {way}, and while it rests: {word}",
                unit="ms",
                ours=[quantile(each, share) for each in waits_ms],
                floor=[quantile(each, share) for each in idle],
                target=Target(5) if "map" in way else None,
            )


def _nothing() -> None: ...
