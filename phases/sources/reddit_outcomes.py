"""Every way in which a request to Reddit can fail, and what a person is told of it.

Down                  transient: asked again, in the end an outage
├── TooSoon           429: asked again when Reddit says
├── BadAnswer         a success that is no JSON, or JSON of another shape
└── TokenRefused      401: asked again with a new token
Refused               final for this request: a 3xx or 4xx of another kind
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from phases.tools import SourceUnavailable

TOO_MANY: Final = 429
UNAUTHORIZED: Final = 401
SUCCESSES: Final = frozenset({200, 201, 202})
TRANSIENT: Final = frozenset({408, 425})
"""Beside every 5xx, with Cloudflare's 520 to 530 among them."""
FIRST_SERVER_ERROR: Final = 500


class Down(Exception):
    """Reddit didn't answer, or not with what was asked for; it may the next time."""

    def __init__(self, said: str, wait_s: float | None = None) -> None:
        super().__init__(said)
        self.wait_s = wait_s
        """How long it asks to be left alone; `None` where it doesn't say."""


class TooSoon(Down):
    """Reddit answered 429: more requests than it allows."""


class BadAnswer(Down):
    """Reddit answered with something else than the JSON that was asked for."""


class TokenRefused(Down):
    """Reddit no longer takes the token of this login."""


class Refused(Exception):
    """Reddit will not give this, however often it is asked."""

    def __init__(self, status: int, reason: str = "") -> None:
        super().__init__(f"{status} {reason}".strip())
        self.status = status
        self.reason = reason
        """Reddit's own word, such as `private`; empty where it says none."""


MISSING_CREDENTIALS: Final = (
    "live Reddit wants the credentials of an application: make one of the type script on Reddit's page of "
    "your apps (preferences, apps, create another app), have its use of the API approved, and set "
    "REDDIT_CLIENT_ID, REDDIT_CLIENT_SECRET and REDDIT_USER_AGENT (linux:phaseline:v1 (by /u/your_name))"
)
WRONG_CREDENTIALS: Final = (
    "Reddit doesn't accept the application's credentials ({said}); compare REDDIT_CLIENT_ID (the text below "
    "the app's name) and REDDIT_CLIENT_SECRET with Reddit's page of your apps; its type must be script"
)
RATE_LIMITED: Final = (
    "Reddit goes on answering 429, too many requests; wait ten minutes, check that nothing else uses the "
    "same REDDIT_CLIENT_ID, and start again"
)
OUTAGE: Final = (
    "Reddit can't be read ({said}); check the network and Reddit's status page, then resume the run or start "
    "another; archive:PATH and sample work without Reddit"
)

_BY_REASON: Final[Mapping[str, str]] = {
    "private": "r/{name} is private; choose a public subreddit",
    "banned": "r/{name} was banned by Reddit; choose another subreddit",
    "quarantined": "r/{name} is quarantined, closed to applications without an account; choose another",
    "gold_only": "r/{name} is for subscribers of Reddit only; choose another",
    "gated": "r/{name} asks for a person's consent first; choose another",
}
_BY_STATUS: Final[Mapping[int, str]] = {
    301: "Reddit has no r/{name}, it leads elsewhere; check the spelling of the subreddit",
    302: "Reddit has no r/{name}, it leads elsewhere; check the spelling of the subreddit",
    403: "Reddit forbids this application r/{name} (403); check that the app's use of the API is approved, "
    "that REDDIT_USER_AGENT follows Reddit's rule, and that the subreddit is public",
    404: "Reddit has no r/{name} (404); check the spelling of the subreddit",
    451: "Reddit may not show r/{name} here for legal reasons (451); choose another subreddit",
}
_OTHERWISE: Final = "Reddit refuses r/{name} ({said}); check the subreddit, or try again later"


def subreddit_refused(name: str, refused: Refused) -> str:
    """Return what to tell where a subreddit can't be read.

    >>> subreddit_refused("x", Refused(403, "private"))
    'r/x is private; choose a public subreddit'
    """
    said = _BY_REASON.get(refused.reason) or _BY_STATUS.get(refused.status, _OTHERWISE)
    return said.format(name=name, said=refused)


def is_transient(status: int) -> bool:
    """Return whether a status may well be another one the next time."""
    return status >= FIRST_SERVER_ERROR or status in TRANSIENT


def outage(down: Down) -> SourceUnavailable:
    """Return what an outage means for the run."""
    return SourceUnavailable(OUTAGE.format(said=down))
