"""A source: one text file, one comment a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from phases.tools import Comment, Post, SourceItem, SourceUnavailable


class LinesSource:
    """Comments from a text file, each as old as its line is far from the end, in minutes."""

    name = "lines"

    def __init__(self, argument: str) -> None:
        self._path = Path(argument)

    def read(
        self,
        *,
        subreddit: str,
        as_of: datetime,
        progress: Callable[[int, int | None, str], None],
        remaining_s: Callable[[], float],
    ) -> Iterator[SourceItem]:
        """Yield one post and its comments."""
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise SourceUnavailable(f"there are no lines in {self._path}: {error.strerror}") from error
        yield Post(reddit_id="p1", title=f"r/{subreddit}", created_utc=as_of - timedelta(hours=6))
        for number, line in enumerate(lines, start=1):
            progress(number, len(lines), "lines")
            yield Comment(
                reddit_id=f"c{number}",
                post_id="p1",
                author=f"author{number}",
                body=line,
                created_utc=as_of - timedelta(minutes=1 + len(lines) - number),
            )
