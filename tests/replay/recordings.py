"""Recorded exchanges with Reddit, replayed: the cassettes of PRAW and prawcore in `shared/data/reddit`.

They are from 2016 to 2018. The names and ids in their bodies were replaced, those in their addresses only in
part; so a page on which a thread goes on is found by the comment that it is about, not by its address.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from tests.replay.server import Answer, Answering, Asked

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "reddit"
TOKEN_PATH = "/api/v1/access_token"
TOKEN = {"access_token": "a-token", "token_type": "bearer", "expires_in": 3600, "scope": "*"}

Exchange = dict[str, Any]


def cassette(name: str) -> list[Exchange]:
    """Return the exchanges of one recorded test, in order."""
    exchanges: list[Exchange] = orjson.loads((FOLDER / f"{name}.json").read_bytes())
    return exchanges


def errors() -> dict[str, list[Exchange]]:
    """Return what prawcore recorded of failures, by the name of the test."""
    by_test: dict[str, list[Exchange]] = orjson.loads((FOLDER / "errors.json").read_bytes())
    return by_test


def answer_of(exchange: Exchange) -> Answer:
    """Return the recorded answer, without the headers that were about its form on the wire."""
    wire = {"content-length", "content-encoding", "transfer-encoding", "connection"}
    headers = {name: value for name, value in exchange["headers"].items() if name not in wire}
    body = exchange["body"]
    return Answer(body.encode() if isinstance(body, str) else body, exchange["status"], headers)


def in_order(exchanges: list[Exchange]) -> Answering:
    """Answer logins with the recorded logins and all else with the others, in order, the last for ever."""
    logins = [each for each in exchanges if each["uri"].endswith(TOKEN_PATH)]
    others = [each for each in exchanges if not each["uri"].endswith(TOKEN_PATH)]

    def answer(asked: Asked) -> Answer:
        waiting = logins if asked.path == TOKEN_PATH else others
        if not waiting:
            return Answer(TOKEN)
        return answer_of(waiting.pop(0) if len(waiting) > 1 else waiting[0])

    return answer


def tree(exchanges: list[Exchange], hot: Any) -> Answering:
    """Answer for one recorded post: its page, its `morechildren`, and the pages on which threads go on.

    `hot` is the list that leads to it: no cassette holds both.
    """
    page = next(each for each in exchanges if each["uri"].partition("?")[0].endswith("/comments/c9lkd98/"))
    more = {_children(each): each for each in exchanges if "morechildren" in each["uri"]}
    threads = {_about(each): each for each in exchanges if "/_/" in each["uri"]}

    def answer(asked: Asked) -> Answer:
        if asked.path == TOKEN_PATH:
            return Answer(TOKEN)
        if asked.path.endswith("/hot"):
            return Answer(hot)
        if asked.path == "/api/morechildren/":
            return answer_of(more[asked.form["children"]])
        return answer_of(threads[asked.path.rpartition("/")[2]] if "/_/" in asked.path else page)

    return answer


def _children(exchange: Exchange) -> str:
    fields = dict(part.split("=", 1) for part in exchange["request_body"].split("&"))
    return str(fields["children"].replace("%2C", ","))


def _about(exchange: Exchange) -> str:
    return str(exchange["body"][1]["data"]["children"][0]["data"]["id"])
