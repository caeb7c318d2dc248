"""uvicorn on a socket of ours: what can't be listened on is said in a sentence, and a signal only ends it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import uvicorn

BACKLOG: Final = 1024
GRACE_S: Final = 5
"""How long requests that are being answered may take after a signal."""


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


def answer(app: Any, listener: socket.socket, announce: Callable[[str], None]) -> None:
    """Serve an ASGI application until a signal; `announce` is told the URL once requests are answered."""
    url = url_of(listener)
    Server(_config(app), lambda: announce(url)).run(sockets=[listener])


def _config(app: Any) -> uvicorn.Config:
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


def listening(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises `AddressUnusable`."""
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


def url_of(listener: socket.socket) -> str:
    """Return the address at which a socket of ours is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
