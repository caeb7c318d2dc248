"""The progress of a replay: a bar over all its days where a person watches, a line for each run elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from api.cli.follow import Bar, Status, phases_done, where
from api.cli.text import is_terminal, say
from api.replay.plan import NEW_YORK, Moment

FIGURES: Final = (
    ("comments", "comments"),
    ("signals_created", "signals"),
    ("positions_opened", "opened"),
    ("exits_triggered", "exits"),
)
"""What of a run's results is said, and how."""


class Days:
    """A display for all runs of a replay, one after the other."""

    def __init__(self, count: int) -> None:
        self._bar = Bar() if is_terminal() else None
        self._count = count
        self._done = 0
        self._when = ""

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.__exit__(kind, error, trace)

    def read(self, done: int, total: int | None, _unit: str) -> None:
        """Show how much of the archive has been read."""
        if self._bar and total:
            self._bar.move("reading the archive", done / total)

    def at(self, moment: Moment) -> None:
        """Turn to a run."""
        self._when = f"{moment.as_of.astimezone(NEW_YORK):%Y-%m-%d %H:%M}"

    def show(self, status: Status) -> None:
        """Show how far the run is."""
        if self._bar:
            share = phases_done(status) / status["progress_total"]
            self._bar.move(f"{self._when}: {where(status)}", (self._done + share) / self._count)

    def done(self, status: Status) -> None:
        """Say what a completed run found."""
        self._done += 1
        if not self._bar:
            figures = ", ".join(f"{status['results'].get(name, 0)} {word}" for name, word in FIGURES)
            say(f"{self._when}: {figures}")
