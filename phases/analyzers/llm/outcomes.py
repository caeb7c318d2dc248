"""Every way in which a call to a model can end, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """What came of one call. The values are stored and counted; they never change."""

    ANSWERED = "answered"
    UNWRAPPED = "unwrapped"
    EXTRA_FIELDS = "extra_fields"
    DUPLICATE_TICKERS = "duplicate_tickers"

    NOT_A_COMPLETION = "not_a_completion"
    ERROR_BODY = "error_body"
    NO_CHOICES = "no_choices"
    REFUSED = "refused"
    FILTERED = "filtered"
    TRUNCATED = "truncated"
    TOOL_CALL = "tool_call"
    EMPTY = "empty"
    PROSE = "prose"
    NOT_JSON = "not_json"
    NOT_A_NUMBER = "not_a_number"
    WRONG_SHAPE = "wrong_shape"
    WRONG_ENUM = "wrong_enum"
    OUT_OF_RANGE = "out_of_range"

    REJECTED = "rejected"
    OVERSIZED = "oversized"
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What follows from an outcome."""

    meaning: str
    is_answer: bool = False
    repair: str | None = None
    """What the one further call says to the model, `None` where another call would be of no use."""
    is_outage: bool = False
    """Whether the server is to blame and never the comment."""
    is_billed: bool = True
    """Whether the server may charge for it, even where it does not say how much."""


_AGAIN: Final = "Answer with the JSON object alone: no other text before or after it, no code fence."
_FIELDS: Final = "Give exactly the fields of the schema, each of its type, and no others."

RULES: Final[Mapping[Outcome, Rule]] = {
    Outcome.ANSWERED: Rule(meaning="a valid answer", is_answer=True),
    Outcome.UNWRAPPED: Rule(
        meaning="a valid answer in a code fence, or after a block of thoughts", is_answer=True
    ),
    Outcome.EXTRA_FIELDS: Rule(
        meaning="a valid answer with fields that nobody asked for; they were left out", is_answer=True
    ),
    Outcome.DUPLICATE_TICKERS: Rule(
        meaning="a valid answer that names a ticker twice; the first one counts", is_answer=True
    ),
    Outcome.NOT_A_COMPLETION: Rule(
        meaning="HTTP 200 with something that is no chat completion", repair=_AGAIN
    ),
    Outcome.ERROR_BODY: Rule(meaning="HTTP 200 with an error instead of a completion", repair=_AGAIN),
    Outcome.NO_CHOICES: Rule(meaning="a completion without choices", repair=_AGAIN),
    Outcome.REFUSED: Rule(meaning="the model declined to answer"),
    Outcome.FILTERED: Rule(meaning="the server's content filter stepped in"),
    Outcome.TRUNCATED: Rule(
        meaning="the answer was cut off at its longest length",
        repair="Be brief: the whole JSON object must fit, and reasoning_summary is one short sentence.",
    ),
    Outcome.TOOL_CALL: Rule(meaning="a call of a tool, of which there are none", repair=_AGAIN),
    Outcome.EMPTY: Rule(meaning="an empty answer", repair=_AGAIN),
    Outcome.PROSE: Rule(meaning="text around the JSON", repair=_AGAIN),
    Outcome.NOT_JSON: Rule(meaning="no JSON: the server ignores the schema", repair=_AGAIN),
    Outcome.NOT_A_NUMBER: Rule(meaning="NaN or Infinity", repair="confidence is a plain number from 0 to 1."),
    Outcome.WRONG_SHAPE: Rule(meaning="fields that are missing or of a wrong type", repair=_FIELDS),
    Outcome.WRONG_ENUM: Rule(
        meaning="a sentiment that does not exist",
        repair="Each sentiment is one of bullish, bearish, neutral, in lower case.",
    ),
    Outcome.OUT_OF_RANGE: Rule(
        meaning="a value outside its limits",
        repair="confidence is a plain number from 0 to 1; at most 30 tickers; a short reasoning_summary.",
    ),
    Outcome.REJECTED: Rule(meaning="the server refuses this request (HTTP 4xx)", is_billed=False),
    Outcome.OVERSIZED: Rule(meaning="a reply far longer than any answer; the rest was not read"),
    Outcome.TIMED_OUT: Rule(meaning="no complete answer in time, twice", repair=_AGAIN, is_outage=True),
    Outcome.UNREACHABLE: Rule(meaning="no connection, or one that broke", is_outage=True, is_billed=False),
    Outcome.RATE_LIMITED: Rule(meaning="HTTP 429 until patience ended", is_outage=True, is_billed=False),
    Outcome.SERVER_ERROR: Rule(meaning="HTTP 5xx until patience ended", is_outage=True, is_billed=False),
    Outcome.STOPPED: Rule(meaning="the run was stopped before there was an answer", is_billed=False),
}
