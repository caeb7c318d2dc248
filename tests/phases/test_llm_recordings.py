"""Recorded exchanges with servers of eleven makers, replayed over HTTP to the real client."""

from __future__ import annotations

import json
import math
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from phases.analyzers.llm import wire
from phases.analyzers.llm.asking import Asked, Asker
from phases.analyzers.llm.outcomes import Outcome
from phases.analyzers.llm.prompt import build_prompt
from phases.analyzers.llm.reply import read_reply
from phases.analyzers.llm.settings import Address, ModelSettings
from phases.analyzers.llm.statuses import hopeless_because
from phases.tools import Excerpt
from tests.models.asking import KEY, PRICES, QuickClock, fence
from tests.models.characters import said
from tests.models.recordings import ABSENT, RECORDINGS, Recording, recordings, replaying
from tests.models.server import model_server

pytestmark = pytest.mark.skipif(not RECORDINGS.exists(), reason=ABSENT)


@pytest.fixture(scope="module")
def replayed() -> Sequence[tuple[Recording, Asked]]:
    """Ask about each recording, and once more where a repair is due; a repair gets the same response."""
    with model_server(replaying) as server:
        address = Address(base_url=server.base_url, host="model.test", model="m-1", key=KEY)
        with wire.connected(address, lambda: 0.0) as endpoint, ThreadPoolExecutor(5) as pool:
            asker = Asker(
                endpoint=endpoint,
                settings=ModelSettings(address=address, fence=fence, prices=PRICES),
                clock=QuickClock(),
                remaining_s=lambda: math.inf,
                halt=threading.Event(),
            )
            prompts = [
                build_prompt(Excerpt(body=str(number)), model="m-1", fence=fence)
                for number in range(len(recordings()))
            ]
            return list(zip(recordings(), pool.map(asker.ask, prompts), strict=True))


def expected(recording: Recording) -> Outcome:
    """Return what a person would call a recording; none of them answers about a comment."""
    body = recording.body
    if recording.status != 200 or isinstance(body, str):
        return Outcome.REJECTED if recording.status != 200 else Outcome.NOT_A_COMPLETION
    if "choices" not in body:
        return Outcome.ERROR_BODY
    choice = body["choices"][0]
    message = choice.get("message", {})
    if message.get("refusal"):
        return Outcome.REFUSED
    ended = {"length": Outcome.TRUNCATED, "content_filter": Outcome.FILTERED}
    return ended.get(choice["finish_reason"]) or of_content(message.get("content"))


def of_content(content: Any) -> Outcome:
    text = "".join(part.get("text", "") for part in content) if isinstance(content, list) else content
    if not text:
        return Outcome.TOOL_CALL
    try:
        json.loads(text.rpartition("</think>")[2])  # what some models think comes first
    except ValueError:
        return Outcome.PROSE if "{" in text else Outcome.NOT_JSON
    return Outcome.WRONG_SHAPE


def test_each_recorded_exchange_ends_as_a_person_would_call_it(
    replayed: Sequence[tuple[Recording, Asked]],
) -> None:
    found = [asked.reply.outcome for _, asked in replayed]

    assert found == [expected(recording) for recording, _ in replayed]
    assert len(Counter(found)) >= 9


def test_no_recorded_answer_to_another_question_is_taken_for_an_annotation(
    replayed: Sequence[tuple[Recording, Asked]],
) -> None:
    assert not any(call.is_answer for _, asked in replayed for call in asked.calls)


def test_tokens_and_cost_are_those_of_the_recorded_usage(replayed: Sequence[tuple[Recording, Asked]]) -> None:
    counted = 0
    for recording, asked in replayed:
        usage = recording.body.get("usage") if isinstance(recording.body, dict) else None
        for call in asked.calls:
            if usage is None:
                assert call.input_tokens is None
                continue
            tokens = usage["prompt_tokens"], usage.get("completion_tokens", 0)
            exact = Fraction(15, 100) * tokens[0] + Fraction(6, 10) * tokens[1]
            assert (call.input_tokens, call.output_tokens) == tokens
            assert call.cost_nano_usd == math.ceil(exact * 1_000)
            counted += 1
    assert counted > 400


def test_a_recorded_404_names_the_model_and_where_it_was_looked_for(
    replayed: Sequence[tuple[Recording, Asked]],
) -> None:
    address = Address(base_url="http://model.test/v1", host="model.test", model="m-1")
    received = [asked.received for recording, asked in replayed if recording.status == 404]
    hopeless = {hopeless_because(each, address) for each in received if each is not None}

    (because,) = hopeless
    assert because == (
        "model.test has no model m-1, or no API at that path (HTTP 404); "
        "correct LLM_MODEL or LLM_BASE_URL, then resume the run"
    )


def test_an_answer_in_the_envelope_of_every_maker_is_understood() -> None:
    envelopes = [
        recording
        for recording in recordings()
        if isinstance(recording.body, dict) and "choices" in recording.body
        if recording.body["choices"][0]["finish_reason"] in {"stop", "eos"}
        if isinstance(recording.body["choices"][0]["message"].get("content"), str)
    ]
    answers = [read_reply(json.dumps(with_answer(each).body)) for each in envelopes]

    refused = [not each.body["choices"][0]["message"].get("refusal") for each in envelopes]
    assert [answer.answer is not None for answer in answers] == refused
    assert len({each.host for each in envelopes}) >= 10
    assert all(answer.served_model for answer in answers)


def with_answer(recording: Recording) -> Recording:
    body: dict[str, Any] = json.loads(json.dumps(recording.body))
    body["choices"][0]["message"]["content"] = json.dumps(said("GME"))
    return replace(recording, body=body)
