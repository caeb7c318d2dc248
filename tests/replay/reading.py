"""Reading from a server on loopback with the real client, on a clock that only moves by waiting."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from phases.sources.reddit import RedditSource
from phases.sources.reddit_app import RedditApp
from phases.tools import SourceItem
from tests.fakes import BEGINNING
from tests.replay.made import SUBREDDIT
from tests.replay.server import Answering, Loopback, serving

SECRET = "a-secret"
HOUR_S = 3_600.0

ItemT = TypeVar("ItemT")


class WaitingClock:
    """A `Clock` on which to wait is to be later; it keeps how long each wait was."""

    def __init__(self, now: datetime = BEGINNING) -> None:
        self._now = now
        self._monotonic_s = 0.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self._monotonic_s

    def now(self) -> datetime:
        return self._now

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        assert timeout_s is not None
        self.waits.append(timeout_s)
        self.advance(timeout_s)
        return event.is_set()

    def advance(self, seconds: float) -> None:
        self._monotonic_s += seconds
        self._now += timedelta(seconds=seconds)


@dataclass
class Reader:
    """Reads what a server says, and keeps what was asked, said and waited."""

    clock: WaitingClock = field(default_factory=WaitingClock)
    keep: Path | None = None
    jitter: float = 0.0
    secret: str = SECRET
    time_s: float = HOUR_S
    steps: list[tuple[int, int | None, str]] = field(default_factory=list)
    server: Loopback | None = None
    on_progress: Callable[[], None] = lambda: None

    def app(self, url: str) -> RedditApp:
        return RedditApp(
            client_id="an-id",
            client_secret=self.secret,
            user_agent="linux:phaseline:v0 (by /u/nobody)",
            login_url=url,
            api_url=url,
        )

    def read(
        self, answer: Answering, *, subreddit: str = SUBREDDIT, as_of: datetime | None = None
    ) -> list[SourceItem]:
        with serving(answer) as self.server:
            return self.read_as(self.app(self.server.url), subreddit=subreddit, as_of=as_of)

    def read_as(
        self, app: RedditApp, *, subreddit: str = SUBREDDIT, as_of: datetime | None = None
    ) -> list[SourceItem]:
        items = RedditSource(app, self.clock, lambda: self.jitter, keep=self.keep).read(
            subreddit=subreddit,
            as_of=as_of or self.clock.now(),
            progress=self._progress,
            remaining_s=lambda: self.time_s - self.clock.monotonic(),
        )
        return list(items)

    def _progress(self, current: int, total: int | None, unit: str) -> None:
        self.steps.append((current, total, unit))
        self.on_progress()

    @property
    def asked(self) -> Counter[str]:
        """Return how often each path was asked for."""
        assert self.server is not None
        return Counter(self.server.paths())


def of_kind(items: Iterable[SourceItem], kind: type[ItemT]) -> list[ItemT]:
    return [item for item in items if isinstance(item, kind)]
