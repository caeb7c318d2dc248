"""The body of a server's reply, whatever it may be: a completion, something else, and what it cost.

Servers that call themselves compatible differ in everything but `choices[0].message`, and some send an error
with HTTP 200. So nothing here is believed to be there, or to be of its type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

import orjson

from phases.analyzers.llm.answer import Answer, read_answer
from phases.analyzers.llm.outcomes import Outcome

MAX_TOKENS: Final = 10_000_000
"""A count beyond this is no count."""
MAX_NAME_CHARS: Final = 200

_FINISHES: Final = {"length": Outcome.TRUNCATED, "content_filter": Outcome.FILTERED}


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counted them; those of cached input and of thoughts are included."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one body came to."""

    outcome: Outcome
    answer: Answer | None = None
    served_model: str | None = None
    usage: Usage | None = None


def read_reply(body: str) -> Reply:
    """Return what a body of HTTP 200 says; never raises.

    >>> read_reply("<html>").outcome.value, read_reply('{"error": {"message": "busy"}}').outcome.value
    ('not_a_completion', 'error_body')
    """
    completion = _object(body)
    if completion is None:
        return Reply(outcome=Outcome.NOT_A_COMPLETION)
    outcome, answer = _said(completion)
    return Reply(
        outcome=outcome,
        answer=answer,
        served_model=_name(completion.get("model")),
        usage=read_usage(completion.get("usage")),
    )


def read_usage(value: Any) -> Usage | None:
    """Return the tokens of a `usage` object, `None` where there is no sense in it."""
    usage = _dict(value)
    counts = usage.get("prompt_tokens"), usage.get("completion_tokens", 0)
    if not all(type(count) is int and 0 <= count <= MAX_TOKENS for count in counts):
        return None
    return Usage(*cast("tuple[int, int]", counts))


def error_of(body: str) -> tuple[str, str]:
    """Return the code of an error's body and the parameter that it names, each empty where it has none."""
    value = _object(body) or {}
    told = _dict(value.get("error", value))
    code, param = (told.get(key) for key in ("code", "param"))
    return code if isinstance(code, str) else "", param if isinstance(param, str) else ""


def _said(completion: dict[str, Any]) -> tuple[Outcome, Answer | None]:
    choice = _first(completion.get("choices"))
    if completion.get("error") and not choice:
        return Outcome.ERROR_BODY, None
    if not choice:
        return Outcome.NO_CHOICES if "choices" in completion else Outcome.NOT_A_COMPLETION, None
    message = _dict(choice.get("message"))
    if message.get("refusal"):
        return Outcome.REFUSED, None
    finish = choice.get("finish_reason")
    if isinstance(finish, str) and finish in _FINISHES:
        return _FINISHES[finish], None
    content = _text(message.get("content"))
    if not content and (message.get("tool_calls") or message.get("function_call")):
        return Outcome.TOOL_CALL, None
    reading = read_answer(content)
    return reading.outcome, reading.answer


def _object(body: str) -> dict[str, Any] | None:
    try:
        value: Any = orjson.loads(body)
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _dict(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    items: list[Any] = value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]  # JSON
    return items


def _first(choices: Any) -> dict[str, Any]:
    return _dict(next(iter(_list(choices)), None))


def _text(content: Any) -> str:
    """Return a message's content: a text, or the texts among its parts."""
    if isinstance(content, str):
        return content
    texts = (part.get("text") for part in map(_dict, _list(content)) if part.get("type") == "text")
    return "".join(text for text in texts if isinstance(text, str))


def _name(value: Any) -> str | None:
    return value[:MAX_NAME_CHARS] if isinstance(value, str) else None
