"""The real client on the wire: its limits, what it leaves out, whom it sends the key to."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from phases.analyzers.llm import wire
from phases.analyzers.llm.endpoint import NoReply, Received
from phases.analyzers.llm.settings import Address
from tests.models.asking import KEY
from tests.models.characters import always, answered, honest, said, sent
from tests.models.server import Request, Response, model_server

CHAT = [{"role": "user", "content": "begin x\nGME\nend x"}]


def send(base_url: str, *, times: int = 1, timeout_s: float = 5.0) -> list[Received]:
    address = Address(base_url=base_url, host="model.test", model="m-1", key=KEY)
    with wire.connected(address, time.monotonic) as endpoint:
        return [endpoint.send(CHAT, max_tokens=500, timeout_s=timeout_s) for _ in range(times)]


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (Response(manner="hang"), "timed_out"),
        (Response(manner="drip"), "timed_out"),
        (Response(manner="endless"), "oversized"),
        (Response(manner="endless", status=500), "oversized"),
        (Response(manner="drip", status=500), "timed_out"),
        (Response(manner="cut", body=b"{"), "unreachable"),
        (Response(body=gzip.compress(b" " * 10**7), headers={"Content-Encoding": "gzip"}), "unreachable"),
        (Response(status=99), "unreachable"),
    ],
    ids=["hang", "drip", "endless", "endless error", "dripping error", "cut", "bomb", "no status"],
)
def test_no_reply_takes_longer_or_is_larger_than_an_answer(response: Response, outcome: str) -> None:
    with model_server(always(response)) as server, pytest.raises(NoReply, match=outcome):
        send(server.base_url, timeout_s=0.3)


def test_a_reply_whose_every_piece_is_in_time_is_late_as_a_whole() -> None:
    clock = count(0.0, 21.0)
    with model_server(honest) as server:
        address = Address(base_url=server.base_url, host="model.test", model="m-1", key=KEY)
        with (
            wire.connected(address, lambda: next(clock)) as endpoint,
            pytest.raises(NoReply, match="timed_out"),
        ):
            endpoint.send(CHAT, max_tokens=500, timeout_s=20.0)


def test_a_redirect_is_not_followed_with_the_key() -> None:
    with model_server(honest) as elsewhere:
        moved = Response(status=307, headers={"Location": f"{elsewhere.base_url}/chat/completions"})
        with model_server(always(moved)) as server:
            (received,) = send(server.base_url)

    assert received.status == 307
    assert elsewhere.requests == []


def test_no_proxy_of_the_environment_gets_the_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    with model_server(honest) as proxy, model_server(honest) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.base_url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        (received,) = send(server.base_url)

    assert received.status == 200
    assert proxy.requests == []


def particular(*refused: str) -> Callable[[Request], Response]:
    """Be a server that names the first parameter that it can't take."""

    def answering(request: Request) -> Response:
        for name in refused:
            if name in request.body:
                error = {"message": f"Unsupported: {name}", "param": name, "code": "unsupported_parameter"}
                return sent({"error": error}, 400)
        return answered(said("GME"))

    return answering


@pytest.mark.parametrize(
    "refused", [("temperature",), ("max_tokens", "temperature"), ("response_format", "max_tokens")]
)
def test_what_a_server_does_not_know_is_left_out_from_then_on(refused: tuple[str, ...]) -> None:
    with model_server(particular(*refused)) as server:
        received = send(server.base_url, times=2)

    assert [each.status for each in received] == [200, 200]
    assert len(server.requests) == len(refused) + 2
    assert not set(refused) & set(server.requests[-1].body)
    lengths = ("max_completion_tokens",) if "max_tokens" in refused else ("max_tokens",)
    assert [server.requests[-1].body[name] for name in lengths] == [500]


@pytest.mark.parametrize("name", ["model", "messages", "max_completion_tokens", None, "temperature"])
def test_a_server_that_is_never_content_is_not_asked_for_ever(name: Any) -> None:
    error = {"error": {"message": "no", "param": name}}
    with model_server(always(sent(error, 400))) as server:
        (received,) = send(server.base_url)

    assert received.status == 400
    assert len(server.requests) <= 2


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    with model_server(always(Response(body=b"\xff\x00{"))) as server:
        (received,) = send(server.base_url)

    assert received.body == "\ufffd\ufffd{"


def test_the_client_is_imported_by_the_one_who_asks_and_by_nobody_else() -> None:
    code = "import sys, api.toolbox; print(sorted({'openai', 'httpx2'} & set(sys.modules)))"

    said_by_it = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said_by_it.stdout.strip() == "[]"


def test_the_request_holds_what_the_analyser_wants_and_no_more() -> None:
    with model_server(honest) as server:
        send(server.base_url)

    (request,) = server.requests
    assert set(request.body) == {"model", "messages", "response_format", "temperature", "max_tokens"}
    assert json.dumps(request.body["messages"]) == json.dumps(CHAT)
