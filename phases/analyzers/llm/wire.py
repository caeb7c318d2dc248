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
from phases.analyzers.llm.endpoint import Address, Endpoint, NoReply, Received
from phases.analyzers.llm.outcomes import Outcome

CONNECT_TIMEOUT_S: Final = 10.0
MAX_REPLY_BYTES: Final = 1 << 20
"""A hundred times an answer of the greatest length."""

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
    def __init__(self, client: openai.OpenAI, model: str, headers: dict[str, Any]) -> None:
        self._create = client.chat.completions.with_raw_response.create
        self._model = model
        self._headers = headers

    def send(self, messages: Sequence[Mapping[str, str]], *, max_tokens: int, timeout_s: float) -> Received:
        """Send one request; see `Endpoint`."""
        chat: Any = list(messages)
        try:
            response = self._create(
                model=self._model,
                messages=chat,
                response_format=_FORM,
                temperature=0,
                max_tokens=max_tokens,
                extra_headers=self._headers,
                timeout=httpx2.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
            ).http_response
        except openai.APIStatusError as error:
            response = error.response
        except openai.APIConnectionError as error:
            raise NoReply(_outcome(error)) from None
        return Received(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=response.content.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}"),
        )


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
