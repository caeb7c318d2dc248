"""PRAW, read-only: the one module that knows it. Importing this needs the extra `reddit`.

PRAW brings the application-only login, its tokens and the addresses. Its models of posts and comments stay
unused: they ask Reddit by themselves for each field that an answer lacks, while `records.py` reads an object
of whatever year. Nor is `CommentForest.replace_more` used: nothing can interrupt it between two requests, it
sends any number of ids in one of them, and it asserts where a comment comes before its parent.

`_Door` is what PRAW offers for one's own way of sending (`requestor_class`). Each request goes through it,
the login too. It paces, bounds and reads one exchange, and names its end before prawcore looks at it, because
prawcore 4 ends with a `KeyError` or `ValueError` for a 401 without `www-authenticate`, a redirect without
`location` and a `Retry-After` that is a date.
"""

from __future__ import annotations

import configparser
import io
import re
from collections.abc import Callable
from typing import Any, Final, Self, cast

import orjson
import praw
import prawcore
import requests
import urllib3
from praw.exceptions import PRAWException
from prawcore.const import ACCESS_TOKEN_PATH

from phases.sources.reddit_app import RedditApp
from phases.sources.reddit_outcomes import (
    RATE_LIMITED,
    SUCCESSES,
    TOO_MANY,
    UNAUTHORIZED,
    WRONG_CREDENTIALS,
    BadAnswer,
    Down,
    Refused,
    TokenRefused,
    TooSoon,
    is_transient,
)
from phases.sources.reddit_pace import Pace
from phases.tools import SourceUnavailable

TRIES: Final = 4
BACKOFF_S: Final = (1.0, 2.0, 4.0)
UNSAID_S: Final = 15.0
"""How long to wait after a 429 that doesn't say."""
SILENCE_S: Final = 16.0
"""How long a connection may be silent."""
EXCHANGE_S: Final = 90.0
"""How long one exchange may last, however steadily it drips."""
MAX_BODY_BYTES: Final = 64 * 2**20
"""The largest page in the recordings has half a MiB."""
PIECE_BYTES: Final = 2**16

_WORD: Final = re.compile(r"[A-Za-z]+(_[A-Za-z]+){0,4}")


class RedditClient:
    """Asks Reddit for parsed JSON, one request at a time, and knows when to ask again."""

    def __init__(self, app: RedditApp, pace: Pace, jitter: Callable[[], float]) -> None:
        self._app = app
        self._pace = pace
        self._jitter = jitter
        self._http = requests.Session()
        self._reddit = self._log_in()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **params: str | int) -> Any:
        """Return the answer to a GET; see `_ask` for what it raises."""
        return self._ask("GET", path, params=params)

    def post(self, path: str, **data: str) -> Any:
        """Return the answer to a POST; see `_ask` for what it raises."""
        return self._ask("POST", path, data=data)

    def _ask(self, method: str, path: str, **what: Any) -> Any:
        """Ask until there is an answer, at most `TRIES` times.

        Raises:
            Refused: Reddit will not give this, however often it is asked.
            Down: It may, but didn't.
            SourceUnavailable: It gives this application nothing at all, or not in the run's time.
        """
        for attempt in range(1, TRIES + 1):
            try:
                answer = self._reddit.request(method=method, path=path, **what)  # pyright: ignore[reportUnknownMemberType]  # IO
                if answer != "":  # what prawcore makes of an empty body
                    return answer
                failure: Down = BadAnswer("its answer is empty")
            except (prawcore.BadJSON, RecursionError):  # the latter for brackets within brackets without end
                failure = BadAnswer("its answer is no JSON")
            except Down as down:
                failure = down
            if attempt == TRIES:
                raise _final(failure)
            self._prepare_for(attempt, failure)
        raise AssertionError("the last attempt has returned or raised")

    def _prepare_for(self, attempt: int, failure: Down) -> None:
        """Get a new token, or wait: as long as Reddit asks, else 1, 2, 4 s; chance adds up to half."""
        if isinstance(failure, TokenRefused):
            self._reddit = self._log_in()
            return
        own_s = BACKOFF_S[min(attempt, len(BACKOFF_S)) - 1]
        asked_s = own_s if failure.wait_s is None else failure.wait_s
        self._pace.wait(asked_s + own_s / 2 * self._jitter(), str(failure))

    def _log_in(self) -> praw.Reddit:
        """Return PRAW, told everything, so that no `praw.ini` and no variable of its own has a say."""
        try:
            return praw.Reddit(
                "DEFAULT",
                requestor_class=_Door,
                requestor_kwargs={"session": self._http, "pace": self._pace},
                client_id=self._app.client_id,
                client_secret=self._app.client_secret,
                user_agent=self._app.user_agent,
                reddit_url=self._app.login_url,
                oauth_url=self._app.api_url,
                password=None,
                refresh_token=None,
                redirect_uri=None,
                check_for_updates=False,
                check_for_async=False,
            )
        except (PRAWException, prawcore.PrawcoreException, configparser.Error, ValueError) as error:
            raise SourceUnavailable(f"PRAW can't be set up: {error}; correct its file praw.ini") from error


class _Door(prawcore.Requestor):
    """One exchange with Reddit, paced and bounded; each end of it has a name."""

    def __init__(self, *, pace: Pace, **given: Any) -> None:
        super().__init__(**given)
        self._pace = pace

    def request(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> requests.Response:
        """Send one request, as soon as it may be sent, and return a success."""
        self._pace.wait_for_turn()
        # The credentials follow no redirect, and prawcore wants to see one.
        kwargs |= {"timeout": min(timeout or SILENCE_S, SILENCE_S), "stream": True, "allow_redirects": False}
        try:
            with self._http.request(*args, **kwargs) as response:
                wait_s = self._heed(response)  # first of all: who stops while the body is read was told, too
                body = self._read(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
            raise Down(_said(error)) from None  # the cause tells the whole address
        response.raw = io.BytesIO(body)  # where `response.content` will come from
        if str(args[1]).endswith(ACCESS_TOKEN_PATH):
            self._check_login(response, body)
        self._check(response, body, wait_s)
        for name in [name for name in response.headers if name.lower().startswith("x-ratelimit-")]:
            del response.headers[name]  # else prawcore sleeps
        return response

    def _read(self, response: requests.Response) -> bytes:
        pieces: list[bytes] = []
        until_s, size = self._pace.monotonic() + EXCHANGE_S, 0
        while piece := response.raw.read1(PIECE_BYTES, decode_content=True):
            self._pace.listen()
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BODY_BYTES or self._pace.monotonic() > until_s:
                raise Down(f"it sent {size} bytes and wasn't done after {EXCHANGE_S:.0f} s")
        return b"".join(pieces)

    def _heed(self, response: requests.Response) -> float | None:
        """Take note of when the next request may be sent; return the seconds that a refusal asks to wait."""
        self._pace.learn(response.headers)
        refused = response.status_code == TOO_MANY or is_transient(response.status_code)
        return self._pace.refused(response.headers) if refused else None

    def _check(self, response: requests.Response, body: bytes, wait_s: float | None) -> None:
        """Raise what a status other than success means."""
        status = response.status_code
        if status in SUCCESSES:
            return
        if status == UNAUTHORIZED:
            raise TokenRefused("its answer is 401")
        if status == TOO_MANY:
            raise TooSoon("its answer is 429, too many requests", UNSAID_S if wait_s is None else wait_s)
        if is_transient(status):
            raise Down(f"its answer is {status}", wait_s)
        raise Refused(status, _reason(body))

    @staticmethod
    def _check_login(response: requests.Response, body: bytes) -> None:
        """Raise what an answer to the login means that brings no token."""
        status, answer = response.status_code, _object(body)
        if status == TOO_MANY or is_transient(status):
            return
        if status not in SUCCESSES or "error" in answer:
            said = f"{status} {_word(answer.get('error'))}".strip()
            raise SourceUnavailable(WRONG_CREDENTIALS.format(said=said))
        given = answer.get("access_token"), answer.get("expires_in"), answer.get("scope")
        if not (isinstance(given[0], str) and isinstance(given[1], int) and isinstance(given[2], str)):
            raise BadAnswer("its login gives no token")


def _final(failure: Down) -> Exception:
    """Return what is raised in the end; for these two nothing else is worth asking for either."""
    if isinstance(failure, TooSoon):
        return SourceUnavailable(RATE_LIMITED)
    if isinstance(failure, TokenRefused):
        return SourceUnavailable(WRONG_CREDENTIALS.format(said=failure))
    return failure


def _said(error: Exception) -> str:
    """Return what went wrong with a connection, without the address or anything that was sent."""
    for kinds, said in _CONNECTION_FAILURES:
        if isinstance(error, kinds):
            return said
    return f"the request failed with {type(error).__name__}"


_CONNECTION_FAILURES: Final = (
    (requests.exceptions.SSLError, "no secure connection could be made"),
    (requests.exceptions.ProxyError, "the proxy refused"),
    (requests.exceptions.ConnectTimeout, "it can't be reached: no answer to the connection"),
    ((requests.exceptions.Timeout, urllib3.exceptions.TimeoutError), "it fell silent"),
    (requests.exceptions.ConnectionError, "it can't be reached, or hung up"),
    ((urllib3.exceptions.HTTPError, OSError), "it hung up in the middle of an answer"),
)


def _object(body: bytes) -> dict[str, Any]:
    """Return a JSON object, empty where the body is none."""
    try:
        parsed: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}


def _reason(body: bytes) -> str:
    return _word(_object(body).get("reason", ""))


def _word(value: object) -> str:
    """Return a word of Reddit's, fit to stand in a sentence; nothing that could be a secret sent back."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""
