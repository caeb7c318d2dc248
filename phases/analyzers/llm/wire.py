"""The official client, and the limits that it lacks. The only module that imports it.

Its own retries are off, so that only ours count. A read timeout bounds each piece of a reply, not the whole,
and nothing bounds its length; so the transport below counts both. Compressed replies are refused, because a
few bytes can stand for gigabytes. Redirects are not followed: the key stays with the host it was meant for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpx2
import openai

from phases.analyzers.llm.answer import SCHEMA
from phases.analyzers.llm.endpoint import Endpoint, NoReply, Received
from phases.analyzers.llm.outcomes import Outcome
from phases.analyzers.llm.settings import Address
from phases.analyzers.llm.statuses import refused_parameter

CONNECT_TIMEOUT_S: Final = 10.0
MAX_REPLY_BYTES: Final = 1 << 18
"""Far more than an answer of the greatest length."""

_FORM: Final[Any] = {
    "type": "json_schema",
    "json_schema": {"name": "annotation", "strict": True, "schema": SCHEMA},
}
_NO_KEY: Final = "none"


class _Oversized(httpx2.ReadError):
    """A reply is longer than any answer."""


@contextmanager
def connected(address: Address, monotonic: Callable[[], float]) -> Generator[Endpoint]:
    """Open a client for a server, and close it."""
    headers: dict[str, Any] = {
        "Accept-Encoding": "identity",
        "OpenAI-Organization": openai.omit,
        "OpenAI-Project": openai.omit,
    }
    with (
        httpx2.Client(transport=_Bounded(monotonic), follow_redirects=False) as http,
        openai.OpenAI(
            api_key=address.key or _NO_KEY,
            base_url=address.base_url,
            max_retries=0,
            default_headers=headers,
            http_client=http,
        ) as client,
    ):
        yield _OpenAI(client, address.model, {} if address.key else {"Authorization": openai.omit})


class _OpenAI:
    """Sends requests, and leaves out for good what a server says that it does not know."""

    def __init__(self, client: openai.OpenAI, model: str, headers: dict[str, Any]) -> None:
        self._create: Callable[..., Any] = client.chat.completions.with_raw_response.create
        self._fixed: dict[str, Any] = {"model": model, "extra_headers": headers}
        self._left_out: frozenset[str] = frozenset()

    def send(self, messages: Sequence[Mapping[str, str]], *, max_tokens: int, timeout_s: float) -> Received:
        """Send one request, and again without a parameter that the server refuses; see `Endpoint`."""
        wanted = {"messages": list(messages), "timeout": _timeout(timeout_s)}
        while True:
            left_out = self._left_out
            received = self._sent({**wanted, **_optional(max_tokens, left_out)})
            refused = refused_parameter(received)
            if refused not in _OPTIONAL or refused in left_out:
                return received
            self._left_out |= {refused}

    def _sent(self, request: dict[str, Any]) -> Received:
        try:
            response: httpx2.Response = self._create(**self._fixed, **request).http_response
        except openai.APIStatusError as error:
            response = error.response
        except openai.APIConnectionError as error:
            raise NoReply(_outcome(error)) from None
        return Received(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=response.content.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}"),
        )


def _timeout(timeout_s: float) -> httpx2.Timeout:
    return httpx2.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))


_OPTIONAL: Final = ("max_tokens", "temperature", "response_format")
"""What a request is better off with; models that think know another `max_tokens` and no temperature."""


def _optional(max_tokens: int, left_out: frozenset[str]) -> dict[str, Any]:
    lengths = "max_completion_tokens" if "max_tokens" in left_out else "max_tokens"
    values = {"max_tokens": max_tokens, "temperature": 0, "response_format": _FORM}
    kept = {name: value for name, value in values.items() if name not in left_out}
    return {**kept, lengths: max_tokens}


def _outcome(error: openai.APIConnectionError) -> Outcome:
    if isinstance(error.__cause__, _Oversized):
        return Outcome.OVERSIZED
    if isinstance(error.__cause__, httpx2.ReadTimeout | httpx2.WriteTimeout):
        return Outcome.TIMED_OUT
    return Outcome.UNREACHABLE


class _Bounded(httpx2.BaseTransport):
    """Ends a reply that takes longer than its read timeout in all, or is too long."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._inner = httpx2.HTTPTransport()
        self._monotonic = monotonic

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        until_s = self._monotonic() + request.extensions["timeout"]["read"]
        response = self._inner.handle_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            response.close()
            raise httpx2.DecodingError("the reply is compressed, which nobody asked for", request=request)
        stream = response.stream
        assert isinstance(stream, httpx2.SyncByteStream), "a synchronous transport answers with one"
        response.stream = _BoundedStream(stream, lambda: self._monotonic() > until_s)
        return response

    def close(self) -> None:
        self._inner.close()


class _BoundedStream(httpx2.SyncByteStream):
    def __init__(self, inner: httpx2.SyncByteStream, is_late: Callable[[], bool]) -> None:
        self._inner = inner
        self._is_late = is_late

    def __iter__(self) -> Iterator[bytes]:
        received = 0
        for piece in self._inner:
            received += len(piece)
            if received > MAX_REPLY_BYTES:
                raise _Oversized("the reply is longer than any answer")
            if self._is_late():
                raise httpx2.ReadTimeout("the reply took too long in all")
            yield piece

    def close(self) -> None:
        self._inner.close()
