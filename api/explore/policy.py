"""Who may ask for a page of the explorer, and what a page may do. Comments in it are strangers' words."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem

_INLINE: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class Guarded:
    """The ASGI middleware: keeps other sites out, and lets only Datasette's own scripts run.

    A foreign page can't read an answer, but it could ask for one and measure how long a query takes, which
    tells it, bit by bit, what is in the database. So whatever another site asks for is refused, even a link.
    """

    def __init__(self, app: ASGIApp, *, templates: Path) -> None:
        self.app = app
        self._policy = (b"content-security-policy", _policy(templates).encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = [(name.lower(), value) for name, value in message["headers"]]
                message["headers"] = [*said, self._policy]
            await send(message)

        if (b"sec-fetch-site", b"cross-site") in scope.get("headers", ()):
            refused = problem(
                403, "forbidden_origin", "another site led here; type the address of this page instead"
            )
            await refused(scope, receive, send)
            return
        await self.app(scope, receive, sending)


def _policy(templates: Path) -> str:
    scripts = " ".join(f"'sha256-{_digest(script)}'" for script in sorted(set(_inline_scripts(templates))))
    return (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


def _inline_scripts(templates: Path) -> Iterator[str]:
    """Yield the scripts that stand in Datasette's pages, so that no other script in a page ever runs."""
    for template in templates.glob("*.html"):
        for script in _INLINE.findall(template.read_text(encoding="utf-8")):
            yield script.replace("{{ datasette_allow_facet }}", "true")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
