"""Answers compressed with gzip for clients that take it, by Starlette's responders.

A status answer is left as it is: it is small, it is what a client polls, and its strong ETag names these very
bytes. So is an event stream (Starlette knows its type), whose events may not wait in a buffer, and the page's
files, which are compressed once and for all.

Compressing what an attacker may have a part in tells him, by its length, whether it repeats a secret that
stands beside it (BREACH). No answer holds one: the token comes in a header and goes out nowhere, no resource
has a secret setting, and a foreign page's request is told by its Origin, not by a value in a form.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipResponder, IdentityResponder
from starlette.types import ASGIApp, Receive, Scope, Send

MIN_BYTES: Final = 1400
"""What is smaller fits one packet either way."""
LEVEL: Final = 1
"""Of comments, 9 saves another tenth and takes five times as long."""
IN_LOOP_BYTES: Final = 32 * 1024
"""What is larger is compressed in a thread: on the event loop others would wait for it a millisecond."""
STATUS: Final = "/status"
PAGE: Final = "/ui/"


class Compression:
    """The ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer through a responder that may compress it."""
        answering = self.app
        if scope["type"] == "http" and not _stays(scope["path"]):
            answering = self._responder(Headers(scope=scope).get("accept-encoding", ""))
        await answering(scope, receive, send)

    def _responder(self, accepted: str) -> ASGIApp:
        if takes_gzip(accepted):
            return GZipResponder(self.app, MIN_BYTES, LEVEL, thread_minimum_size=IN_LOOP_BYTES)
        return IdentityResponder(self.app, MIN_BYTES)  # it says that the answer varies


def _stays(path: str) -> bool:
    return path.endswith(STATUS) or path.startswith(PAGE)


def takes_gzip(accepted: str) -> bool:
    """Return whether an `Accept-Encoding` asks for gzip; one that only takes anything (`*`) does not.

    >>> takes_gzip("br, gzip;q=0.5"), takes_gzip("gzip; q=0.0, identity"), takes_gzip("*")
    (True, False, False)
    """
    weights = {
        name.strip(): weight.replace(" ", "")
        for name, _, weight in (each.partition(";") for each in accepted.lower().split(","))
    }
    return weights.get("gzip", "q=0").rstrip(".0") != "q="
