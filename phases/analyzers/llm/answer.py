"""The form in which a model has to answer, and the check of what it wrote."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phases.analyzers.llm.outcomes import Outcome
from phases.tools import Sentiment

MAX_TICKERS: Final = 30
MAX_TICKER_CHARS: Final = 20
MAX_SUMMARY_CHARS: Final = 2_000

_THOUGHTS: Final = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCE: Final = re.compile(r"\A```(?:json)?[ \t]*\n(.*)\n?```\Z", re.DOTALL | re.IGNORECASE)

Ticker = Annotated[str, Field(max_length=MAX_TICKER_CHARS)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Stance(_Strict):
    """The stance on one ticker."""

    ticker: Ticker
    sentiment: Sentiment


class Answer(_Strict):
    """What a model has to say of one comment."""

    tickers: Annotated[list[Ticker], Field(max_length=MAX_TICKERS)]
    ticker_sentiments: Annotated[list[Stance], Field(max_length=MAX_TICKERS)]
    sentiment: Sentiment
    sarcasm_detected: bool
    has_reasoning: bool
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    reasoning_summary: Annotated[str, Field(max_length=MAX_SUMMARY_CHARS)] | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer's text came to."""

    outcome: Outcome
    answer: Answer | None = None


def read_answer(content: str) -> Reading:
    """Return the answer that a model's text is, or what is wrong with it.

    >>> read_answer("The answer is {}").outcome.value
    'prose'
    """
    text, outcome = _unwrapped(content)
    if not text:
        return Reading(Outcome.EMPTY)
    try:
        value: Any = json.loads(text, parse_constant=_refuse_constant)
    except _NotANumberError:
        return Reading(Outcome.NOT_A_NUMBER)
    except (ValueError, RecursionError):
        return Reading(Outcome.PROSE if "{" in text else Outcome.NOT_JSON)
    return _checked(value, outcome)


def _unwrapped(content: str) -> tuple[str, Outcome]:
    """Return a text without thoughts before it and without a fence that is all around it."""
    text = _THOUGHTS.sub("", content, count=1).strip()
    if fenced := _FENCE.match(text):
        text = fenced[1].strip()
    return text, Outcome.ANSWERED if text == content.strip() else Outcome.UNWRAPPED


class _NotANumberError(ValueError):
    """JSON has no such number."""


def _refuse_constant(name: str) -> NoReturn:
    raise _NotANumberError(name)


def _checked(value: Any, outcome: Outcome) -> Reading:
    try:
        answer = Answer.model_validate(value)
    except ValidationError as error:
        types = {entry["type"] for entry in error.errors(include_input=False, include_url=False)}
        if types == {"extra_forbidden"} and (known := _without_extras(value)) != value:
            return _checked(known, Outcome.EXTRA_FIELDS)
        return Reading(next((named for kind, named in _WRONG if kind in types), Outcome.WRONG_SHAPE))
    if {stance.ticker for stance in answer.ticker_sentiments} != set(answer.tickers):
        return Reading(Outcome.WRONG_SHAPE)
    is_repeated = len(set(answer.tickers)) < max(len(answer.tickers), len(answer.ticker_sentiments))
    return Reading(Outcome.DUPLICATE_TICKERS if is_repeated else outcome, answer)


_WRONG: Final = (
    ("missing", Outcome.WRONG_SHAPE),
    ("literal_error", Outcome.WRONG_ENUM),
    ("finite_number", Outcome.NOT_A_NUMBER),
    *(
        (kind, Outcome.OUT_OF_RANGE)
        for kind in ("greater_than_equal", "less_than_equal", "too_long", "string_too_long")
    ),
)
"""From the kinds of pydantic's errors to ours; the first that applies decides."""


def _without_extras(value: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value[name] for name in Answer.model_fields if name in value}
    kept["ticker_sentiments"] = [
        {name: stance[name] for name in Stance.model_fields} for stance in value["ticker_sentiments"]
    ]
    return kept


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_SENTIMENT: Final = {"type": "string", "enum": ["bullish", "bearish", "neutral"]}

SCHEMA: Final = _closed(
    {
        "tickers": {"type": "array", "items": {"type": "string"}},
        "ticker_sentiments": {
            "type": "array",
            "items": _closed({"ticker": {"type": "string"}, "sentiment": _SENTIMENT}),
        },
        "sentiment": _SENTIMENT,
        "sarcasm_detected": {"type": "boolean"},
        "has_reasoning": {"type": "boolean"},
        "confidence": {"type": "number"},
        "reasoning_summary": {"type": ["string", "null"]},
    }
)
"""The same form as JSON schema, in the subset that strict servers take: no limits, all fields required."""
