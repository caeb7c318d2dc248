"""Recorded exchanges with real servers of many makers, replayed over HTTP on loopback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.models.server import Request, Response

RECORDINGS: Final = Path(__file__).parents[3] / "shared" / "data" / "llm" / "chat_completions.ndjson"
ABSENT: Final = "the recorded exchanges are not part of the repository"


@dataclass(frozen=True, slots=True)
class Recording:
    """One exchange."""

    host: str
    status: int
    headers: Mapping[str, str]
    body: Any
    """An object, or the text of an event stream."""

    @property
    def response(self) -> Response:
        """The response as it was sent."""
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return Response(status=self.status, body=text.encode(), headers=self.headers)


@cache
def recordings() -> tuple[Recording, ...]:
    """Return all exchanges, in the order of the file."""
    with RECORDINGS.open(encoding="utf-8") as lines:
        found = map(json.loads, lines)
        return tuple(Recording(each["host"], each["status"], each["headers"], each["body"]) for each in found)


def replaying(request: Request) -> Response:
    """Answer a comment that is a number with that exchange."""
    return recordings()[int(request.comment)].response
