"""A small HTTP client for our own server; the standard library is enough for it."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from api.cli.exits import BadInput, Mistake, NothingThere, Unreachable

TIMEOUT_S = 30.0


class Client:
    """Talks to one server. `Unreachable` where none answers, `Mistake` with its words where it refuses."""

    def __init__(self, url: str, token: str | None = None) -> None:
        """Name the server, such as `http://127.0.0.1:8000`; raises `BadInput` for what is no such URL."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise BadInput(f"{url!r} is no server; say http://HOST:PORT")
        self.url = url.rstrip("/")
        secure = parts.scheme == "https"
        self._connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def get(self, path: str) -> Any:
        """Return a resource; raises `NothingThere` for what does not exist."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Any = None) -> Any:
        """Ask for something to be done."""
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: Any) -> Any:
        conn = self._connect(self._host, self._port, timeout=TIMEOUT_S)
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            conn.request(method, self._base + path, None if body is None else json.dumps(body), headers)
            response = conn.getresponse()
            answer = json.loads(response.read() or b"null")
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise Unreachable(f"no phaseline server answers at {self.url}: {why}") from error
        finally:
            conn.close()
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            kind = NothingThere if response.status == http.HTTPStatus.NOT_FOUND else Mistake
            raise kind(f"{self.url} answered {response.status}: {answer.get('detail')}")
        return answer
