"""An archive cut into days, so that a run reads its own days and not the whole archive again.

The archive is read once. Each usable line goes, unchanged, into a file for its kind and UTC day in a private
folder; a run as of an instant is then given the files that reach as far back as the fetch phase looks, and
these are read as any archive is. So a replay reads each line a few times however many days it has, whatever
the order and compression of the archive. The price is the archive's unpacked size on disk while it runs.

Lines that no day can be told of are counted, and told to the first run only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from phases.fetch_reddit import CONTEXT, POST_AGE
from phases.sources.archive import ArchiveSource, Progress
from phases.sources.records import LAST_SECOND, Wanted
from phases.tools import Comment, PostEnd, Skipped, SourceItem

BUFFER_BYTES: Final = 16 * 2**20
EXPECTED: Final = frozenset({"blank_line", "other_subreddit"})
"""Reasons to leave a line aside that nobody needs to hear of."""
Kind = Literal["posts", "comments"]


@dataclass(frozen=True, slots=True)
class Slices:
    """Where the days are, and what was in the archive."""

    folder: Path
    days: dict[Kind, Sequence[date]]
    """Sorted."""
    first_comment: datetime | None
    unusable: Sequence[Skipped]

    def files(self, kind: Kind, since: datetime, until: datetime) -> list[Path]:
        """Return the files of the days between two instants, and of the last day before `until`.

        The last one tells a source that has fallen silent from one that has not begun.
        """
        days = [day for day in self.days[kind] if day <= until.date()]
        earlier = [day for day in days if day < until.date()][-1:]
        return [_file(self.folder, kind, day) for day in days if day >= since.date() or day in earlier]


def cut(archive: ArchiveSource, subreddit: str, folder: Path, progress: Progress) -> Slices:
    """Cut the archive into days below `folder`; raises `SourceUnavailable` as the archive does."""
    cutter = _Cutter(folder)
    for line, item in archive.lines(Wanted(subreddit=subreddit.lower(), as_of_s=LAST_SECOND), progress):
        cutter.take(line, item)
    cutter.flush()
    return Slices(
        folder=folder,
        days={kind: sorted(days) for kind, days in cutter.days.items()},
        first_comment=cutter.first_comment,
        unusable=cutter.unusable,
    )


class _Cutter:
    """Appends lines to the files of their days, many at a time."""

    def __init__(self, folder: Path) -> None:
        self.days: dict[Kind, set[date]] = {"posts": set(), "comments": set()}
        self.first_comment: datetime | None = None
        self.unusable: list[Skipped] = []
        self._folder = folder
        self._waiting: defaultdict[Path, bytearray] = defaultdict(bytearray)
        self._waiting_bytes = 0

    def take(self, line: bytes, item: SourceItem) -> None:
        if isinstance(item, Skipped):
            if item.reason not in EXPECTED:
                self.unusable.append(item)
            return
        if isinstance(item, PostEnd):
            return  # no archive ends a post
        if isinstance(item, Comment):
            self.first_comment = min(self.first_comment or item.created_utc, item.created_utc)
        kind: Kind = "comments" if isinstance(item, Comment) else "posts"
        day = item.created_utc.date()
        self.days[kind].add(day)
        self._waiting[_file(self._folder, kind, day)] += line if line.endswith(b"\n") else line + b"\n"
        self._waiting_bytes += len(line)
        if self._waiting_bytes >= BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        for path, lines in self._waiting.items():
            with path.open("ab") as file:
                file.write(lines)
        self._waiting.clear()
        self._waiting_bytes = 0


def _file(folder: Path, kind: Kind, day: date) -> Path:
    return folder / f"{kind}-{day}.ndjson"


class SlicedArchive:
    """A `Source` of what an archive has for one run. Runs share the slices, one after the other."""

    name = "archive"

    def __init__(self, slices: Slices, lookback: timedelta) -> None:
        self._slices = slices
        self._lookback = lookback
        self._untold = list(slices.unusable)

    def read(
        self,
        *,
        subreddit: str,
        as_of: datetime,
        progress: Progress,
        remaining_s: Callable[[], float] = lambda: 0.0,  # noqa: ARG002  # a file keeps nobody waiting
    ) -> Iterator[SourceItem]:
        """Yield what the fetch phase keeps, and a little more; see `Source.read`."""
        start = as_of.astimezone(UTC) - self._lookback
        paths = [
            *self._slices.files("posts", start - POST_AGE, as_of),
            *self._slices.files("comments", start - CONTEXT, as_of),
        ]
        while self._untold:
            yield self._untold.pop(0)
        yield from ArchiveSource(paths).read(subreddit=subreddit, as_of=as_of, progress=progress)
