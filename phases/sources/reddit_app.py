"""The application as which Reddit is read, and where Reddit is."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Final

from phases.sources.reddit_outcomes import MISSING_CREDENTIALS
from phases.tools import SourceUnavailable

LOGIN_URL: Final = "https://www.reddit.com"
API_URL: Final = "https://oauth.reddit.com"
MISSING_EXTRA: Final = 'live Reddit needs PRAW; install it with pip install "phaseline[reddit]"'


@dataclass(frozen=True, slots=True, kw_only=True)
class RedditApp:
    """What identifies this installation to Reddit. The secret shows in no `repr`."""

    client_id: str
    client_secret: str = field(repr=False)
    user_agent: str
    login_url: str = LOGIN_URL
    """Where tokens come from."""
    api_url: str = API_URL
    """Where everything else comes from."""


def check(client_id: str | None, has_secret: bool) -> None:
    """Raise `SourceUnavailable` with what to do unless live Reddit can be tried; asks nobody."""
    if not client_id or not has_secret:
        raise SourceUnavailable(MISSING_CREDENTIALS)
    if find_spec("praw") is None:
        raise SourceUnavailable(MISSING_EXTRA)


def default_user_agent(client_id: str, version: str) -> str:
    """Return `<platform>:<app ID>:<version> (by ...)`, as Reddit's rule wants it, unique to the application.

    Who runs it can't be known, so the application's id stands in for the name.

    >>> default_user_agent("abc", "1.0").partition(":")[2]
    'phaseline:v1.0 (by the owner of the application abc)'
    """
    return f"{sys.platform}:phaseline:v{version} (by the owner of the application {client_id})"
