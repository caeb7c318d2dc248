"""The door: what every request must satisfy before anything else looks at it.

Pure ASGI, deny by default. In this order: the Host is one of ours (DNS rebinding), a request that changes
something comes from our own page or from no page at all (CSRF), it brings the token where one is set, and
its body is small and JSON. Every answer carries the security headers.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from functools import lru_cache, partial
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import body
from api.body import Refused
from api.headers import SECURITY_HEADERS
from api.problems import problem
from api.settings import Settings

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS: Final = frozenset({"/healthz", "/", "/ui"})
OPEN_PREFIX: Final = "/ui/"
_RAW_HEADERS: Final = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
_ONLY_ONCE: Final = (b"host", b"origin", b"authorization", b"content-length", b"content-type")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>\d{1,5}))?\Z")
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<netloc>[^/@\s]+)\Z")

RawHeaders = dict[bytes, bytes]


class Door:
    """The ASGI middleware."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self.app = app
        hosts = frozenset(host.lower() for host in _hosts(settings))
        self._allows_host = lru_cache(maxsize=256)(partial(_is_allowed, hosts=hosts))
        token = settings.token
        self._token = None if token is None else token.get_secret_value().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it with the problem."""
        if scope["type"] != "http":
            await self._not_http(scope, receive, send)
            return
        sending = _with_headers(send)
        try:
            headers = self._check(scope)
            if (
                scope["method"] not in READING
                or b"content-length" in headers
                or b"transfer-encoding" in headers
            ):
                receive = body.replay(await body.read(receive, headers), receive)
        except Refused as refused:
            answer = problem(refused.status, refused.code, refused.detail, headers=refused.headers)
            await answer(scope, receive, sending)
            return
        await self.app(scope, receive, sending)

    async def _not_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        else:  # a WebSocket: there are none here
            await send({"type": "websocket.close", "code": 1008})

    def _check(self, scope: Scope) -> RawHeaders:
        headers = RawHeaders(scope["headers"])
        if len(headers) != len(scope["headers"]):
            _check_repeats(scope)
        host = headers.get(b"host", b"")
        if not self._allows_host(host):
            raise _foreign_host(host)
        if scope["method"] not in READING:
            _check_page(headers)
        if self._token is not None and not _is_open(scope["path"]):
            self._check_token(headers, self._token)
        return headers

    def _check_token(self, headers: RawHeaders, token: bytes) -> None:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if not hmac.compare_digest(given.strip(), token) or scheme.lower() != b"bearer":
            raise Refused(
                401,
                "unauthorized",
                "this server wants its token: send the header Authorization: Bearer ...",
                **{"www-authenticate": "Bearer"},
            )


def _hosts(settings: Settings) -> Iterable[str]:
    yield from settings.allowed_hosts
    if settings.host not in {"0.0.0.0", "::"}:  # noqa: S104  # compared, not bound
        yield f"[{settings.host}]" if ":" in settings.host else settings.host


def _is_allowed(said: bytes, hosts: frozenset[str]) -> bool:
    match = _HOST.match(said.decode("latin-1").lower())
    return match is not None and (match["name"] in hosts or match[0] in hosts)


def _foreign_host(host: bytes) -> Refused:
    return Refused(
        403,
        "forbidden_host",
        f"this server does not answer to the Host {host.decode('latin-1')[:100]!r}; "
        "name it in PHASELINE_ALLOWED_HOSTS if it should",
    )


def _check_repeats(scope: Scope) -> None:
    names = [name for name, _ in scope["headers"]]
    twice = next((name for name in _ONLY_ONCE if names.count(name) > 1), None)
    if twice is not None:
        code = "forbidden_host" if twice == b"host" else "bad_request"
        status = 403 if twice == b"host" else 400
        raise Refused(status, code, f"the header {twice.decode()} may come only once")


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIX)


def _check_page(headers: RawHeaders) -> None:
    """Refuse what a foreign page sent. Only browsers send these headers, and a page can't change them."""
    site = headers.get(b"sec-fetch-site")
    if site is not None and site not in {b"same-origin", b"none"}:
        said = site.decode("latin-1")[:20]
        raise Refused(403, "forbidden_origin", f"a {said!r} request of a web page is not taken here")
    origin = headers.get(b"origin")
    if origin is not None and not _same_origin(origin.decode("latin-1"), headers[b"host"].decode("latin-1")):
        said = origin.decode("latin-1")[:100]
        raise Refused(403, "forbidden_origin", f"a request of the page {said!r} is not taken here")


def _same_origin(origin: str, host: str) -> bool:
    match = _ORIGIN.match(origin.lower())
    if match is None:  # also `null`, which sandboxed pages send
        return False
    default = _DEFAULT_PORTS[match["scheme"]]
    return _with_port(match["netloc"], default) == _with_port(host.lower(), default)


def _with_port(netloc: str, default: str) -> tuple[str, str] | None:
    match = _HOST.match(netloc)
    return (match["name"], match["port"] or default) if match else None


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = dict(message["headers"])
            message["headers"] = [
                *message["headers"],
                *(each for each in _RAW_HEADERS if each[0] not in given),
            ]
        await send(message)

    return sending
