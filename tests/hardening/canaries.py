"""Secrets that are nowhere else: whoever finds one outside its place has found a leak."""

from __future__ import annotations

from base64 import b64encode
from typing import Final
from urllib.parse import quote, quote_plus

SETTINGS: Final = {
    "TOKEN": 'canary01+to/ken"=?',
    "LLM_API_KEY": "canary02 with spaces & signs\\",
    "REDDIT_CLIENT_SECRET": "canary03-plain",
}
"""What the settings hold; the awkward signs make other spellings of them."""
BASE_URL: Final = "https://llm.example/v1?api_key=canary05"
REFUSED_URL: Final = "https://somebody:canary04@llm.example/v1?api_key=canary05"
"""No setting takes an address with a password; the refusal must not repeat it."""

IN_TEXT: Final = (
    "GET https://quotes.example/v1?symbol=GME&key=canary06",
    "GET https://quotes.example/v1?api_key=canary07&symbol=GME",
    "POST https://login.example/?grant=1&access_token=canary08",
    "GET https://files.example/a;X-Amz-Signature=canary09",
    "Authorization: Bearer canary10.canary10",
    f"Authorization: Basic {b64encode(b'someid:canary11').decode()}",
    "{'Authorization': 'bearer canary12canary12'}",
    "redis://default:canary13@cache.example:6379/0",
    "https://canary20@collector.example/v1/traces",
    "the key sk-canary14-canary14 was refused",
    '{"api_key": "canary15canary15", "model": "m"}',
    "client_secret=canary16canary16&grant_type=password",
    "password: canary17canary17",
    "X-Api-Key: canary18canary18",
    "token=canary19canary19",
)
"""Secrets of nobody's settings, as libraries put them into the texts of their errors."""

ENCODED: Final = b64encode(b"someid:canary11").decode()


def spelled(secret: str) -> tuple[str, ...]:
    """Return a secret as it is, and as addresses, `repr` and JSON write it."""
    return secret, quote(secret, safe=""), quote_plus(secret), repr(secret)


def everything() -> str:
    """Return one text that holds every secret in every spelling."""
    known = (each for secret in SETTINGS.values() for each in spelled(secret))
    return "\n".join((*IN_TEXT, REFUSED_URL, *known))


def leaks(text: str) -> list[str]:
    """Return the surroundings of each secret in a text."""
    found: list[str] = []
    for sign in ("canary", ENCODED):
        at = text.find(sign)
        while at >= 0:
            found.append(text[max(0, at - 40) : at + 40])
            at = text.find(sign, at + 1)
    return found
