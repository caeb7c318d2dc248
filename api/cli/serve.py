"""`phaseline serve`."""

from __future__ import annotations

import os
import signal
import sys
import threading

import click

from api.cli.exits import Mistake
from api.cli.options import json_option, settings, settings_flags
from api.cli.text import as_json, put, say
from api.logs import configure


@click.command()
@settings_flags(
    "host", "port", "token", "allowed_hosts", "phases", "max_active_runs", "recovery", "shutdown", "executor",
    "soft_limit_s", "hard_limit_s", "abandon_after_s", "stop_grace_s", "log_format", "log_level",
    "traces",
)  # fmt: skip
@json_option
@click.option("--lifeline", is_flag=True, hidden=True, help="End when stdin does.")
def serve(as_json_: bool, lifeline: bool) -> None:
    """Serve the API until a signal.

    The first signal lets active runs end (`--shutdown checkpoint`: stops them at their next check point),
    the second stops them at their next check point. With --json the URL is written to stdout once requests
    are answered.
    """
    of = settings()
    configure(of)
    if lifeline:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    from api import server  # noqa: PLC0415  # FastAPI takes its time
    from api.listening import AddressUnusable  # noqa: PLC0415  # the same

    def announce(url: str) -> None:
        say(f"serving {url} with {of.db}; stop with Ctrl-C")
        if as_json_:
            put(as_json({"url": url}))

    try:
        server.serve(of, announce)
    except AddressUnusable as error:
        raise Mistake(str(error)) from error


def _end_with_stdin() -> None:
    """End when whoever started us is gone, however it went."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
