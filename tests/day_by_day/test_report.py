"""The report: figures that add up, words that fit them, a picture, and nothing of anybody's comments."""

from __future__ import annotations

import json
import math
import random  # noqa: TID251  # with a seed
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.replay.intervals import bootstrap_mean, wilson
from api.replay.outcome import Outcome, read_outcome
from api.replay.page import markdown
from api.replay.picture import apart, equity
from phases.calendar import ExchangeCalendar
from tests.day_by_day.conftest import Phaseline
from tests.day_by_day.world import USUAL, World, at, comment, conversation, prices, rows_of

SVG = "{http://www.w3.org/2000/svg}"
gains = st.lists(st.floats(-1, 10), min_size=2, max_size=12)


def outcome_of(db: Path) -> Outcome:
    return read_outcome(db, ExchangeCalendar(), random.Random(7), 7)


# --- intervals ---


@given(st.integers(1, 10_000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_wilsons_interval_holds_its_share_and_stays_a_share(case: tuple[int, int]) -> None:
    found = wilson(*case)

    assert found is not None
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1


@given(st.integers(1, 500).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_wilsons_ends_are_where_the_score_test_just_rejects(case: tuple[int, int]) -> None:
    hits, count = case
    found = wilson(hits, count)
    assert found is not None

    for end in (found.low, found.high):
        if 1e-6 < end < 1 - 1e-6:
            z = (hits / count - end) / math.sqrt(end * (1 - end) / count)
            assert abs(z) == pytest.approx(1.959964, abs=1e-4)


def test_wilsons_interval_is_that_of_the_literature() -> None:
    # Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3.
    for hits, count, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
    ):
        found = wilson(hits, count)
        assert found is not None
        assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_of_nothing_there_is_no_interval() -> None:
    assert wilson(0, 0) is None
    assert bootstrap_mean([0.1], random.Random(1)) is None


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(gains, st.integers())
def test_a_bootstrapped_mean_lies_among_its_values_and_repeats_with_its_seed(
    values: list[float], seed: int
) -> None:
    found = bootstrap_mean(values, random.Random(seed))

    assert found is not None
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9
    assert found == bootstrap_mean(values, random.Random(seed))


# --- figures ---


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What came of a replay of the usual world, played once."""
    world = World(tmp_path_factory.mktemp("played"))
    world.write([*conversation(), comment(9_999, at(18, 16), "CANARY-5b1 GME to the moon")], prices(USUAL))
    return outcome_of(world.replay())


def test_what_a_portfolio_gained_is_what_its_trades_gained(played: Outcome) -> None:
    for curve in played.curves:
        gained = sum(t.return_pct * t.cost for t in played.trades if t.portfolio == curve.name)
        start, end = curve.values[0], curve.values[-1]
        assert start is not None
        assert end is not None
        assert end - start == pytest.approx(gained, abs=0.01)


def test_the_trades_are_counted_once_each(played: Outcome) -> None:
    assert len(played.trades) == 10
    assert len(played.closed) == 3
    assert played.hits == 1
    assert played.exits_by_reason == {"time_stop": 3}
    assert played.hit_rate == wilson(1, 3)


def test_each_run_says_how_much_it_had_to_go_by(played: Outcome) -> None:
    assert [look.comments for look in played.looks] == [10, 10, 11, 10, 10]
    assert [dict(look.signals) for look in played.looks] == [{"quality": 2}] * 5
    assert sum(look.opened for look in played.looks) == len(played.trades)


def test_the_benchmark_is_what_holding_it_would_have_brought(played: Outcome) -> None:
    assert played.benchmark.return_pct == pytest.approx(1.005**4 - 1, abs=1e-6)


def test_a_fill_at_the_open_after_the_open_is_said_to_be_from_before_its_reason(world: World) -> None:
    late = outcome_of(world.replay("late.db", "--at", "15:45", end="2021-01-15"))
    early = outcome_of(world.replay("early.db", end="2021-01-15"))

    assert late.trades
    assert all(trade.entry_is_before_its_reason for trade in late.trades)
    assert "Fills from before their reason" in markdown(late)
    assert not any(trade.entry_is_before_its_reason for trade in early.trades)
    assert "Fills from before their reason" not in markdown(early)


# --- words ---


def test_the_page_says_what_it_does_not_show(played: Outcome) -> None:
    page = markdown(played)

    assert all(
        words in page
        for words in ("No proven edge", "Few trades", "thin sample", "modelled", "Survivorship", "retrieval")
    )
    assert "All rules are at their defaults." in page
    assert "| 2021-01-19 09:30 | 11 | 11 | 11 | 0 | 2 | 2 | 1 | 0 |" in page
    assert "closed trades with a gain (1 of 3) | 33.3% | 6.1% to 79.2% |" in page


def test_a_replay_without_a_trade_says_so(played: Outcome) -> None:
    page = markdown(replace(played, trades=[], hits=0, hit_rate=None, mean_return=None, exits_by_reason={}))

    assert "**No trade was made**" in page
    assert "no hit rate" in page


def test_a_missing_benchmark_is_named(world: World) -> None:
    found = outcome_of(world.replay("r.db", "--benchmark", "voo", end="2021-01-15"))

    assert found.benchmark.return_pct is None
    assert "The benchmark VOO is missing" in markdown(found)
    assert "VOO" not in equity(found)


def test_changed_rules_are_said(world: World) -> None:
    found = outcome_of(world.replay("r.db", "--set", "quality_min_users=3", end="2021-01-14"))

    assert "**Rules changed for this replay:** `quality_min_users` = 3." in markdown(found)


def test_two_replays_of_the_same_make_the_same_report(world: World, phaseline: Phaseline) -> None:
    texts = []
    for name in ("one", "two"):
        db = world.replay(f"{name}.db")
        assert phaseline("replay", "report", "--db", str(db), "--output", name)[0] == 0
        texts.append({path.name: path.read_text() for path in Path(name).iterdir()})

    assert texts[0] == texts[1]
    assert set(texts[0]) == {"report.md", "equity.svg", "report.json"}


def test_nothing_of_a_comment_an_author_or_this_machine_is_in_it(played: Outcome) -> None:
    texts = [markdown(played), equity(played), json.dumps(played.as_json())]

    for text in texts:
        assert "CANARY-5b1" not in text
        assert "author" not in text
        assert "u_" not in text
        assert str(Path.cwd()) not in text
        assert "/played" not in text


def test_json_holds_the_figures(world: World, phaseline: Phaseline) -> None:
    db = world.replay(end="2021-01-15")

    code, out, _ = phaseline("replay", "report", "--db", str(db), "--json")

    found = json.loads(out)
    assert code == 0
    assert found["plan"]["source"] == "archive:archive.ndjson"
    assert [look["comments"] for look in found["looks"]] == [10, 10]
    assert len(found["trades"]) == rows_of(db, "SELECT count(*) FROM positions")[0][0]


# --- picture ---


def test_the_picture_names_each_curve_with_its_end(played: Outcome) -> None:
    root = ET.fromstring(equity(played))

    words = [element.text for element in root.iter(f"{SVG}text")]
    assert "SPY +2.0%" in words
    assert any(word is not None and word.startswith("stocks quality +0.1%") for word in words)
    assert root.find(f"{SVG}title") is not None
    assert "prefers-color-scheme: dark" in equity(played)


def test_what_is_drawn_stays_on_the_card(played: Outcome) -> None:
    root = ET.fromstring(equity(played))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])

    for element in root.iter(f"{SVG}text"):
        assert 0 <= float(element.attrib["x"]) <= width
        assert 0 <= float(element.attrib["y"]) <= height


@given(st.lists(st.floats(0, 300), max_size=6).map(sorted))
def test_labels_keep_their_distance_and_their_order(places: list[float]) -> None:
    moved = apart(places)

    assert all(after - before >= 17 - 1e-9 for before, after in pairwise(moved))
    assert all(now >= was for was, now in zip(places, moved, strict=True))


def test_a_replay_that_has_not_begun_has_a_picture_too(played: Outcome) -> None:
    empty = replace(played, looks=[], curves=[], trades=[], benchmark=replace(played.benchmark, values=[]))

    assert ET.fromstring(equity(empty)).tag == f"{SVG}svg"
    assert "None: no signal" in markdown(empty)
