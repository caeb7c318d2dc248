"""Archives of Reddit: NDJSON as Pushshift and Arctic Shift publish it, plain, `.gz` or `.zst`."""

from __future__ import annotations

import stat
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

from phases.sources.lines import Lines, TooManyBytes
from phases.sources.records import Wanted, is_object, read_record
from phases.tools import Skipped, SourceItem, SourceUnavailable

MAX_UNPACKED_BYTES: Final = 256 * 2**30
"""What all files of a run may unpack to; years of one large subreddit fit in."""
MAX_HEAD_BYTES: Final = 2**27
HEAD_LINES: Final = 20
LINES_PER_PROGRESS: Final = 1_000

Progress = Callable[[int, int | None, str], None]


def check(paths: Sequence[Path | str]) -> None:
    """Raise `SourceUnavailable` unless each path looks like an archive; reads a few lines of each."""
    if not paths:
        raise SourceUnavailable("no archive was named; say `archive:PATH[,PATH...]`")
    for path in map(Path, paths):
        _size_of(path)
        _check_head(path)


class ArchiveSource:
    """Posts and comments out of files, in any order, line by line."""

    name = "archive"

    def __init__(self, paths: Sequence[Path | str], *, max_bytes: int = MAX_UNPACKED_BYTES) -> None:
        self.paths = tuple(map(Path, paths))
        self._max_bytes = max_bytes

    def check(self) -> None:
        """Raise `SourceUnavailable` unless the files look like archives; cheap."""
        check(self.paths)

    def read(
        self,
        *,
        subreddit: str,
        as_of: datetime,
        progress: Progress,
        remaining_s: Callable[[], float] = lambda: 0.0,  # noqa: ARG002  # a file keeps nobody waiting
    ) -> Iterator[SourceItem]:
        """Yield what the files hold of `subreddit` up to `as_of`; progress counts bytes of the files."""
        wanted = Wanted(subreddit=subreddit.lower(), as_of_s=as_of.timestamp())
        return (item for _, item in self.lines(wanted, progress))

    def lines(self, wanted: Wanted, progress: Progress) -> Iterator[tuple[bytes, SourceItem]]:
        """Yield each line as it stands, empty where it can't be had, with what it is read as."""
        total = sum(_size_of(path) for path in self.paths)
        done, bytes_left = 0, self._max_bytes
        for path in self.paths:
            with _opened(path, bytes_left) as lines:
                for number, line in enumerate(lines, start=1):
                    if number % LINES_PER_PROGRESS == 0:
                        progress(done + lines.bytes_in, total, "bytes")
                    yield line or b"", _item(line, wanted, path, number)
                if lines.damage is not None:
                    yield b"", Skipped(reason="truncated", detail=f"{path.name}: {lines.damage}")
                done, bytes_left = done + lines.bytes_in, bytes_left - lines.bytes_out
            progress(done, total, "bytes")


def _item(line: bytes | None, wanted: Wanted, path: Path, number: int) -> SourceItem:
    item = Skipped(reason="line_too_long") if line is None else read_record(line, wanted)
    return (
        Skipped(reason=item.reason, detail=f"{path.name} line {number}")
        if isinstance(item, Skipped)
        else item
    )


@contextmanager
def _opened(path: Path, max_bytes: int) -> Generator[Lines]:
    """Open an archive and say what goes wrong with it in one sentence."""
    try:
        with Lines(path, max_bytes=max_bytes) as lines:
            yield lines
    except OSError as error:
        raise SourceUnavailable(
            f"the archive {path} can't be read ({error.strerror}); check its permissions and its disk"
        ) from error
    except TooManyBytes as error:
        raise SourceUnavailable(
            f"the archives unpack to more than {max_bytes:,} bytes, reached in {path}, which looks like a "
            "decompression bomb; check where the file comes from, or split it"
        ) from error


def _size_of(path: Path) -> int:
    """Return the size of a regular, non-empty file, or say what the path is instead."""
    try:
        status = path.stat()
    except OSError as error:
        raise SourceUnavailable(
            f"there is no archive at {path} ({error.strerror}); check the path after `archive:`"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise SourceUnavailable(f"{path} is no regular file; name the archive's files, separated by commas")
    if status.st_size == 0:
        raise SourceUnavailable(f"the archive {path} is empty; download it again")
    return status.st_size


def _check_head(path: Path) -> None:
    with _opened(path, MAX_HEAD_BYTES) as lines:
        head = [line for line in islice(lines, HEAD_LINES) if line is not None]
    if not any(is_object(line) for line in head):
        raise SourceUnavailable(
            f"none of the first {HEAD_LINES} lines of {path} is a JSON object; an archive has one post or "
            "comment a line (NDJSON), plain, .gz or .zst"
        )
