"""`phaseline mcp`."""

from __future__ import annotations

import signal
from importlib import import_module
from types import ModuleType

import click

from api.cli.exits import BadInput, Mistake
from api.cli.options import settings, settings_flags
from api.logs import configure
from api.settings import Settings


@click.command()
@settings_flags("token")
@click.option("--allow-writes", is_flag=True, help="Offer the tools that start and cancel runs, too.")
@click.option("--server", metavar="URL", help="The server that those ask; by default as HOST and PORT say.")
def mcp(allow_writes: bool, server: str | None) -> None:
    """Serve the findings to a program that speaks MCP.

    It speaks the Model Context Protocol on stdin and stdout, so it is started by that program, not typed. It
    reads the database, and no server need be running. It wants the extra: pip install "phaseline[mcp]".
    """
    if server is not None and not allow_writes:
        raise BadInput("--server is asked by the tools of --allow-writes only")
    of = settings()
    sdk = _sdk()
    configure(of)
    tools = sdk.build(of, (server or _own(of)) if allow_writes else None)
    # Python would wait for the thread that reads stdin. There is nothing to be finished here.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    tools.run("stdio")


def _own(of: Settings) -> str:
    host = f"[{of.host}]" if ":" in of.host else of.host
    return f"http://{host}:{of.port}"


def _sdk() -> ModuleType:
    try:
        return import_module("api.mcp.server")
    except ModuleNotFoundError as error:
        raise Mistake('serving MCP wants its SDK: pip install "phaseline[mcp]"') from error
