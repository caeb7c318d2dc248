"""`phaseline serve`: uvicorn, ending well."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.services import Services
from api.settings import Settings

BACKLOG: Final = 1024
GRACE_S: Final = 5
"""How long requests that are being answered may take after a signal."""
SWITCH_S: Final = 0.0005
"""How long a phase that computes may keep the interpreter lock when a request wants it.

A request needs the lock two or three times and waits so long for it each time; Python's own 5 ms would make
it ten times slower than while nothing computes. `benchmarks/responsiveness.py` measures it.
"""


class AddressUnusable(Exception):
    """The server can't listen there; the message says why and what to do."""


class Server(uvicorn.Server):
    """uvicorn, but a signal only ends it: it neither cuts the shutdown short nor is it raised again."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn's signature
        """Begin the shutdown. What a second signal means is the application's business (`lifespan.Stop`)."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and then say so."""
        await super().startup(sockets)
        self._announce()


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until a signal; `announce` is told the URL once requests are answered.

    Raises:
        SettingsError, DatabaseUnusable, AddressUnusable: Before anything is served.
    """
    sys.setswitchinterval(SWITCH_S)
    app = create_app(settings)
    services: Services = app.state.services
    runner = services.runner  # opened here, so that what is wrong is raised and not only logged
    with _listening(settings.host, settings.port) as listener:
        url = _url(listener)
        Server(_config(app), lambda: announce(url)).run(sockets=[listener])
    if runner.readiness()["abandoned_threads"]:
        logging.shutdown()
        os._exit(0)  # what is stuck for ever would keep the interpreter from ending


def _config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's algorithm off for such sockets only; with it, an
    # answer's body waits 40 ms for the acknowledgement of its head.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise AddressUnusable(
            f"can't listen on {host} port {port}: {error.strerror or error}; choose another with --port"
        ) from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
