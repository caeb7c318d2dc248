"""`phaseline explore`."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import click

from api.cli.exits import BadInput, Mistake
from api.cli.options import json_option, reading, settings, settings_flags
from api.cli.text import as_json, put, say
from api.logs import configure
from api.settings import MAX_PORT, is_loopback


@click.command()
@settings_flags(but=("host", "port"))
@json_option
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, MAX_PORT),
    default=8001,
    show_default=True,
    help="Port to listen on; 0 = any free one.",
)
def explore(as_json_: bool, host: str, port: int) -> None:
    """Show the database in a browser: tables, questions, SQL.

    It is Datasette, to read only, until Ctrl-C; runs may go on meanwhile. It has no password, so it listens
    on loopback only. With --json the URL is written to stdout once pages are served. It wants the extra:
    pip install "phaseline[explore]".
    """
    if not is_loopback(host):
        raise BadInput(
            f"{host} is no loopback address; what is shown has no password, so listen on 127.0.0.1, "
            "and reach it from elsewhere through an SSH tunnel"
        )
    of = settings()
    with reading(of):
        pass  # what is wrong with the database is said before Datasette takes its time
    site = _site()
    from api.listening import AddressUnusable  # noqa: PLC0415  # uvicorn is needed here only

    def announce(url: str) -> None:
        say(f"{url} shows {of.db} to whoever is on this machine; stop with Ctrl-C")
        if as_json_:
            put(as_json({"url": url}))

    configure(of)
    try:
        site.serve(of, host, port, announce)
    except AddressUnusable as error:
        raise Mistake(str(error)) from error


def _site() -> ModuleType:
    try:
        return import_module("api.explore.site")
    except ModuleNotFoundError as error:
        raise Mistake('exploring wants Datasette: pip install "phaseline[explore]"') from error
