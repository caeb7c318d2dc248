"""How soon `phaseline serve` answers while a phase does its worst, and how soon it ends when told to.

Each case keeps one run busy in one way and asks for its status again and again; the floor is the status of a
run that has ended, while nothing runs. Streams are open connections that are told of every change.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.rounds import Figure, Spent, Target, quantile
from benchmarks.web import PAUSE_S, Client

READS = 100
STREAMS = 11
HELD = "holds a write transaction"
_PROGRAM = "from api.cli import main; main()"
"""Not `-m`: the workers of ctx.map would import the server's main module again."""


@dataclass(frozen=True, slots=True)
class Case:
    """What the server is busy with."""

    what: str
    way: str
    """One of `loads.WAYS`."""
    streams: int = 0
    target: Target | None = None


CASES = [
    Case("rests", "rests"),
    Case("works in ctx.map", "works in ctx.map", target=Target(5)),
    Case(HELD, HELD),
    Case("works on its own thread", "works on its own thread"),
    Case(
        f"works on its own thread and {STREAMS} streams are open", "works on its own thread", streams=STREAMS
    ),
]


def figures(folder: Path, rounds: int) -> Iterator[Figure]:
    """Yield latencies, the count of server errors, and the time from SIGTERM to the end."""
    with _serving(folder / "busy.db") as (server, port):
        client = Client(port)
        idle, busy, cancels_ms = _rounds(client, rounds)
        server.terminate()
        server.wait()
    for case, spent in busy.items():
        yield from _latencies(case, spent, idle)
    yield Figure(what=f"POST cancel while a phase {HELD}", unit="ms", ours=cancels_ms)
    yield Figure(
        what=f"answers 5xx among {client.answers.total():,}",
        unit="",
        ours=[client.answers[5]],
        target=Target(0, of="ours"),
    )
    yield _stopping(folder, rounds)


def _rounds(client: Client, rounds: int) -> tuple[list[Spent], dict[Case, list[Spent]], list[float]]:
    ended = client.run_busy("rests")
    client.cancel(ended)
    idle: list[Spent] = []
    busy: dict[Case, list[Spent]] = {case: [] for case in CASES}
    cancels_ms: list[float] = []
    for _ in range(rounds):
        idle.append(_reads(client, ended))
        for case, spent in busy.items():
            run_id = client.run_busy(case.way)
            with _streams(client.port, run_id, case.streams):
                spent.append(_reads(client, run_id))
            cancel_ms = client.cancel(run_id)
            if case.way == HELD:
                cancels_ms.append(cancel_ms)
    return idle, busy, cancels_ms


def _reads(client: Client, run_id: int) -> Spent:
    """Ask for a status `READS` times, with a pause before each."""
    spent, never = Spent.nothing(), threading.Event()
    for _ in range(READS):
        never.wait(PAUSE_S)
        spent.on(lambda: client.ask("GET", f"/runs/{run_id}/status"))
    return spent


def _latencies(case: Case, spent: list[Spent], idle: list[Spent]) -> Iterator[Figure]:
    for share, word in [(0.5, "p50"), (0.99, "p99")]:
        yield Figure(
            what=f"GET status while a phase {case.what}, and while nothing runs: {word}",
            unit="ms",
            ours=[quantile(each.wall_ms, share) for each in spent],
            floor=[quantile(each.wall_ms, share) for each in idle],
            target=case.target,
        )


@contextmanager
def _serving(db: Path) -> Generator[tuple[subprocess.Popen[str], int]]:
    flags = (
        "--db",
        str(db),
        "--phases",
        "benchmarks.loads:PHASES",
        "--shutdown",
        "checkpoint",
        "--port",
        "0",
    )
    command = [sys.executable, "-c", _PROGRAM, "serve", "--json", "--db", str(db), *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None, "it is a pipe"
        try:
            port = urlsplit(json.loads(server.stdout.readline())["url"]).port
            assert port is not None, "it was chosen for us"
            yield server, port
        finally:
            server.kill()  # where something went wrong; its workers notice


@contextmanager
def _streams(port: int, run_id: int, count: int) -> Generator[None]:
    """Keep event streams open; what they say stays in the sockets."""
    with ExitStack() as opened:
        for _ in range(count):
            conn = opened.enter_context(closing(http.client.HTTPConnection("127.0.0.1", port)))
            conn.request("GET", f"/runs/{run_id}/stream")
            stream = opened.enter_context(closing(conn.getresponse()))
            assert stream.readline().startswith(b"event: transition")
        yield


def _stopping(folder: Path, rounds: int) -> Figure:
    """Measure SIGTERM while a phase works that looks up every few milliseconds; see the run go on."""
    db = folder / "stop.db"
    spent = Spent.nothing()
    for _ in range(rounds):
        with _serving(db) as (server, port):
            client = Client(port)
            run_id = client.run_busy("works on its own thread")
            with _streams(port, run_id, STREAMS):
                server.terminate()
                spent.on(server.wait)
        with _serving(db) as (server, port):
            client = Client(port)
            run = client.ask("GET", f"/runs/{run_id}")
            assert (run["status"], run["attempt"]) == ("running", 1), run
            client.cancel(run_id)
    return Figure(
        what=f"SIGTERM to the end of the process, {STREAMS} streams open, SHUTDOWN=checkpoint",
        unit="ms",
        ours=spent.wall_ms,
        target=Target(2000, of="ours"),
    )
