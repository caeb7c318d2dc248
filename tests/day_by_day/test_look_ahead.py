"""No look-ahead: what is later than a replay's last instant changes nothing that the replay wrote."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.day_by_day.world import PHRASES, USUAL, Row, World, at, comment, conversation, dump, post, prices

LAST = at(15, 14, 30)
"""The opening of the last day that is replayed."""
pytestmark = pytest.mark.slow

later = st.integers(1, 30 * 24 * 3600).map(lambda seconds: LAST + timedelta(seconds=seconds))
phrases = st.sampled_from([*PHRASES, "$GME puts, this is going to zero", "[deleted]", "[removed]"])
known_ids = st.sampled_from([row["id"] for row in conversation((13, 14)) if row["id"].startswith("c")])


@st.composite
def later_comments(draw: st.DrawFn) -> Row:
    """A comment that is made later, also as an answer to one that was known."""
    number = draw(st.integers(10_000, 99_999))
    parent = draw(st.one_of(st.just("t3_p1"), known_ids.map(lambda known: f"t1_{known}")))
    return comment(number, draw(later), draw(phrases), parent_id=parent, score=draw(st.integers(-9, 9_999)))


@st.composite
def later_posts(draw: st.DrawFn) -> Row:
    return post(draw(st.integers(10, 99)), draw(later), title=draw(phrases))


@st.composite
def later_sights_of_the_post(draw: st.DrawFn) -> Row:
    """The post that was known, seen again later: with other votes and more answers, and edited by then."""
    seen = int(draw(later).timestamp())
    edited = draw(st.sampled_from([False, seen]))
    changed = {"selftext": "edited"} if edited else {}
    votes = draw(st.integers(0, 9_999))
    return {**conversation(())[0], **changed, "edited": edited, "retrieved_on": seen, "score": votes,
            "num_comments": votes}  # fmt: skip


@st.composite
def later_sights(draw: st.DrawFn) -> Row:
    """A comment that was known, seen again later: with other votes, and edited by then."""
    wanted = draw(known_ids)
    row = next(row for row in conversation((13, 14)) if row["id"] == wanted)
    seen = int(draw(later).timestamp())
    edited: Any = draw(st.sampled_from([False, seen - 1]))
    if edited and edited > LAST.timestamp():
        row = {**row, "body": draw(phrases.filter(lambda text: not text.startswith("["))), "edited": edited}
    return {**row, "retrieved_on": seen, "score": draw(st.integers(-9, 9_999))}


@st.composite
def later_prices(draw: st.DrawFn) -> str:
    """A bar of a session whose opening is after the last instant."""
    day = draw(st.sampled_from(["2021-01-19", "2021-01-20", "2021-02-01"]))
    price = draw(st.integers(1, 10_000))
    return f"{draw(st.sampled_from(['GME', 'AMD', 'SPY', 'PLTR']))},{day},{price},{price},{price},{price},1"


def replayed(rows: Sequence[Row], lines: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        (world.folder / "key").write_bytes(bytes(32))
        world.write(rows, lines)
        return dump(world.replay(end="2021-01-15"))


@cache
def as_it_was() -> dict[str, list[dict[str, Any]]]:
    """What a replay to the 15th writes when nothing later exists."""
    return replayed(conversation((13, 14)), prices(USUAL, LAST.date()))


# No shrinking: each example is a whole replay.
@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(
    extra=st.lists(
        st.one_of(later_comments(), later_posts(), later_sights(), later_sights_of_the_post()),
        min_size=5,
        max_size=40,
    ),
    lines=st.lists(later_prices(), max_size=12, unique_by=lambda line: line.split(",")[:2].__str__()),
)
def test_later_rows_change_nothing(extra: list[Row], lines: list[str]) -> None:
    found = replayed([*conversation((13, 14)), *extra], [*prices(USUAL, LAST.date()), *lines])

    assert found["positions"] != []
    assert found == as_it_was()


def test_the_rest_of_a_day_is_not_known_at_its_opening() -> None:
    crashed = [
        ",".join([*line.split(",")[:3], "9999", "0.01", "0.01", "1"]) if "2021-01-15" in line else line
        for line in prices(USUAL, LAST.date())
    ]

    assert replayed(conversation((13, 14)), crashed) == as_it_was()


def test_a_replay_of_more_days_writes_the_same_about_the_first_ones(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write(conversation(), prices(USUAL))

    short = dump(world.replay("short.db", end="2021-01-15"))
    whole = dump(world.replay("whole.db", end="2021-01-21"))

    for table in ("signals", "run_comments", "comment_tickers", "replay_values", "signal_comments"):
        assert whole[table][: len(short[table])] == short[table]
        assert len(whole[table]) > len(short[table])
