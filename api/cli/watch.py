"""`phaseline watch`: follow a run that somebody else drives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import click

from api.cli.client import Client
from api.cli.driving import tell_end
from api.cli.exits import Exit, NothingThere, Unreachable
from api.cli.follow import Status, display, exit_code, follow
from api.cli.options import json_option, reading, resolved, run_argument, settings, settings_flags
from api.cli.text import as_json, put, say
from api.settings import Settings
from api.status import status_of_run

LOOK_S = 0.5
TRIES = 120
"""So often a server that has answered before is asked again: a minute, for a restart."""


@click.command()
@settings_flags("token")
@json_option
@click.option("--server", metavar="URL", help="Ask this server instead of reading the database.")
@run_argument
def watch(as_json_: bool, server: str | None, run_id: int) -> Exit:
    """Follow a run until it ends.

    Ctrl-C stops watching, not the run. A server that is restarted meanwhile is waited for.
    """
    of = settings()
    source = _database(of, run_id) if server is None else _server(of, server, run_id)
    pause = threading.Event()
    with source as look, display() as show:
        status = follow(look, lambda: _pause(pause), show, until=lambda: False)
    tell_end(status)
    put(as_json(status) if as_json_ else f"run {status['run_id']} {status['status']}")
    return exit_code(status)


def _pause(event: threading.Event) -> None:
    event.wait(LOOK_S)


@contextmanager
def _database(of: Settings, run_id: int) -> Generator[Callable[[], Status]]:
    with reading(of) as reader:
        wanted = resolved(reader, run_id)
        yield lambda: status_of_run(reader.run(wanted), None)


@contextmanager
def _server(of: Settings, url: str, run_id: int) -> Generator[Callable[[], Status]]:
    client = Client(url, None if of.token is None else of.token.get_secret_value())
    if not run_id:
        newest = client.get("/runs?limit=1")["items"]
        if not newest:
            raise NothingThere(f"{url} has no runs yet")
        run_id = newest[0]["id"]
    pause = threading.Event()
    yield Patient(lambda: client.get(f"/runs/{run_id}/status"), lambda: _pause(pause))


class Patient:
    """Looks again where a server that has answered before does not answer; `Unreachable` after `TRIES`."""

    def __init__(self, look: Callable[[], Status], wait: Callable[[], None]) -> None:
        self._look = look
        self._wait = wait
        self._tries = 1

    def __call__(self) -> Status:
        """Return the status."""
        for missed in range(self._tries):
            try:
                status = self._look()
            except Unreachable as error:
                if missed + 1 == self._tries:
                    raise
                if not missed:
                    say(f"phaseline: {error}; waiting for it")
                self._wait()
            else:
                self._tries = TRIES
                return status
        raise AssertionError("the last try returns or raises")
