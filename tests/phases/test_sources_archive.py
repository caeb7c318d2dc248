"""Archives as files: plain, gzip and zstandard, whole and damaged, and what is no archive at all."""

from __future__ import annotations

import gzip
import json
import os
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from phases.sources import lines as line_reader
from phases.sources.archive import ArchiveSource, check
from phases.sources.lines import MAX_LINE_BYTES
from phases.tools import Comment, Post, Skipped, SourceItem, SourceUnavailable

AS_OF = datetime(2025, 3, 12, 18, 0, tzinfo=UTC)
NOW_S = int(AS_OF.timestamp())
WSB = Path(__file__).parents[2] / "../shared/data/wsb"

needs_real_archives = pytest.mark.skipif(not WSB.is_dir(), reason="the real archives are not on this machine")

pack: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstandard": zstandard.ZstdCompressor().compress,
    "zstandard with a checksum": zstandard.ZstdCompressor(write_checksum=True).compress,
    "zstandard of unknown size": zstandard.ZstdCompressor(write_content_size=False).compress,
    "two gzip members": lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:]),
    "padded gzip": lambda data: gzip.compress(data) + bytes(5000),
    "two zstandard frames": lambda data: b"".join(
        zstandard.ZstdCompressor().compress(part) for part in (data[:100], data[100:])
    ),
    "a skippable frame first": lambda data: (
        b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstandard.ZstdCompressor().compress(data)
    ),
    "a byte order mark first": lambda data: b"\xef\xbb\xbf" + data,
}


def comment_row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"c{number}",
        "link_id": "t3_p1",
        "parent_id": "t3_p1",
        "author": f"author{number}",
        "body": f"body {number}",
        "created_utc": NOW_S - 10_000 + number,
        "score": 1,
        **changes,
    }


def ndjson(rows: Sequence[object]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def read(*paths: Path, as_of: datetime = AS_OF, **options: Any) -> list[SourceItem]:
    source = ArchiveSource(paths, **options)
    return list(source.read(subreddit="wallstreetbets", as_of=as_of, progress=lambda *_: None))


def counts(items: Sequence[SourceItem]) -> dict[str, int]:
    return dict(Counter(item.reason if isinstance(item, Skipped) else type(item).__name__ for item in items))


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., Path]:
    def write(data: bytes, name: str = "a.ndjson") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


# --- laws ---


@given(lines=st.lists(st.binary(max_size=60).filter(lambda line: b"\n" not in line), max_size=20))
def test_every_line_of_any_file_is_accounted_for_once(
    lines: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.ndjson"
    path.write_bytes(b" \n" + b"".join(line + b"\n" for line in lines))  # never a file's magic bytes

    assert len(read(path)) == len(lines) + 1


@given(order=st.permutations(range(12)), cut=st.integers(0, 12))
def test_the_order_of_lines_and_files_changes_nothing(
    order: list[int], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("order")
    rows = [comment_row(number) for number in range(11)] + [
        {"id": "p1", "title": "t", "created_utc": NOW_S - 5}
    ]
    (folder / "sorted").write_bytes(ndjson(rows))
    (folder / "a").write_bytes(ndjson([rows[number] for number in order[:cut]]) + b"\n")
    (folder / "b").write_bytes(ndjson([rows[number] for number in order[cut:]]) + b"\n")

    shuffled = [item for item in read(folder / "a", folder / "b") if not isinstance(item, Skipped)]

    assert sorted(map(repr, shuffled)) == sorted(map(repr, read(folder / "sorted")))


@given(at=st.integers(0, 30))
def test_rows_later_than_as_of_change_nothing(at: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("later")
    rows = [comment_row(number) for number in range(31)]
    as_of = datetime.fromtimestamp(NOW_S - 10_000 + at, UTC)
    (folder / "all").write_bytes(ndjson(rows))
    (folder / "known").write_bytes(ndjson(rows[: at + 1]))

    used = [item for item in read(folder / "all", as_of=as_of) if not isinstance(item, Skipped)]

    assert used == read(folder / "known", as_of=as_of)


# --- formats ---


@pytest.mark.parametrize("form", pack)
def test_a_format_is_known_by_its_first_bytes(form: str, archive: Callable[..., Path]) -> None:
    path = archive(pack[form](ndjson([comment_row(number) for number in range(50)])), "without_suffix")

    check([path])

    assert counts(read(path)) == {"Comment": 50}


def test_a_last_line_without_a_line_feed_counts(archive: Callable[..., Path]) -> None:
    assert counts(read(archive(ndjson([comment_row(1), comment_row(2)]).rstrip()))) == {"Comment": 2}


def test_posts_and_comments_are_told_apart_by_shape(archive: Callable[..., Path]) -> None:
    path = archive(ndjson([comment_row(1), {"id": "p1", "title": "t", "created_utc": NOW_S}]))

    first, second = read(path)

    assert (type(first), type(second)) == (Comment, Post)


def test_a_skipped_item_names_its_place(archive: Callable[..., Path]) -> None:
    path = archive(ndjson([comment_row(1)]) + b"{broken\n", "rc.ndjson")

    assert read(path)[1] == Skipped(reason="bad_json", detail="rc.ndjson line 2")


def test_an_over_long_line_is_skipped_and_the_next_one_read(archive: Callable[..., Path]) -> None:
    long = json.dumps(comment_row(1, body="x" * (2 * MAX_LINE_BYTES + 17))).encode()
    path = archive(long + b"\n" + ndjson([comment_row(2)]) + long)

    assert counts(read(path)) == {"line_too_long": 2, "Comment": 1}


def test_a_line_of_exactly_the_longest_length_is_read(archive: Callable[..., Path]) -> None:
    row = json.dumps(comment_row(1)).encode()
    padded = row[:-1] + b" " * (MAX_LINE_BYTES - len(row)) + b"}"

    assert counts(read(archive(padded + b"\n" + padded))) == {"Comment": 2}
    assert counts(read(archive(b" " + padded + b"\n"))) == {"line_too_long": 1}


def test_progress_counts_the_bytes_of_all_files(
    archive: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phases.sources.archive.LINES_PER_PROGRESS", 10)
    paths = [archive(ndjson([comment_row(n) for n in range(25)]), name) for name in ("a", "b")]
    seen: list[tuple[int, int | None, str]] = []

    list(
        ArchiveSource(paths).read(subreddit="x", as_of=AS_OF, progress=lambda *step: seen.append(step))  # type: ignore[func-returns-value]  # append in a lambda
    )

    total = sum(path.stat().st_size for path in paths)
    assert seen[-1] == (total, total, "bytes")
    assert [done for done, *_ in seen] == sorted(done for done, *_ in seen)
    assert len(seen) == 6


# --- damage ---


@pytest.mark.parametrize("form", ["gzip", "zstandard", "zstandard of unknown size", "two zstandard frames"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.999])
def test_a_file_cut_off_keeps_what_was_read(form: str, share: float, archive: Callable[..., Path]) -> None:
    data = ndjson([comment_row(number, body=os.urandom(200).hex()) for number in range(3000)])
    packed = pack[form](data)
    path = archive(packed[: int(len(packed) * share)])

    found = counts(read(path))

    assert found["truncated"] == 1
    assert set(found) == {"Comment", "truncated"}
    assert found["Comment"] >= 3000 * share - 600


@pytest.mark.parametrize("form", ["gzip", "zstandard with a checksum"])
def test_a_file_with_wrong_bytes_in_the_middle_says_so(form: str, archive: Callable[..., Path]) -> None:
    packed = bytearray(
        pack[form](ndjson([comment_row(number, body=os.urandom(200).hex()) for number in range(3000)]))
    )
    packed[len(packed) // 2 : len(packed) // 2 + 5000] = b"\xff" * 5000

    assert counts(read(archive(bytes(packed))))["truncated"] == 1


def test_rubbish_behind_a_frame_is_counted(archive: Callable[..., Path]) -> None:
    path = archive(gzip.compress(ndjson([comment_row(1)])) + b"rubbish")

    assert counts(read(path)) == {"Comment": 1, "truncated": 1}


def test_a_damaged_file_does_not_keep_the_next_one_from_being_read(archive: Callable[..., Path]) -> None:
    cut = gzip.compress(ndjson([comment_row(1)]))[:-9]

    found = counts(read(archive(cut, "cut"), archive(ndjson([comment_row(2)]), "whole")))

    assert found["truncated"] == 1
    assert found["Comment"] >= 1


@pytest.mark.parametrize("form", ["plain", "gzip", "zstandard"])
def test_what_unpacks_to_too_much_is_refused_and_says_so(form: str, archive: Callable[..., Path]) -> None:
    path = archive(pack[form](b" " * 5_000_000))

    with pytest.raises(SourceUnavailable, match=r"more than 1,000,000 bytes.*bomb"):
        read(path, max_bytes=1_000_000)


def test_the_cap_holds_for_all_files_together(archive: Callable[..., Path]) -> None:
    paths = [archive(b" " * 600_000, name) for name in ("a", "b")]

    with pytest.raises(SourceUnavailable, match="bomb"):
        read(*paths, max_bytes=1_000_000)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["gzip", "zstandard"])
def test_a_bomb_takes_little_memory(form: str, archive: Callable[..., Path]) -> None:
    path = archive(pack[form](b"x" * 150_000_000))
    tracemalloc.start()
    try:
        assert counts(read(path)) == {"line_too_long": 1}
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak_bytes < 100_000_000


# --- what is no archive ---


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"no archive at .*gone\.zst .*after `archive:`"):
        read(tmp_path / "gone.zst")


def test_a_directory_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="no regular file"):
        read(tmp_path)


def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(SourceUnavailable, match="no regular file"):
        read(tmp_path / "pipe")


def test_an_empty_file_is_no_archive(archive: Callable[..., Path]) -> None:
    with pytest.raises(SourceUnavailable, match="is empty"):
        read(archive(b""))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_says_so(archive: Callable[..., Path]) -> None:
    path = archive(ndjson([comment_row(1)]))
    path.chmod(0)

    with pytest.raises(SourceUnavailable, match="can't be read"):
        read(path)


def test_a_disk_error_in_the_middle_says_so(
    archive: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(ndjson([comment_row(1)]))

    def fail(_self: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(line_reader._Unpacked, "_read_piece", fail)

    with pytest.raises(SourceUnavailable, match="Input/output error"):
        read(path)


@pytest.mark.parametrize(
    "data",
    [b"symbol,date,open\nGME,2025-03-12,23\n", b"\x89PNG\r\n\x1a\n\0\0\0", b"[\n1,\n2\n]\n", bytes(10**6)],
)
def test_the_check_refuses_what_has_no_objects(data: bytes, archive: Callable[..., Path]) -> None:
    with pytest.raises(SourceUnavailable, match="JSON object"):
        check([archive(data)])


def test_the_check_allows_a_few_bad_lines_first(archive: Callable[..., Path]) -> None:
    check([archive(b"\n{broken\n" + ndjson([comment_row(1)]))])


def test_the_check_wants_at_least_one_path() -> None:
    with pytest.raises(SourceUnavailable, match="archive:PATH"):
        check([])


def test_the_check_reads_the_head_only(archive: Callable[..., Path]) -> None:
    path = archive(ndjson([comment_row(number) for number in range(50)]) + gzip.compress(b"x"))

    check([path])


# --- real archives ---


@needs_real_archives
def test_a_real_day_is_read_as_it_was_known_at_as_of() -> None:
    as_of = datetime(2020, 12, 1, 18, 0, tzinfo=UTC)
    items = read(WSB / "wsb_comments_2020-12-01.ndjson", WSB / "wsb_posts_2020-12-01.ndjson", as_of=as_of)
    comments = [item for item in items if isinstance(item, Comment)]

    assert counts(items) == {"Comment": 1200, "Post": 1300}
    # 23 are deleted, 25 removed, and one is AutoModerator's.
    assert sum(item.body is None for item in comments) == 49
    assert sum(item.author is None for item in comments) == 49
    assert any(item.score > 1 for item in comments)


@needs_real_archives
def test_real_scores_are_unknown_before_they_were_retrieved() -> None:
    midnight = datetime(2020, 12, 1, 0, 20, tzinfo=UTC)
    items = read(WSB / "wsb_comments_2020-12-01.ndjson", as_of=midnight)

    assert {item.score for item in items if isinstance(item, Comment)} == {None}


@needs_real_archives
def test_a_later_real_archive_is_not_known_yet() -> None:
    items = read(WSB / "wsb_comments_2021-01-16.ndjson", as_of=datetime(2020, 12, 1, 18, 0, tzinfo=UTC))

    assert counts(items) == {"later_than_as_of": 2100}
