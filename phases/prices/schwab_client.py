"""schwab-py's client over our token file: refreshed under a lock, once more after a 401.

Nothing here was tried against Schwab. The tests drive the real client and the real OAuth session; a
transport that is handed in brings their requests to a server on loopback.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from phases.prices.errors import BadAnswer, LoginNeeded, RateLimited, Unreachable
from phases.prices.schwab_token import LOGIN, TokenFile
from phases.tools import PricesUnavailable

EXTRA: Final = 'pip install "phaseline[schwab]"'
LEEWAY_S: Final = 300
"""An access token is refreshed so long before its end."""
TIMEOUT_S: Final = 10.0
_UNAUTHORIZED: Final = 401
_TOO_MANY: Final = 429
_ILL: Final = 500
_OK: Final = 200

Question = Callable[[Any], Any]
"""Asks schwab-py's `Client`, and returns its response."""


@dataclass(frozen=True, slots=True)
class SchwabApp:
    """What Schwab knows this application by; the secret is in no `repr`."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        """Name the application, not its secret."""
        return f"SchwabApp({self.client_id!r})"


class SchwabSession:
    """One application's access to Schwab."""

    def __init__(self, app: SchwabApp, tokens: TokenFile, transport: Any = None) -> None:
        self._app = app
        self._tokens = tokens
        self._transport = transport
        self._client: Any = None

    def ask(self, question: Question) -> Any:
        """Return the JSON of Schwab's answer;.

        Raises:
            LoginNeeded: Only a person can help.
            PricesUnavailable: Any other failure, by its name in `errors.py`.
        """
        client = self._ready()
        response = self._sent(question, client)
        if response.status_code == _UNAUTHORIZED:
            self._refresh(client)
            response = self._sent(question, client)
        return _content(response)

    def _ready(self) -> Any:
        """Return the client with an access token that lasts a while yet."""
        if self._client is None:
            self._client = open_client(self._app, self._tokens, self._transport)
        if self._client.session.token.is_expired(leeway=LEEWAY_S):
            self._refresh(self._client)
        return self._client

    def _refresh(self, client: Any) -> None:
        """Take the token that somebody else has fetched meanwhile, or fetch a new one."""
        with self._tokens.lock():
            kept = self._tokens.read()["token"]
            if kept["access_token"] != client.session.token["access_token"]:
                client.session.token = kept
                if not client.session.token.is_expired(leeway=LEEWAY_S):
                    return
            try:
                client.session.refresh_token(_token_endpoint(), refresh_token=kept["refresh_token"])
            except Exception as error:  # OAuth and HTTP clients raise by trees of their own
                raise _named(error) from error

    @staticmethod
    def _sent(question: Question, client: Any) -> Any:
        try:
            return question(client)
        except Exception as error:  # as above
            raise _named(error) from error


def open_client(app: SchwabApp, tokens: TokenFile, transport: Any = None) -> Any:
    """Return schwab-py's client, as its `client_from_access_functions` does, over a transport of choice."""
    load()
    content = tokens.read()
    auth, client = import_module("schwab.auth"), import_module("schwab.client")

    def keep(fresh: dict[str, Any], **_old: str) -> None:
        tokens.write(fresh)

    metadata = auth.TokenMetadata.from_loaded_token(content, keep)
    import_module("schwab.debug").register_redactions(metadata.token)
    session = auth.OAuth2Client(
        app.client_id,
        client_secret=app.client_secret,
        token=metadata.token,
        token_endpoint=auth.TOKEN_ENDPOINT,
        update_token=metadata.wrapped_token_write_func(),
        leeway=0,  # refreshing is `SchwabSession`'s, under its lock
        transport=transport,
    )
    made = client.Client(app.client_id, session, token_metadata=metadata)
    made.set_timeout(TIMEOUT_S)
    return made


@dataclass(frozen=True, slots=True)
class Login:
    """A login that a person has begun."""

    app: SchwabApp
    callback_url: str
    address: str
    """Where to log in."""
    state: str
    """What tells this login from others."""


def begin_login(app: SchwabApp, callback_url: str) -> Login:
    """Return where a person has to log in; Schwab then sends the browser to `callback_url`."""
    load()
    context = import_module("schwab.auth").get_auth_context(app.client_id, callback_url)
    return Login(app, callback_url, context.authorization_url, context.state)


def end_login(login: Login, received_url: str, tokens: TokenFile, now_s: int, transport: Any = None) -> None:
    """Fetch the token for the address that the browser was sent to, and keep it.

    Raises `PricesUnavailable` where Schwab gives none.
    """
    if not parse_qs(urlsplit(received_url).query).get("code"):
        # Without one the session would quietly ask for a token of the application itself.
        raise LoginNeeded("that address holds no code of Schwab; copy all that the browser shows at the end")
    auth = import_module("schwab.auth")
    session = auth.OAuth2Client(login.app.client_id, redirect_uri=login.callback_url, transport=transport)
    try:
        token = session.fetch_token(
            auth.TOKEN_ENDPOINT,
            authorization_response=received_url,
            client_id=login.app.client_id,
            auth=(login.app.client_id, login.app.client_secret),
            state=login.state,
        )
    except Exception as error:  # OAuth and HTTP clients raise by trees of their own
        raise _named(error) from error
    finally:
        session.close()
    with tokens.lock():
        tokens.write({"creation_timestamp": now_s, "token": dict(token)})


def load() -> None:
    """Import schwab-py; raises `PricesUnavailable` with what to install where it is missing."""
    try:
        with warnings.catch_warnings():
            # schwab-py 1.5.1 streams with a part of websockets that is to go; streams aren't used here.
            warnings.simplefilter("ignore", DeprecationWarning)
            import_module("schwab.auth")
    except ImportError as error:
        raise PricesUnavailable(f"PRICES=schwab needs an extra: {EXTRA}") from error


def _token_endpoint() -> str:
    return str(import_module("schwab.auth").TOKEN_ENDPOINT)


def _content(response: Any) -> Any:
    status = response.status_code
    if status == _OK:
        try:
            return response.json()
        except ValueError as error:
            raise BadAnswer("Schwab's answer is no JSON") from error
    if status == _UNAUTHORIZED:
        raise LoginNeeded(f"Schwab doesn't accept the token; {LOGIN}")
    if status == _TOO_MANY:
        limited = RateLimited("Schwab was asked too often; try again later")
        limited.retry_after_s = _seconds(response.headers.get("Retry-After"))
        raise limited
    if status >= _ILL:
        raise Unreachable(f"Schwab answers {status}")
    raise BadAnswer(f"Schwab refuses the question with {status}")


def _seconds(text: str | None) -> float:
    return float(text) if text and text.isdecimal() else 0.0


def _named(error: Exception) -> PricesUnavailable:
    """Return what an error of the OAuth session or of its HTTP client means; its text may hold a secret."""
    if isinstance(error, import_module("authlib.common.errors").AuthlibBaseError):
        return LoginNeeded(f"Schwab refuses to go on without a person ({type(error).__name__}); {LOGIN}")
    return Unreachable(f"Schwab can't be reached: {type(error).__name__}")
