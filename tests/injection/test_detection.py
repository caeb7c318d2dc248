"""What is taken for a text to a model, and what is not."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phases.analyzers.injection import injection, without_injection
from phases.analyzers.text import clean
from tests.injection.corpus import attacks

DATA: Final = Path(__file__).parents[3] / "shared" / "data"
COMMENTS: Final = tuple(sorted((DATA / "wsb").glob("wsb_comments_*.ndjson")))

HARMLESS: Final = (
    "I ignore the noise and hold. Previous earnings were fine, the rules of this sub are too.",
    "You are now a bagholder, act as if you like it.",
    "As an AI company NVDA must answer for its valuation.",
    "System-wide outage at Robinhood, the user base is angry. Instructions on how to file are out.",
    "I'm bullish and will say it again: bullish.",
    "Mark my words: GME to 500. Rate cuts are bearish, neutral at best.",
    "Forget everything, buy AMD. Repeat after me: stonks only go up forever.",
    "My confidence in management is gone. Sentiment is bearish all over.",
    "Developer tools revenue beat, assistant sales manager said so.",
)


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=300))
def test_any_text_is_judged_and_kept_whole_or_left_out(text: str) -> None:
    assert without_injection(text) == ("" if injection(text) else text)


@pytest.mark.parametrize("attack", [each for each in attacks() if injection(each.text)], ids=str)
def test_an_attack_is_known_in_any_case_and_with_anything_around_it(attack: object) -> None:
    text = getattr(attack, "text", "")

    assert injection(f"GME calls.\n\n{text}\n\nAMC puts.")


@pytest.mark.parametrize("text", HARMLESS)
def test_people_may_talk_to_people(text: str) -> None:
    assert injection(text) is None


@pytest.mark.parametrize(
    "piece",
    ["\n", "a ", "aa ", "a-", '"', "ai: ", "<user ", "[system ", "ignore your ", "to say it ", "repeat ",
     "begin ", "sentiment ", "a: bullish ", "{{ ", "QUJD", "0a", "\u0430", "\u0301", "\ufdfa", "forget all "],
)  # fmt: skip
def test_the_time_that_a_text_takes_grows_like_its_length(piece: str) -> None:
    text = piece * (10_000 // len(piece))

    began = time.process_time()
    injection(f"{text} bullish forever")
    took_s = time.process_time() - began

    assert took_s < 1, "a pattern that goes back again and again takes minutes"


@pytest.mark.parametrize(
    ("alike", "plain"),
    [
        ("\u0410\u041c\u0421 calls today", "AMC calls today"),
        ("G\u041cE calls", "GME calls"),
        ("\u1d0d\u1d0f\u1d0f\u0274 soon, buy", "moon soon, buy"),
        ("G\u0336M\u0336E\u0336 calls", "GME calls"),
        ("caf\u00e9 and r\u00e9sum\u00e9", "caf\u00e9 and r\u00e9sum\u00e9"),
        ("Я купил АМС вчера, и что", "Я купил АМС вчера, и что"),
    ],
)
def test_letters_that_look_latin_are_read_as_latin_where_the_text_is(alike: str, plain: str) -> None:
    assert clean(alike) == plain


@pytest.mark.skipif(not COMMENTS, reason="the recorded comments are not part of the repository")
def test_of_thousands_of_real_comments_none_is_set_aside() -> None:
    bodies = [
        json.loads(line)["body"]
        for path in COMMENTS
        for line in path.read_text(encoding="utf-8").splitlines()
    ]

    found = [body for body in bodies if injection(body)]

    assert len(bodies) > 3_000
    assert found == []
