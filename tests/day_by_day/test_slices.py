"""An archive cut into days brings a run the same as the whole archive."""

from __future__ import annotations

import json
import random  # noqa: TID251  # shuffles by a drawn seed
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.replay import slices as slicing
from api.replay.slices import SlicedArchive, cut
from phases.fetch_reddit import Window
from phases.sources.archive import ArchiveSource
from phases.tools import Comment, Post, Skipped, SourceItem, SourceUnavailable
from tests.day_by_day.world import at, comment, post

LOOKBACK = timedelta(hours=24)
START = at(1, 0)
moments = st.integers(0, 40 * 24 * 3600).map(lambda seconds: START + timedelta(seconds=seconds))
comments = st.builds(comment, st.integers(1, 50), moments, st.sampled_from(["one", "two", "[deleted]"]))
posts = st.builds(post, st.integers(1, 9), moments)
garbage = st.sampled_from(["", "{", "[]", '{"id": "x"}', '{"body": "b", "link_id": "t3_a", "id": "z"}'])
lines = st.lists(st.one_of(comments.map(json.dumps), posts.map(json.dumps), garbage), max_size=60)


def told(_done: int, _total: int | None, _unit: str) -> None: ...


def kept(items: list[SourceItem], as_of: datetime) -> list[SourceItem]:
    """What the fetch phase has a row for, posts first: the order in which a batch is written."""
    window = Window(as_of=as_of, lookback=LOOKBACK)
    rows = [item for item in items if not isinstance(item, Skipped) and window.keeps(item)]
    return sorted(rows, key=lambda item: (isinstance(item, Comment), item.created_utc.date()))


@given(text=lines, as_of=moments, seed=st.integers(0, 9))
def test_slices_bring_what_the_whole_archive_brings(text: list[str], as_of: datetime, seed: int) -> None:
    random.Random(seed).shuffle(text)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.ndjson")
        path.write_text("\n".join(["{}", *text]) + "\n")
        (slices := Path(folder, "slices")).mkdir()
        whole = ArchiveSource([path])

        sliced = SlicedArchive(cut(whole, "WallStreetBets", slices, told), LOOKBACK)
        wanted = list(whole.read(subreddit="wallstreetbets", as_of=as_of, progress=told))
        found = list(sliced.read(subreddit="wallstreetbets", as_of=as_of, progress=told))

    assert kept(found, as_of) == kept(wanted, as_of)
    assert any(isinstance(item, Comment) for item in found) == any(
        isinstance(item, Comment) for item in wanted
    )


def test_a_run_reads_its_own_days_and_not_the_whole_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    rows = [comment(day, at(1) + timedelta(days=day)) for day in range(100)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder := tmp_path / "slices").mkdir()

    sliced = SlicedArchive(cut(ArchiveSource([path]), "wallstreetbets", folder, told), LOOKBACK)
    last_day = at(1) + timedelta(days=99)
    found = list(sliced.read(subreddit="wallstreetbets", as_of=last_day, progress=told))

    assert len(found) == 4


def test_an_unsorted_archive_is_cut_with_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slicing, "BUFFER_BYTES", 1)
    path = tmp_path / "a.ndjson"
    rows = [comment(number, at(1 + number % 3)) for number in range(9)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows)[:-1])
    (folder := tmp_path / "slices").mkdir()

    slices = cut(ArchiveSource([path]), "wallstreetbets", folder, told)

    assert [len(file.read_bytes().splitlines()) for file in sorted(folder.iterdir())] == [3, 3, 3]
    assert slices.first_comment == at(1)


def test_what_is_unusable_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text(json.dumps(comment(1, at(1))) + "\n{\n\n")
    (folder := tmp_path / "slices").mkdir()

    sliced = SlicedArchive(cut(ArchiveSource([path]), "wallstreetbets", folder, told), LOOKBACK)
    reads = [list(sliced.read(subreddit="wallstreetbets", as_of=at(2), progress=told)) for _ in range(2)]

    assert [type(item) for item in reads[0]] == [Skipped, Comment]
    assert [type(item) for item in reads[1]] == [Comment]


def test_a_missing_archive_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="there is no archive"):
        cut(ArchiveSource([tmp_path / "none"]), "wallstreetbets", tmp_path, told)


def test_posts_are_kept_longer_than_comments(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    rows = [post(1, at(1)), post(2, at(5)), comment(1, at(14))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder := tmp_path / "slices").mkdir()

    sliced = SlicedArchive(cut(ArchiveSource([path]), "wallstreetbets", folder, told), LOOKBACK)
    found = list(
        sliced.read(subreddit="wallstreetbets", as_of=datetime(2021, 1, 15, tzinfo=UTC), progress=told)
    )

    assert [type(item) for item in found] == [Post, Post, Comment]


def test_an_archive_that_fell_silent_is_told_from_one_that_has_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text(json.dumps(comment(1, at(5))) + "\n" + json.dumps(comment(2, at(20, 23))) + "\n")
    (folder := tmp_path / "slices").mkdir()

    sliced = SlicedArchive(cut(ArchiveSource([path]), "wallstreetbets", folder, told), LOOKBACK)
    early, late = (
        list(sliced.read(subreddit="wallstreetbets", as_of=as_of, progress=told)) for as_of in (at(4), at(20))
    )

    assert not any(isinstance(item, Comment) for item in early)
    assert any(isinstance(item, Comment) for item in late)
