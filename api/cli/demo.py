"""`phaseline demo`: the whole thing once - a real server, a run over HTTP, what it found."""

from __future__ import annotations

import json
import secrets
import subprocess
import threading
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from api.cli.child import command, environment
from api.cli.client import Client
from api.cli.driving import tell_end
from api.cli.exits import Exit, Mistake
from api.cli.follow import Status, display, exit_code, follow
from api.cli.options import json_option, settings_flags
from api.cli.report import put_report
from api.cli.text import as_json, put, say

DB: Final = Path("data/demo.db")
PAGE: Final = "http://127.0.0.1:8000/ui/"
"""Where `phaseline serve` shows it, unless its settings say otherwise."""
LOOK_S: Final = 0.1
END_S: Final = 60.0
FIXED: Final[Mapping[str, str]] = {
    "db": str(DB),
    "host": "127.0.0.1",
    "port": "0",
    "phases": "phases:PHASES",
    "source": "sample",
    "prices": "sample",
    "options": "sample",
    "analyzer": "lexicon",
    "as_of": "now",
    "subreddit": "wallstreetbets",
    "allowed_hosts": "127.0.0.1",
    "log_level": "WARNING",
}
"""What the demo is about; other settings are as the environment says."""


@click.command()
@settings_flags()
@json_option
def demo(as_json_: bool) -> Exit:
    """Start a server, analyse the bundled sample and show what was found.

    The server listens on a free port of this machine and is stopped at the end. The database is
    data/demo.db; each demo starts it anew.
    """
    _start_anew(DB)
    with _server() as client:
        say(f"a server answers at {client.url}")
        status = _follow(client, client.post("/analyze", {"source": "sample"}))
        run_id = status["run_id"]
        path = list(_path(client.get(f"/runs/{run_id}/events")["items"]))
        day = client.get(f"/runs/{run_id}")["params"]["as_of"][:10]
        signals = client.get(f"/signals?date_from={day}&date_to={day}&limit=500")["items"]
        positions = client.get("/positions?limit=500")["items"]
    tell_end(status)
    if as_json_:
        put(as_json({**status, "path": path, "signals": signals, "positions": positions}))
    else:
        put("path: " + " -> ".join(path))
        put_report(status, signals, positions)
        put(f"database: {DB}")
        put(f"to look at it on the page: phaseline serve --db {DB}, then open {PAGE}")
    return exit_code(status)


def _start_anew(db: Path) -> None:
    for path in (db, *(Path(f"{db}{suffix}") for suffix in ("-wal", "-shm", "-owner", "-key"))):
        path.unlink(missing_ok=True)


@contextmanager
def _server() -> Generator[Client]:
    """Start `phaseline serve` as a child that ends with us, however we end."""
    token = secrets.token_urlsafe()
    child = subprocess.Popen(  # noqa: S603  # our own interpreter and our own command
        command("serve", "--json", "--lifeline"),
        env=environment(**FIXED, token=token),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None, "it is a pipe"
    assert child.stdout is not None, "it is a pipe"
    try:
        line = child.stdout.readline()
        if not line:
            raise Mistake(f"the server did not start: {child.communicate()[1].strip()}")
        yield Client(json.loads(line)["url"], token)
    finally:
        child.stdin.close()
        child.wait(END_S)


def _follow(client: Client, begun: Status) -> Status:
    pause = threading.Event()
    states = client.get("/machine")["states"]
    labels = [state["label"] for state in states if state["phase"] is not None]
    with display(labels, begun["progress_current"]) as show:
        return follow(
            lambda: client.get(f"/runs/{begun['run_id']}/status"),
            lambda: _pause(pause),
            show,
            until=lambda: False,
        )


def _pause(event: threading.Event) -> None:
    event.wait(LOOK_S)


def _path(events: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Return the states that the run went through."""
    return (str(event["dest"]) for event in events)
