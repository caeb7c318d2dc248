"""What leaves a failure: no secrets, no control characters, no more than fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from statemachine.contract import Json

_PATTERNS = (
    (re.compile(r"(?i)\b(authorization\\?['\"]?\s*[:=]\s*\\?['\"]?)[^\r\n'\"]+"), r"\1***"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), r"\1 ***"),
    (re.compile(r"(?i)([?&;](?:[\w-]*(?:key|token|secret|password|signature))=)[^&\s'\"#]+"), r"\1***"),
    (
        re.compile(
            r"(?i)((?:api[_-]?key|secret|passwd|password|token|signature|cookie)[\w-]{0,20}"
            r"\\?['\"]?\s*[:=]\s*\\?['\"]?)[^\s'\",;&)\\]{6,}"
        ),
        r"\1***",
    ),
    (re.compile(r"(?i)(://(?:[^/\s:@]{1,200}:)?)[^/\s@]{1,200}@"), r"\1***@"),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{8,}"), "sk-***"),
)
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Control characters, halves of characters, and what turns or hides the text around it."""

Redact = Callable[[str], str]


def redactor(secrets: Iterable[str] = ()) -> Redact:
    """Return a function that hides known secrets and whatever looks like one in a text.

    >>> redactor(["hunter2"])("hunter2 at https://x.example/?key=SECRET123")
    '*** at https://x.example/?key=***'
    """
    known = sorted((secret for secret in secrets if secret), key=len, reverse=True)

    def redact(text: str) -> str:
        for secret in known:
            text = text.replace(secret, "***")
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)

    return redact


def redacted(value: Json, redact: Redact) -> Json:
    """Return a JSON value with every text in it redacted; the keys of objects stay as they are.

    >>> redacted({"url": ["?key=SECRET1", 2]}, redactor())
    {'url': ['?key=***', 2]}
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        items: list[Json] = value  # pyright: ignore[reportUnknownVariableType]  # JSON
        return [redacted(each, redact) for each in items]
    if isinstance(value, dict):
        members: dict[str, Json] = value  # pyright: ignore[reportUnknownVariableType]  # JSON
        return {key: redacted(each, redact) for key, each in members.items()}
    return value


def capped(text: str, limit: int) -> str:
    """Return at most `limit` characters of a text: its beginning and, more telling, its end."""
    if len(text) <= limit:
        return text
    head = limit // 4
    return f"{text[:head]}\n[...]\n{text[len(text) - (limit - head - 7) :]}"
