"""Which symbols a comment names: laws over any text, then the traps of the domain one by one."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phases.analyzers.text import MAX_CHARS, clean, shortened
from phases.analyzers.tickers import SHORT_TEXT_CHARS, Mention, extract, mentions, symbols
from phases.analyzers.tokens import tokenize
from phases.analyzers.universe import (
    Rename,
    asset_class,
    data_lines,
    is_tradable,
    renames,
    symbol_on,
    vocabulary,
)

DATA = Path(__file__).parents[3] / "shared" / "data"
WELL_FORMED = re.compile(r"[A-Z]{1,5}(\.[A-Z])?")
KNOWN = vocabulary()

any_text = st.text(alphabet=st.characters(exclude_categories=()), max_size=400)
comment_words = st.sampled_from(
    [
        *("$GME", "GME", "gme", "$", "DD", "YOLO", "THE", "calls", "bought", "Google", "Zuck", "(", ")", ":"),
        *(
            "NYSE",
            "BRK.B",
            "50c",
            ".",
            "?",
            "$ROPE",
            "AMDs",
            "I",
            "🚀",
            "OPEN",
            "F",
            "XQZW",
            "'s",
            "the mouse",
            "\n",
            "\u200b",
        ),
    ]
)
comment_like = st.lists(comment_words, max_size=40).map(" ".join)
distinct_symbols = st.sampled_from(sorted(KNOWN.distinct))
invisible = st.sampled_from(
    ["\u200b", "\u200d", "\u2060", "\u202e", "\ufeff", "\u00ad", "\x00", "\U000e0041"]
)


def found(text: str) -> tuple[str, ...]:
    return extract(clean(text))


def reasons(text: str) -> dict[str, str]:
    return {mention.symbol: mention.reason for mention in read(text)}


def read(text: str) -> list[Mention]:
    cleaned = clean(text)
    return mentions(tokenize(cleaned), chars=len(cleaned))


# --- laws ---


@given(any_text | comment_like)
def test_any_text_yields_only_well_formed_symbols_each_once(text: str) -> None:
    names = found(text)

    assert all(WELL_FORMED.fullmatch(name) for name in names)
    assert len(set(names)) == len(names)


@given(comment_like)
def test_mentions_lie_in_the_text_in_order_and_apart(text: str) -> None:
    tokens = tokenize(clean(text))
    spans = [(one.first, one.last) for one in mentions(tokens, chars=len(text))]

    assert all(0 <= first <= last < len(tokens) for first, last in spans)
    assert all(left[1] < right[0] for left, right in pairwise(spans))


@given(comment_like)
def test_every_mention_says_how_firmly_it_is_believed_and_of_what_class_it_is(text: str) -> None:
    for mention in read(text):
        assert 0 < mention.confidence <= 1
        assert mention.asset == asset_class(mention.symbol)


@given(st.sampled_from(sorted(set(KNOWN.classes) - KNOWN.fake)))
def test_a_cashtag_of_a_known_symbol_is_always_found(symbol: str) -> None:
    assert found(f"I have been reading about ${symbol} all day") == (symbol,)


@given(
    st.sampled_from(sorted(KNOWN.never | KNOWN.fake)), st.sampled_from(["{}", "buy {} calls", "all in on {}"])
)
def test_everyday_words_in_capitals_are_never_symbols(word: str, sentence: str) -> None:
    assert word not in found(sentence.format(word))


@given(st.sampled_from(sorted(KNOWN.fake)), st.sampled_from([str.upper, str.lower, str.title]))
def test_a_fake_symbol_is_none_even_with_a_cashtag(word: str, spell: Callable[[str], str]) -> None:
    assert found(f"buying ${spell(word)} calls") == ()


@given(distinct_symbols, st.sampled_from([str.upper, str.lower, str.title]))
def test_a_symbol_that_is_no_word_is_found_in_any_spelling(symbol: str, spell: Callable[[str], str]) -> None:
    assert found(f"what about {spell(symbol)} tomorrow") == (symbol,)


@given(st.lists(distinct_symbols, unique=True, max_size=8), st.sampled_from([" ", ", ", " and ", "/", "\n"]))
def test_symbols_come_in_the_order_in_which_they_are_named_first(names: list[str], between: str) -> None:
    assert found(between.join(names + names[:2])) == tuple(names)


@given(comment_like, invisible, st.integers(0, 200))
def test_an_invisible_character_neither_hides_nor_splits_a_symbol(text: str, character: str, at: int) -> None:
    assert found(text[:at] + character + text[at:]) == found(text)


@given(distinct_symbols)
def test_look_alike_letters_of_the_compatibility_blocks_are_read_as_plain_ones(symbol: str) -> None:
    full_width = "".join(chr(ord(letter) + 0xFEE0) for letter in symbol)

    assert found(full_width) == (symbol,)


@given(any_text)
def test_cleaning_twice_changes_nothing_that_matters(text: str) -> None:
    assert len(clean(text)) <= MAX_CHARS
    assert not re.search(r"[\x00-\x08\x7f-\x9f\u200b-\u200f\u202a-\u202e\ud800-\udfff]", clean(text))


@given(any_text, st.integers(2, 80))
def test_a_shortened_text_is_one_line_within_its_limit(text: str, chars: int) -> None:
    line = shortened(text, chars)

    assert len(line) <= chars
    assert line.split() == line.split(" ") or line == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        "A ",
        "$",
        "$A ",
        "GME ",
        ".",
        "a'",
        "1,",
        "1 1",
        "(AB) ",
        "AA.B-",
        "the ",
        "BB ",
        "$AB:",
        "🚀",
        "'s",
        "NYSE: ",
    ],
)
def test_time_grows_with_the_text_and_not_with_its_square(unit: str) -> None:
    short, long = (unit * (chars // len(unit)) for chars in (2_000, 8_000))

    assert seconds(long) < 10 * max(seconds(short), 1e-4)  # four times the text; its square would be sixteen


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["GME ", "\ufdfa", "&amp;"])
def test_of_a_text_without_end_only_the_beginning_is_read(unit: str) -> None:
    endless = unit * 100_000

    assert seconds(endless) < 10 * max(seconds(endless[:MAX_CHARS]), 1e-4)
    assert found("x" * MAX_CHARS + " GME") == ()


@pytest.mark.slow
@pytest.mark.parametrize("mark", ["\u0301\u0323", "\u0300", "\u05b0\u0591"])
def test_a_tower_of_combining_marks_is_normalised_in_linear_time(mark: str) -> None:
    def took(chars: int) -> float:
        return min(cpu_seconds(lambda: clean("a" + mark * (chars // len(mark)))) for _ in range(3))

    assert took(8_000) < 10 * max(took(2_000), 1e-4)


def seconds(text: str) -> float:
    return min(cpu_seconds(lambda: found(text)) for _ in range(3))


def cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


# --- the data files ---


def test_a_word_is_in_one_section_only() -> None:
    sections = (KNOWN.fake, KNOWN.never, KNOWN.cue, KNOWN.plain, KNOWN.distinct)

    assert sum(map(len, sections)) == len(frozenset().union(*sections))


def test_every_section_about_symbols_holds_symbols_of_the_universe() -> None:
    assert KNOWN.cue | KNOWN.plain | KNOWN.distinct <= set(KNOWN.classes)


def test_every_symbol_of_the_universe_is_well_formed_and_listed_once() -> None:
    listed = [symbol for _, line in data_lines("universe.txt") for symbol in line.split()]

    assert [symbol for symbol in listed if not WELL_FORMED.fullmatch(symbol)] == []
    assert len(listed) == len(set(listed))
    assert len(listed) > 1_500


def test_every_name_leads_to_a_symbol_of_the_universe() -> None:
    assert {name.symbol for name in KNOWN.names.values()} <= set(KNOWN.classes)
    assert all(spelling == spelling.lower() for spelling in KNOWN.names)


def test_a_name_belongs_to_one_symbol() -> None:
    spellings = [
        spelling.strip()
        for _, line in data_lines("names.txt")
        for spelling in line.partition(":")[2].split(",")
    ]

    assert len(spellings) == len(set(spellings))


# --- the tiers, one by one ---


@pytest.mark.parametrize(
    ("text", "symbol", "reason"),
    [
        ("$GME all the way", "GME", "cashtag"),
        ("$gme all the way", "GME", "cashtag"),
        ("$nyse no, $NYSE:GME yes", "GME", "cashtag"),
        ("$BRK.B and nothing else", "BRK.B", "cashtag"),
        ("$brk-b and nothing else", "BRK.B", "cashtag"),
        ("still holding PLTR", "PLTR", "caps"),
        ("BRK-B is for grandparents", "BRK.B", "caps"),
        ("two AMDs walk into a bar", "AMD", "caps"),
        ("GME's float is gone", "GME", "caps"),
        ("nvda reports on wednesday", "NVDA", "lower"),
        ("Tsla at open", "TSLA", "lower"),
        ("my OPEN calls expire friday", "OPEN", "cue"),
        ("bought some more CASH at the bell", "CASH", "cue"),
        ("F calls are cheap", "F", "cue"),
        ("puts on REAL look free", "REAL", "cue"),
        ("RUN 1/15 50 calls", "RUN", "cue"),
        ("Quixotic Widgets (QXWD) reports tomorrow", "QXWD", "cue"),
        ("NASDAQ: QXWD reports tomorrow", "QXWD", "cue"),
        ("100 shares of QXWD", "QXWD", "cue"),
        ("the mouse reports tomorrow", "DIS", "name"),
        ("Zuck is at it again", "META", "name"),
        ("papa elon tweeted", "TSLA", "name"),
        ("Google is a money machine", "GOOGL", "name"),
        ("Apple calls for christmas", "AAPL", "name"),
        ("bitcoin is at it again", "BTC", "name"),
    ],
)
def test_each_tier_finds_its_symbol_and_says_why(text: str, symbol: str, reason: str) -> None:
    assert reasons(text) == {symbol: reason}


@pytest.mark.parametrize(
    "text",
    [
        "I A DD CEO YOLO FOR USA IT NOW EDIT",
        "I did my own DD. The CEO of the USA told me to YOLO, so I did it NOW. EDIT: typo",
        "paid $42.36, sold at $10k, lost $5M, no $ left",
        "get the $ROPE ready, expires $AUG",
        "US$ and A$AP and $ and $$$ and $1B",
        "apple pie on the amazon river, gap year, target practice, block party",
        "open play real cash next run",
        "open the link and save the fox",
        "write to u/GME or read r/AMC",
        "see https://example.org/GME/TSLA?x=NVDA and www.example.org/AMD",
        "Large Language Model (LLM) and Exchange Traded Fund (ETF)",
        "Regional Orbital Zoning Board (ROZB) meets",
        "that was REAL\ncalls are expensive",
        "WE ARE NOT GOING TO STOP BUYING HUGE DIPS AND PLAY THE OPEN",
        "the U.S. bond market",
        "30 DTE and 0DTE options",
        "GMEEEEE",
    ],
)
def test_a_trap_is_no_symbol(text: str) -> None:
    assert found(text) == ()


def test_only_symbols_that_are_no_word_are_believed_where_a_sentence_shouts() -> None:
    assert found("HUGE NEWS, NVDA IS GOING TO EAT THE WHOLE WORLD AND PINS TOO") == ("NVDA",)
    assert found("My PINS are up") == ("PINS",)


def test_a_list_of_symbols_is_no_shouting() -> None:
    assert found("GME AMC BB NOK PINS WISH") == ("GME", "AMC", "BB", "NOK", "PINS", "WISH")


def test_marks_of_emphasis_hide_no_symbol() -> None:
    assert found("**GME** and _AMC_ and ~~BB~~ and (NOK) and #TSLA") == ("GME", "AMC", "BB", "NOK", "TSLA")


def test_a_cashtag_vouches_for_the_same_symbol_without_one() -> None:
    assert [one.symbol for one in read("$OPEN is cheap. I said OPEN is cheap")] == ["OPEN", "OPEN"]
    assert [one.symbol for one in read("ALL of it, $ALL of it")] == ["ALL", "ALL"]


def test_a_common_word_needs_its_trade_word_close_by_and_in_its_sentence() -> None:
    assert found("REAL talk. Calls are expensive") == ()
    assert found("that is REAL and nobody there bought any of the calls") == ()


def test_a_company_in_a_long_text_needs_a_trade_word_beside_it() -> None:
    story = "we met at the office and talked about the weather for a long time " * 8

    assert len(story) > SHORT_TEXT_CHARS
    assert found(f"{story} where Nvidia sells to Microsoft") == ()
    assert found(f"{story} so I bought Nvidia and Microsoft calls") == ("NVDA", "MSFT")


def test_a_word_that_is_also_a_company_must_be_capitalised_and_traded() -> None:
    assert found("Apple is a company") == ()
    assert found("apple calls") == ()
    assert found("long Apple") == ("AAPL",)


def test_what_somebody_else_said_is_not_read_twice() -> None:
    assert found("> GME to the moon\n\nno, AMC") == ("AMC",)
    assert found("&gt; GME to the moon") == ("GME",)  # nothing else is left


def test_crypto_and_indexes_are_named_but_never_become_positions() -> None:
    names = found("BTC up, VIX down, SPX flat, $ETH too, GME and SPY and $QXWD")

    assert names == ("BTC", "VIX", "SPX", "ETH", "GME", "SPY", "QXWD")
    assert [is_tradable(name) for name in names] == [False, False, False, False, True, True, True]
    assert asset_class("SPY") == "fund"


# --- renamed symbols ---

days = st.dates(date(2018, 1, 1), date(2027, 12, 31))


@given(st.sampled_from(sorted(vocabulary().classes)), days, st.booleans())
def test_the_symbol_of_a_day_is_a_known_one_and_stays_itself(symbol: str, day: date, by_name: bool) -> None:
    then = symbol_on(symbol, day, by_name=by_name)

    assert then in vocabulary().classes
    assert symbol_on(then, day) == then
    assert symbol_on(symbol, None, by_name=by_name) == symbol


@pytest.mark.parametrize("rename", renames(), ids=lambda rename: f"{rename.old}-{rename.new}")
def test_a_symbol_changes_on_its_day_and_not_before(rename: Rename) -> None:
    eve = rename.since - timedelta(days=1)

    assert symbol_on(rename.old, eve) == rename.old
    assert symbol_on(rename.old, rename.since) == rename.new
    assert symbol_on(rename.new, eve) == rename.new
    assert symbol_on(rename.new, eve, by_name=True) == rename.old


def test_a_company_goes_by_its_symbol_of_the_day() -> None:
    text = "loading up on Facebook calls"

    assert extract(text, date(2021, 2, 1)) == ("FB",)
    assert extract(text, date(2024, 2, 1)) == ("META",)
    assert extract("$FB and META", date(2024, 2, 1)) == ("META",)
    assert extract(text) == ("META",)


def test_symbols_of_mentions_are_unique_in_order() -> None:
    assert symbols(read("AMC then GME then AMC")) == ("AMC", "GME")


# --- real comments ---


def rows(name: str) -> list[dict[str, Any]]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the repository")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_a_day_of_real_comments_names_sensible_symbols() -> None:
    named = [found(row["body"] or "") for row in rows("wsb/wsb_comments_2020-12-01.ndjson")]
    flat = [symbol for symbols_of_one in named for symbol in symbols_of_one]

    assert not {"I", "A", "DD", "CEO", "YOLO", "FOR", "USA", "IT", "NOW", "EDIT"} & set(flat)
    assert {"PLTR", "TSLA", "GME"} <= set(flat)
    assert flat.count("PLTR") > 30


@pytest.mark.slow
def test_tickers_are_found_as_people_labelled_them() -> None:
    documents = rows("labels/wsb_ticker_spans_dev.ndjson")
    hits = false = missed = 0
    for document in documents:
        labelled = {
            span["text"].strip("$ ").rpartition(":")[2].upper()
            for span in document["spans"]
            if span["label"] == "ticker"
        }
        names = set(found(document["text"]))
        hits += len(names & labelled)
        false += len(names - labelled)
        missed += len(labelled - names)

    assert hits / (hits + false) > 0.85
    assert hits / (hits + missed) > 0.78
