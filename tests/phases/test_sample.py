"""The bundled sample: reproducible, varied, hostile, and rich enough for each kind of signal and exit."""

from __future__ import annotations

import csv
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files
from typing import Any

import pytest

from phases import PHASES
from phases.analyzers.lexicon import LexiconAnalyzer
from phases.calendar import ExchangeCalendar
from phases.prices.sample import SamplePrices
from phases.sample import SAMPLE_AS_OF, SAMPLE_LATER, SampleSource
from phases.sample.build import build_reddit
from phases.sample.market import prices_csv, sessions
from phases.tools import Comment, Post, Skipped

FOLDER = files("phases.sample")


@dataclass(frozen=True)
class Sample:
    posts: list[Post]
    comments: list[Comment]
    skipped: list[Skipped]


@pytest.fixture(scope="module")
def sample() -> Sample:
    items = list(
        SampleSource().read(subreddit="wallstreetbets", as_of=SAMPLE_AS_OF, progress=lambda *_: None)
    )
    return Sample(
        [item for item in items if isinstance(item, Post)],
        [item for item in items if isinstance(item, Comment)],
        [item for item in items if isinstance(item, Skipped)],
    )


def test_the_committed_conversations_are_what_the_script_writes() -> None:
    assert FOLDER.joinpath("reddit.ndjson").read_text(encoding="ascii") == build_reddit()


def test_the_committed_prices_are_what_the_script_writes() -> None:
    assert FOLDER.joinpath("prices.csv").read_text(encoding="ascii") == prices_csv()


def test_the_sample_is_about_a_trading_day_with_the_exchange_open() -> None:
    calendar = ExchangeCalendar()

    assert calendar.is_open(SAMPLE_AS_OF)
    assert calendar.is_open(SAMPLE_LATER)
    assert SAMPLE_AS_OF.strftime("%A") == "Wednesday"


def test_nothing_is_skipped_but_what_is_not_known_yet(sample: Sample) -> None:
    assert {item.reason for item in sample.skipped} == {"later_than_as_of"}


def test_every_comment_lies_within_the_look_back(sample: Sample) -> None:
    assert all(
        SAMPLE_AS_OF - timedelta(hours=24) < item.created_utc <= SAMPLE_AS_OF for item in sample.comments
    )


def test_there_are_enough_posts_comments_and_people(sample: Sample) -> None:
    assert len(sample.posts) == 10
    assert 350 <= len(sample.comments) <= 450
    assert 100 <= len({item.author for item in sample.comments}) <= 140
    assert all(item.author is None for item in sample.comments if item.body is None)


def test_hardly_a_text_is_said_twice(sample: Sample) -> None:
    said = Counter(item.body for item in sample.comments if item.body is not None)

    assert sum(count - 1 for count in said.values()) <= 2


def test_nobody_answers_before_the_question_nor_themselves(sample: Sample) -> None:
    known = {item.reddit_id: item for item in sample.comments}
    for item in sample.comments:
        if item.parent_id is not None:
            parent = known[item.parent_id]
            assert parent.created_utc <= item.created_utc
            assert parent.post_id == item.post_id
            assert parent.author is None or parent.author != item.author


@pytest.mark.parametrize(
    "part",
    [
        "<script>",
        "DROP TABLE",
        "Ignore all previous instructions",
        "\x1b[2J",
        "\u202e",
        "\u200b",
        "=HYPERLINK",
    ],
)
def test_strangers_try_things(part: str, sample: Sample) -> None:
    assert any(part in (item.body or "") for item in sample.comments)


def test_prices_cover_exactly_the_sessions_and_make_sense() -> None:
    calendar = ExchangeCalendar()
    first, last = date(2025, 2, 3), date(2025, 3, 28)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    bars = list(csv.DictReader(prices_csv().splitlines()))

    assert list(sessions()) == [day for day in days if calendar.session(day) is not None]
    assert Counter(bar["date"] for bar in bars) == {
        str(day): len({bar["symbol"] for bar in bars}) for day in sessions()
    }
    for bar in bars:
        low, opening, close, high = (float(bar[name]) for name in ("low", "open", "close", "high"))
        assert 0 < low <= min(opening, close) <= max(opening, close) <= high


@pytest.fixture
def run(
    conn: sqlite3.Connection, make_ctx: Callable[..., Any], tools: Callable[..., Any]
) -> Callable[..., Any]:
    """Return a function that runs the whole pipeline over the sample as of an instant."""
    calendar = ExchangeCalendar()

    def all_phases(run_id: int, as_of: Any) -> Any:
        ctx = make_ctx(
            tools(
                source=SampleSource(),
                as_of=as_of,
                analyzer=LexiconAnalyzer(),
                calendar=calendar,
                prices=SamplePrices(calendar),
            ),
            run_id=run_id,
        )
        for phase in PHASES:
            phase.function(conn, ctx)
            conn.commit()
        return ctx

    return all_phases


@pytest.mark.slow
def test_the_sample_fires_every_kind_of_signal_in_both_directions(run: Callable[..., Any], rows: Any) -> None:
    ctx = run(1, SAMPLE_AS_OF)

    kinds = set(rows.all("SELECT signal_type, prediction FROM signals"))
    assert kinds == {(kind, way) for kind in ("quality", "consensus") for way in ("bullish", "bearish")}
    assert [warning["type"] for warning in ctx.warnings] == ["comments_set_aside"]
    assert ctx.results["positions_opened"] == 3


@pytest.mark.slow
def test_two_weeks_later_its_positions_have_ended_in_three_ways(run: Callable[..., Any], rows: Any) -> None:
    run(1, SAMPLE_AS_OF)
    rows.conn.execute(
        "UPDATE analysis_runs SET status = 'completed', started_at = '2025-03-12T18:00:00.000Z'"
    )
    rows.conn.commit()

    run(2, SAMPLE_LATER)

    exits = rows.all(
        "SELECT p.ticker, e.exit_reason FROM position_exits e JOIN positions p ON p.id = e.position_id "
        "ORDER BY p.ticker, e.id"
    )
    assert exits == [
        ("GME", "stop_loss"),
        ("NVDA", "take_profit"),
        ("NVDA", "trailing_stop"),
        ("PLTR", "time_stop"),
    ]
