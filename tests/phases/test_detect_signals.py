"""Phase 4: the rules as laws and by the numbers of their formulas, then a day's signals in the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phases.config import Config, ConfigError
from phases.detect_signals import detect_signals
from phases.signal_rules import Evidence, Mentions, Signal, consensus, count_users, is_emergence, quality
from phases.tools import Sentiment

AS_OF = datetime(2025, 3, 12, 18, 0, tzinfo=UTC)
TODAY = "2025-03-12"
DAY = date(2025, 3, 12)
CONFIG = Config()
EASY = Config(consensus_min_comments=2, consensus_min_users=1, consensus_min_alignment=0.5)
SWAPPED: dict[str, Sentiment] = {"bullish": "bearish", "bearish": "bullish", "neutral": "neutral"}

shares_of_one = st.floats(0, 1)
evidences = st.builds(
    Evidence,
    comment_id=st.integers(1, 10**6),
    author=st.none() | st.sampled_from([f"u_{number}" for number in range(12)]),
    sentiment=st.sampled_from(["bullish", "bearish", "neutral"]),
    has_reasoning=st.booleans(),
    is_sarcastic=st.booleans(),
    ai_confidence=shares_of_one,
    author_trust=shares_of_one,
)
samples = st.lists(evidences, max_size=60, unique_by=lambda one: one.comment_id)
configs = st.sampled_from([CONFIG, EASY, Config(consensus_min_alignment=1.0, consensus_min_comments=1)])


def argued(comment_id: int, sentiment: Sentiment = "bullish", **changes: Any) -> Evidence:
    """Return a comment that qualifies for the quality signal."""
    base = Evidence(
        comment_id=comment_id,
        author=f"u_{comment_id}",
        sentiment=sentiment,
        has_reasoning=True,
        is_sarcastic=False,
        ai_confidence=0.8,
        author_trust=0.6,
    )
    return replace(base, **changes)


def crowd(bullish: int, bearish: int, users: int = 100, **changes: Any) -> list[Evidence]:
    """Return opinions without reasoning."""
    sides: tuple[tuple[Sentiment, int], ...] = (("bullish", bullish), ("bearish", bearish))
    sentiments = [side for side, count in sides for _ in range(count)]
    return [
        argued(number, sentiment, author=f"u_{number % users}", has_reasoning=False, **changes)
        for number, sentiment in enumerate(sentiments, start=1)
    ]


def swapped(sample: Sequence[Evidence]) -> list[Evidence]:
    return [replace(one, sentiment=SWAPPED[one.sentiment]) for one in sample]


# --- laws of the rules ---


@given(samples, configs, st.randoms(use_true_random=False))
def test_the_order_of_comments_changes_nothing(sample: list[Evidence], config: Config, chance: Any) -> None:
    shuffled = list(sample)
    chance.shuffle(shuffled)

    assert quality(shuffled, config) == quality(sample, config)
    assert consensus(shuffled, config) == consensus(sample, config)


@given(samples, configs)
def test_swapping_all_opinions_turns_the_signal_and_nothing_else(
    sample: list[Evidence], config: Config
) -> None:
    for rule in (quality, consensus):
        signal, mirrored = rule(sample, config), rule(swapped(sample), config)
        if signal is None:
            assert mirrored is None
        else:
            assert mirrored == replace(
                signal,
                prediction=SWAPPED[signal.prediction],  # type: ignore[arg-type]  # never neutral
                sentiment_score=-signal.sentiment_score,
            )


@given(samples, configs)
def test_a_signal_is_always_within_its_bounds(sample: list[Evidence], config: Config) -> None:
    for signal in filter(None, (quality(sample, config), consensus(sample, config))):
        assert 0 <= signal.confidence <= 1
        assert -1 <= signal.sentiment_score <= 1
        assert (signal.sentiment_score > 0) == (signal.prediction == "bullish")
        assert 0 < signal.distinct_users <= len(signal.comment_ids) <= len(sample)
        assert list(signal.comment_ids) == sorted(signal.comment_ids)


@given(samples, configs)
def test_comments_without_an_author_make_no_user(sample: list[Evidence], config: Config) -> None:
    nobody = [replace(one, author=None) for one in sample]

    assert count_users(nobody) == 0
    assert quality(nobody, config) is None
    assert consensus(nobody, config) is None


@given(samples)
def test_neutral_comments_change_no_consensus(sample: list[Evidence]) -> None:
    voiced = [one for one in sample if one.sentiment != "neutral"]

    assert consensus(sample, EASY) == consensus(voiced, EASY)


# --- formulas, by numbers ---


def test_two_people_with_arguments_make_a_quality_signal() -> None:
    signal = quality([argued(1), argued(2)], CONFIG)

    assert signal is not None
    # volume 2 of 6, alignment 1, confidence 0.8, trust 0.6
    assert signal.confidence == pytest.approx(0.25 * 2 / 6 + 0.25 * 1 + 0.30 * 0.8 + 0.20 * 0.6)
    assert replace(signal, confidence=0.0) == Signal(
        signal_type="quality",
        prediction="bullish",
        confidence=0.0,
        sentiment_score=1.0,
        has_reasoning=True,
        distinct_users=2,
        comment_ids=(1, 2),
    )


@pytest.mark.parametrize(
    "second",
    [
        argued(2, author="u_1"),
        argued(2, author=None),
        argued(2, has_reasoning=False),
        argued(2, is_sarcastic=True),
        argued(2, ai_confidence=0.59),
        argued(2, "bearish"),
        argued(2, "neutral"),
    ],
    ids=["same author", "deleted author", "no reasoning", "sarcasm", "doubtful", "opposed", "undecided"],
)
def test_no_quality_signal_without_two_clear_and_unanimous_people(second: Evidence) -> None:
    assert quality([argued(1), second], CONFIG) is None


def test_a_quality_signal_may_be_bearish_and_ignores_who_does_not_qualify() -> None:
    sample = [argued(1, "bearish"), argued(2, "bearish", ai_confidence=0.6), argued(3, has_reasoning=False)]

    signal = quality(sample, CONFIG)

    assert signal is not None
    assert (signal.prediction, signal.sentiment_score, signal.comment_ids) == ("bearish", -1.0, (1, 2))


def test_many_people_leaning_one_way_make_a_consensus_signal() -> None:
    signal = consensus(crowd(bullish=36, bearish=9, users=8), CONFIG)

    assert signal is not None
    # volume 45 of 90, share 0.8 between 0.7 and 1, confidence 0.8, trust 0.6
    assert signal.confidence == pytest.approx(0.25 * 0.5 + 0.25 * (0.8 - 0.7) / 0.3 + 0.30 * 0.8 + 0.20 * 0.6)
    assert replace(signal, confidence=0.0) == Signal(
        signal_type="consensus",
        prediction="bullish",
        confidence=0.0,
        sentiment_score=27 / 45,
        has_reasoning=False,
        distinct_users=8,
        comment_ids=tuple(range(1, 46)),
    )


@pytest.mark.parametrize(
    ("sample", "fires"),
    [
        (crowd(bullish=30, bearish=0), True),
        (crowd(bullish=29, bearish=0), False),
        (crowd(bullish=21, bearish=9), True),
        (crowd(bullish=9, bearish=21), True),
        (crowd(bullish=20, bearish=10), False),
        (crowd(bullish=30, bearish=0, users=8), True),
        (crowd(bullish=30, bearish=0, users=7), False),
        ([], False),
    ],
)
def test_consensus_fires_at_its_thresholds_and_not_below(sample: list[Evidence], fires: bool) -> None:
    assert (consensus(sample, CONFIG) is not None) == fires


def test_a_tie_is_no_consensus() -> None:
    assert consensus(crowd(bullish=2, bearish=2), EASY) is None


def test_volume_is_full_at_three_times_the_threshold() -> None:
    full, more = consensus(crowd(90, 0), CONFIG), consensus(crowd(500, 0), CONFIG)

    assert full is not None
    assert more is not None
    assert more.confidence == pytest.approx(full.confidence)


def test_where_only_unanimity_is_enough_it_counts_in_full() -> None:
    strict = replace(CONFIG, consensus_min_alignment=1.0)

    assert consensus(crowd(bullish=89, bearish=1), strict) is None
    assert consensus(crowd(bullish=90, bearish=0), strict) == consensus(crowd(bullish=90, bearish=0), CONFIG)


@pytest.mark.parametrize(
    ("prior", "current", "users", "emerges"),
    [(2, 13, 8, True), (3, 13, 8, False), (2, 12, 8, False), (2, 13, 7, False)],
)
def test_a_ticker_emerges_from_silence_into_many_mouths(
    prior: int, current: int, users: int, emerges: bool
) -> None:
    started = replace(CONFIG, system_start_date=DAY - timedelta(days=7))

    assert is_emergence(Mentions(prior=prior, current=current, distinct_users=users), DAY, started) is emerges


@pytest.mark.parametrize(("days", "known"), [(-1, False), (0, False), (6, False), (7, True), (400, True)])
def test_emergence_is_unknown_in_the_first_week(days: int, known: bool) -> None:
    started = replace(CONFIG, system_start_date=DAY - timedelta(days=days))
    quiet = Mentions(prior=0, current=0, distinct_users=0)

    assert (is_emergence(quiet, DAY, started) is not None) == known


# --- a day in the database ---


def say(
    rows: Any, post_id: int, count: int, ticker: str = "GME", sentiment: str = "bullish", **columns: Any
) -> list[int]:
    """Put `count` analysed comments of different people on a ticker where phase 3 would have put them."""
    have = rows.all("SELECT count(*) FROM comments")[0][0]
    ids: list[int] = []
    for number in range(have + 1, have + count + 1):
        comment_id = rows.comment(
            f"c{number}",
            **{"post_id": post_id, "picked": 1, "sentiment": sentiment, "has_reasoning": 1, **columns},
        )
        rows.ticker(comment_id, ticker, sentiment)
        ids.append(comment_id)
    return ids


def signals(rows: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = rows.all(
        "SELECT ticker, signal_type, prediction, comment_count, distinct_users FROM signals ORDER BY 1, 2"
    )
    return found


def detect(conn: sqlite3.Connection, ctx: Any) -> None:
    detect_signals(conn, ctx)
    conn.commit()


@pytest.fixture
def post_id(rows: Any) -> int:
    made: int = rows.post()
    return made


def test_signals_are_written_with_their_comments(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    ids = say(rows, post_id, 3)
    ctx = make_ctx()

    detect(conn, ctx)

    assert signals(rows) == [("GME", "quality", "bullish", 3, 3)]
    assert rows.all("SELECT comment_id FROM signal_comments ORDER BY 1") == [(one,) for one in ids]
    assert rows.all("SELECT signal_date, position_opened, is_emergence FROM signals") == [(TODAY, 0, None)]
    assert ctx.results["signals_created"] == 1
    assert ctx.steps[-1] == (1, 1, "ticker")


def test_detecting_twice_changes_no_count(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    say(rows, post_id, 31)
    say(rows, post_id, 3, "AMC", "bearish")
    detect(conn, make_ctx())
    before = rows.all("SELECT id, ticker, signal_type, confidence, created_at FROM signals ORDER BY id")
    links = rows.all("SELECT signal_id, comment_id FROM signal_comments ORDER BY 1, 2")

    ctx = make_ctx()
    detect(conn, ctx)

    assert (
        rows.all("SELECT id, ticker, signal_type, confidence, created_at FROM signals ORDER BY id") == before
    )
    assert rows.all("SELECT signal_id, comment_id FROM signal_comments ORDER BY 1, 2") == links
    assert ctx.results["signals_created"] == len(before) == 3


def test_the_stance_on_the_ticker_counts_and_not_the_comment_s(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    for comment_id in say(rows, post_id, 2, "GME", "bullish"):
        rows.ticker(comment_id, "AMC", "bearish")

    detect(conn, make_ctx())

    assert signals(rows) == [("AMC", "quality", "bearish", 2, 2), ("GME", "quality", "bullish", 2, 2)]


def test_what_was_written_after_the_run_s_instant_changes_nothing(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    say(rows, post_id, 2)
    say(rows, post_id, 5, sentiment="bearish", created_utc="2025-03-12T18:00:00.001Z")

    detect(conn, make_ctx())

    assert signals(rows) == [("GME", "quality", "bullish", 2, 2)]


@pytest.mark.parametrize("missing", [{"picked": 0}, {"author": None}])
def test_comments_that_were_not_picked_and_authors_that_are_gone_make_no_signal(
    missing: dict[str, Any], conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    say(rows, post_id, 2, **missing)

    detect(conn, make_ctx())

    assert signals(rows) == []


def test_a_second_run_of_the_day_adds_to_the_first(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    say(rows, post_id, 2)
    detect(conn, make_ctx())
    say(rows, post_id, 1, run_id=2)

    detect(conn, make_ctx(run_id=2))

    assert signals(rows) == [("GME", "quality", "bullish", 3, 3)]


def test_a_comment_that_two_runs_of_the_day_picked_counts_once(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    ids = say(rows, post_id, 2)
    detect(conn, make_ctx())
    rows.run(2)
    conn.executemany("INSERT INTO run_comments (run_id, comment_id, picked) VALUES (2, ?, 1)", zip(ids))

    detect(conn, make_ctx(run_id=2))

    assert signals(rows) == [("GME", "quality", "bullish", 2, 2)]


def test_a_text_that_many_accounts_paste_counts_once_for_the_first_of_them(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    pasted = "1 2 3 4 5"
    later = say(rows, post_id, 1, sketch=pasted, created_utc="2025-03-12T17:00:00.000Z")
    (first,) = say(rows, post_id, 1, sketch="1 2 3 x y", created_utc="2025-03-12T16:00:00.000Z")
    say(rows, post_id, 8, sketch=pasted, created_utc="2025-03-12T17:30:00.000Z")

    detect(conn, make_ctx())
    assert signals(rows) == []

    (own,) = say(rows, post_id, 1, sketch="6 7 8 9 0")
    detect(conn, make_ctx())
    assert signals(rows) == [("GME", "quality", "bullish", 2, 2)]
    assert rows.all("SELECT comment_id FROM signal_comments ORDER BY 1") == [(first,), (own,)]
    assert later != [first]


def test_comments_without_a_ticker_make_no_signal_and_no_warning(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    say(rows, post_id, 40)
    conn.execute("DELETE FROM comment_tickers")
    ctx = make_ctx()

    detect(conn, ctx)

    assert signals(rows) == []
    assert ctx.warnings == []


def test_one_loud_author_is_one_author(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    say(rows, post_id, 40, author="u_loud")

    detect(conn, make_ctx())

    assert signals(rows) == []


def test_a_run_of_another_day_starts_anew(
    conn: sqlite3.Connection, make_ctx: Any, tools: Any, rows: Any, post_id: int
) -> None:
    say(rows, post_id, 2)
    detect(conn, make_ctx())
    say(rows, post_id, 3, run_id=2)

    detect(conn, make_ctx(tools(as_of=AS_OF + timedelta(days=1)), run_id=2))

    assert signals(rows) == [("GME", "quality", "bullish", 2, 2), ("GME", "quality", "bullish", 3, 3)]
    assert rows.all("SELECT signal_date FROM signals ORDER BY id") == [(TODAY,), ("2025-03-13",)]


def test_an_untraded_signal_follows_the_day_and_is_withdrawn_when_it_is_contradicted(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    say(rows, post_id, 2)
    detect(conn, make_ctx())
    say(rows, post_id, 1, sentiment="bearish", run_id=2)

    ctx = make_ctx(run_id=2)
    detect(conn, ctx)

    assert signals(rows) == []
    assert rows.all("SELECT * FROM signal_comments") == []
    assert (ctx.results["signals_created"], ctx.results["signals_withdrawn"]) == (0, 1)


def trade(rows: Any) -> None:
    """Open a position on the only signal."""
    rows.insert(
        "positions",
        portfolio_id=1,
        signal_id=1,
        ticker="GME",
        instrument_type="stock",
        signal_type="quality",
        direction="long",
        confidence=0.6,
        position_size=100.0,
        entry_date=TODAY,
        entered_at="2025-03-12T18:00:00.000Z",
        entry_price=10.0,
        entry_basis="close 2025-03-11",
        status="open",
        last_checked_at="2025-03-12T18:00:00.000Z",
        shares=10,
        shares_remaining=10,
    )


def test_a_traded_signal_is_kept_as_it_was_when_the_day_turns_silent(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    say(rows, post_id, 2)
    detect(conn, make_ctx())
    trade(rows)
    say(rows, post_id, 1, sentiment="bearish", run_id=2)

    ctx = make_ctx(run_id=2)
    detect(conn, ctx)

    assert signals(rows) == [("GME", "quality", "bullish", 2, 2)]
    assert len(rows.all("SELECT * FROM signal_comments")) == 2
    assert ctx.results["signals_withdrawn"] == 0


def test_a_traded_signal_never_changes_its_direction(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    ids = say(rows, post_id, 2)
    detect(conn, make_ctx())
    trade(rows)
    before = rows.all("SELECT * FROM signals")
    conn.executemany(
        "UPDATE comment_tickers SET sentiment = 'bearish' WHERE comment_id = ?", [(i,) for i in ids]
    )

    ctx = make_ctx(run_id=2)
    say(rows, post_id, 2, sentiment="bearish", run_id=2)
    detect(conn, ctx)

    assert rows.all("SELECT * FROM signals") == before
    assert ctx.results["signals_created"] == 0


def test_a_traded_signal_still_gains_evidence_for_its_direction(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    say(rows, post_id, 2)
    detect(conn, make_ctx())
    trade(rows)
    say(rows, post_id, 2, run_id=2)

    detect(conn, make_ctx(run_id=2))

    assert signals(rows) == [("GME", "quality", "bullish", 4, 4)]


def test_what_can_not_be_traded_still_makes_signals(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    say(rows, post_id, 2, "BTC")

    detect(conn, make_ctx())

    assert signals(rows) == [("BTC", "quality", "bullish", 2, 2)]


def test_emergence_compares_with_the_week_before(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    rows.insert(
        "system_config", key="system_start_date", value="2025-03-01", updated_at="2025-03-01T00:00:00Z"
    )
    say(rows, post_id, 13)
    say(rows, post_id, 13, "AMC")
    for created in ("2025-03-05T00:00:00.000Z", "2025-03-11T23:59:59.000Z", "2025-03-11T10:00:00.000Z"):
        say(rows, post_id, 1, "AMC", created_utc=created, run_id=7, picked=0)
    say(rows, post_id, 4, "GME", created_utc="2025-03-04T23:59:59.000Z", run_id=7, picked=0)

    detect(conn, make_ctx())

    emergence = rows.all("SELECT ticker, is_emergence, prior_7d_mentions FROM signals ORDER BY ticker")
    assert emergence == [("AMC", 0, 3), ("GME", 1, 0)]


def test_the_first_run_starts_the_system(conn: sqlite3.Connection, make_ctx: Any, rows: Any) -> None:
    detect(conn, make_ctx())

    assert rows.all("SELECT key, value FROM system_config") == [("system_start_date", TODAY)]
    assert rows.all("SELECT run_id, signal_date FROM run_days") == [(1, TODAY)]


def test_settings_in_the_database_are_obeyed(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int
) -> None:
    rows.insert("system_config", key="quality_min_users", value="3", updated_at="2025-03-01T00:00:00Z")
    say(rows, post_id, 2)

    detect(conn, make_ctx())

    assert signals(rows) == []


def test_unusable_settings_fail_the_phase_before_it_writes(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any
) -> None:
    rows.insert("system_config", key="quality_min_users", value="many", updated_at="2025-03-01T00:00:00Z")

    with pytest.raises(ConfigError):
        detect_signals(conn, make_ctx())

    assert not conn.in_transaction


@given(
    opinions=st.lists(
        st.tuples(st.sampled_from(["GME", "AMC"]), st.sampled_from(list(SWAPPED))), max_size=12
    ),
    chance=st.randoms(use_true_random=False),
)
def test_the_order_of_rows_changes_no_signal(
    opinions: list[tuple[str, str]],
    chance: Any,
    new_database: Callable[..., sqlite3.Connection],
    new_ctx: Callable[..., Any],
) -> None:
    shuffled = list(opinions)
    chance.shuffle(shuffled)
    found = [
        detected(new_database(), new_ctx, [(str(index), *one) for index, one in enumerate(sample)])
        for sample in (opinions, shuffled)
    ]

    assert found[0] == found[1]


def detected(
    conn: sqlite3.Connection, new_ctx: Callable[..., Any], opinions: list[tuple[str, str, str]]
) -> list[tuple[Any, ...]]:
    ctx = new_ctx(conn)
    conn.execute("INSERT INTO reddit_posts (id, reddit_id, title, fetched_at) VALUES (1, 'p', 't', 'now')")
    for number, (author, ticker, sentiment) in enumerate(opinions, start=1):
        conn.execute(
            "INSERT INTO comments (id, analysis_run_id, post_id, reddit_id, author, body, created_utc, score,"
            " sentiment, ai_confidence, author_trust_score, has_reasoning, sarcasm_detected, analyzed_at) "
            "VALUES (?, 1, 1, ?, ?, 'x', '2025-03-12T10:00:00.000Z', 1, 'neutral', 0.7, 0.5, 1, 0, 'now')",
            (number, f"c{number}", author),
        )
        conn.execute("INSERT INTO run_comments (run_id, comment_id, picked) VALUES (1, ?, 1)", (number,))
        conn.execute(
            "INSERT INTO comment_tickers (comment_id, ticker, sentiment, created_at) VALUES (?, ?, ?, 'now')",
            (number, ticker, sentiment),
        )
    detect_signals(conn, ctx)
    rows = conn.execute("SELECT ticker, signal_type, prediction, confidence, distinct_users FROM signals")
    return sorted(rows.fetchall())


@pytest.mark.parametrize(
    "wrong",
    ["confidence = 1.01", "prediction = 'neutral'", "distinct_users = 0", "signal_type = 'loud'"],
)
def test_the_schema_refuses_a_signal_that_makes_no_sense(
    conn: sqlite3.Connection, make_ctx: Any, rows: Any, post_id: int, wrong: str
) -> None:
    say(rows, post_id, 2)
    detect(conn, make_ctx())

    with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"):
        conn.execute(f"UPDATE signals SET {wrong}")
