"""Answers, bodies, statuses, waits and costs: pure functions, whatever they are given."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phases.analyzers.llm.answer import read_answer
from phases.analyzers.llm.endpoint import Received
from phases.analyzers.llm.outcomes import RULES, Outcome
from phases.analyzers.llm.pricing import Prices, most_tokens
from phases.analyzers.llm.reply import Usage, read_reply, read_usage
from phases.analyzers.llm.settings import Address
from phases.analyzers.llm.statuses import hopeless_because, outage, refusal
from phases.analyzers.llm.tally import Tally
from phases.analyzers.llm.waits import MAX_WAIT_S, WAITS_S, retry_after_s, wait_s
from tests.models.characters import NEUTRAL, completion, said

NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
near_answers = st.fixed_dictionaries(
    {
        name: st.just(value) | anything | st.sampled_from(["bullish", "GME", 0, 1, 2.0, ["GME"]])
        for name, value in said("GME").items()
    }
)


# --- the answer ---


@given(st.text() | anything.map(json.dumps) | near_answers.map(json.dumps))
def test_every_text_is_an_answer_or_has_a_name(content: str) -> None:
    reading = read_answer(content)

    assert (reading.answer is not None) == RULES[reading.outcome].is_answer


@given(near_answers)
def test_what_passes_has_seven_fields_of_the_right_kind(fields: dict[str, Any]) -> None:
    answer = read_answer(json.dumps(fields)).answer

    if answer is not None:
        assert answer.sentiment in {"bullish", "bearish", "neutral"}
        assert 0 <= answer.confidence <= 1
        assert {stance.ticker for stance in answer.ticker_sentiments} == set(answer.tickers)


CASES: list[tuple[str, str]] = [
    (json.dumps(said("GME")), "answered"),
    (json.dumps({**NEUTRAL, "confidence": 1}), "answered"),
    (f"\n  {json.dumps(NEUTRAL)}\n", "answered"),
    (f"```\n{json.dumps(NEUTRAL)}\n```", "unwrapped"),
    (f"```JSON\n{json.dumps(NEUTRAL, indent=2)}\n```  ", "unwrapped"),
    (f"<think>GME {{?}}\n</think>\n\n{json.dumps(NEUTRAL)}", "unwrapped"),
    (f"Sure! {json.dumps(NEUTRAL)}", "prose"),
    (f"{json.dumps(NEUTRAL)}\n{json.dumps(said('GME'))}", "prose"),
    (f"```json\n{json.dumps(NEUTRAL)}\n```\nAnything else?", "prose"),
    (json.dumps(NEUTRAL)[:-5], "prose"),
    ("bullish", "not_json"),
    ("", "empty"),
    ("<think>hm</think>", "empty"),
    ("null", "wrong_shape"),
    ("[]", "wrong_shape"),
    ("{}", "wrong_shape"),
    (json.dumps({**NEUTRAL, "tickers": "GME"}), "wrong_shape"),
    (json.dumps({**NEUTRAL, "sarcasm_detected": "no"}), "wrong_shape"),
    (json.dumps({**NEUTRAL, "confidence": "0.5"}), "wrong_shape"),
    (json.dumps({**said("GME"), "tickers": ["GME", "AMC"]}), "wrong_shape"),
    (json.dumps({**said("GME"), "ticker_sentiments": []}), "wrong_shape"),
    (json.dumps({**NEUTRAL, "sentiment": "BULLISH"}), "wrong_enum"),
    (json.dumps(said("GME", sentiment="moon")), "wrong_enum"),
    (json.dumps({**NEUTRAL, "confidence": float("nan")}), "not_a_number"),
    (json.dumps({**NEUTRAL, "confidence": float("-inf")}), "not_a_number"),
    (json.dumps({**NEUTRAL, "confidence": -0.1}), "out_of_range"),
    (json.dumps({**NEUTRAL, "confidence": 70}), "out_of_range"),
    (json.dumps({**NEUTRAL, "confidence": 10**400}), "wrong_shape"),
    (json.dumps(said(*("GME",) * 31)), "out_of_range"),
    (json.dumps(said("G" * 21)), "out_of_range"),
    (json.dumps({**NEUTRAL, "reasoning_summary": "x" * 2_001}), "out_of_range"),
    (json.dumps({**NEUTRAL, "mood": "good"}), "extra_fields"),
    (json.dumps({**said("GME"), "ticker_sentiments": [{"ticker": "GME", "sentiment": "bullish", "why": 1}]}),
     "extra_fields"),
    (json.dumps({**NEUTRAL, "mood": "good", "confidence": 7}), "out_of_range"),
    (json.dumps(said("GME", "GME")), "duplicate_tickers"),
    ("[" * 100_000, "not_json"),
    ('{"a":' * 100_000, "prose"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "outcome"), CASES, ids=range(len(CASES)))
def test_each_kind_of_answer_has_its_name(content: str, outcome: str) -> None:
    assert read_answer(content).outcome == outcome


# --- the body ---


@given(st.text() | anything.map(json.dumps))
def test_every_body_is_read_without_a_raise(body: str) -> None:
    reply = read_reply(body)

    assert (reply.answer is not None) == RULES[reply.outcome].is_answer


@given(st.dictionaries(st.sampled_from(["choices", "error", "usage", "model"]), anything))
def test_a_body_that_is_nearly_a_completion_is_read_without_a_raise(body: dict[str, Any]) -> None:
    reply = read_reply(json.dumps({**completion(NEUTRAL), **body}))

    assert (reply.answer is not None) == RULES[reply.outcome].is_answer


def test_the_parts_of_a_content_are_put_together() -> None:
    parts = [{"type": "text", "text": part} for part in (json.dumps(NEUTRAL)[:9], json.dumps(NEUTRAL)[9:])]
    body = completion(None)
    body["choices"][0]["message"]["content"] = [{"type": "thinking", "thinking": "hm"}, *parts]

    assert read_reply(json.dumps(body)).outcome == "answered"


def test_a_refusal_counts_whatever_else_was_said() -> None:
    assert read_reply(json.dumps(completion(NEUTRAL, refusal="no"))).outcome == "refused"


@pytest.mark.parametrize(
    "usage",
    [None, [], "7", {}, {"prompt_tokens": None}, {"prompt_tokens": 1.5, "completion_tokens": 1},
     {"prompt_tokens": True, "completion_tokens": 1}, {"prompt_tokens": -1, "completion_tokens": 1},
     {"prompt_tokens": 1, "completion_tokens": 10**9}],
)  # fmt: skip
def test_a_count_without_sense_is_no_count(usage: Any) -> None:
    assert read_usage(usage) is None


# --- statuses ---


@given(st.integers(201, 999), st.text(max_size=50))
def test_every_status_but_200_is_for_waiting_for_giving_up_the_server_or_the_comment(
    status: int, body: str
) -> None:
    received = Received(status=status, headers={}, body=body)
    address = Address(base_url="http://model.test/v1", host="model.test", model="m-1")

    because = hopeless_because(received, address)
    assert not (because and outage(received)) or status == 429
    assert because is None or because.endswith("; correct LLM_BASE_URL, then resume the run") or status >= 400
    assert refusal(received) in {Outcome.REJECTED, Outcome.FILTERED}


# --- waits ---


@given(st.integers(1, 20), st.text(max_size=30) | st.floats(0, 1e9).map(str))
def test_a_wait_is_at_least_its_turn_s_and_never_beyond_the_longest(tries: int, said_by_server: str) -> None:
    wait = wait_s(tries, {"retry-after": said_by_server}, NOW)

    assert wait is None or WAITS_S[tries - 1] <= wait <= MAX_WAIT_S
    assert wait is None or tries <= len(WAITS_S)


@given(st.integers(0, 10**6))
def test_the_three_ways_to_ask_for_a_wait_mean_the_same(seconds: int) -> None:
    at = (NOW + timedelta(seconds=seconds)).strftime("%a, %d %b %Y %H:%M:%S GMT")

    asked = [
        {"retry-after": str(seconds)},
        {"retry-after-ms": str(seconds * 1_000)},
        {"retry-after": at},
        {"retry-after": at.replace("GMT", "-0000")},
    ]
    assert [retry_after_s(headers, NOW) for headers in asked] == [seconds] * 4


# --- costs ---

counts = st.integers(0, 10**7)
prices = st.decimals(0, 1_000, places=4)


@given(counts, counts, prices, prices)
def test_a_cost_is_the_formula_rounded_up(sent: int, got: int, price_in: Decimal, price_out: Decimal) -> None:
    cost = Prices(input_usd_per_mtok=price_in, output_usd_per_mtok=price_out).cost_nano_usd(Usage(sent, got))

    exact = (Fraction(price_in) * sent + Fraction(price_out) * got) * 1_000
    assert exact <= cost < exact + 1


@given(st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": st.text(max_size=50)})))
def test_the_most_that_is_sent_is_at_least_a_token_a_byte(messages: list[dict[str, str]]) -> None:
    sent = sum(len(message["content"].encode()) for message in messages)

    assert most_tokens(messages, 7).input_tokens > sent
    assert most_tokens(messages, 7).output_tokens == 7


# --- the verdict ---


@given(st.lists(st.sampled_from(list(Outcome)), max_size=60))
def test_what_is_counted_adds_up(outcomes: list[Outcome]) -> None:
    tally = Tally()
    for outcome in outcomes:
        tally.count(outcome)

    answers = sum(RULES[outcome].is_answer for outcome in outcomes)
    assert tally.missing == sum(tally.reasons.values()) == len(outcomes) - answers
    assert not tally.is_failure(answered=len(outcomes) + answers)


@given(st.lists(st.sampled_from([each for each, rule in RULES.items() if not rule.is_outage]), max_size=19))
def test_no_few_comments_by_their_words_alone_can_end_a_run(outcomes: list[Outcome]) -> None:
    tally = Tally()
    for outcome in outcomes:
        tally.count(outcome)

    assert not tally.is_useless()
    assert not tally.is_failure(answered=max(tally.missing, 0))
