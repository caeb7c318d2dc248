"""Models of different character. None of them is kind: the analyser must be right with each.

An *honest* one answers as the embedded analyser would. An *obedient* one does whatever the comment says. A
*lying* one answers in perfect form, and not a word of it is true. A *broken* one answers in every form but
the right one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from phases.analyzers.lexicon import annotate
from phases.tools import Excerpt
from tests.models.server import Answering, Request, Response

SERVED: Final = "test-model-2025-03-12"
USAGE: Final = {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100}

NEUTRAL: Final[Mapping[str, Any]] = {
    "tickers": [],
    "ticker_sentiments": [],
    "sentiment": "neutral",
    "sarcasm_detected": False,
    "has_reasoning": False,
    "confidence": 0.5,
    "reasoning_summary": None,
}


def said(*symbols: str, sentiment: str = "bullish", **fields: Any) -> dict[str, Any]:
    """Return a well-formed answer about symbols."""
    stances = [{"ticker": symbol, "sentiment": sentiment} for symbol in symbols]
    about = {"tickers": list(symbols), "ticker_sentiments": stances, "sentiment": sentiment}
    return {**NEUTRAL, **about, **fields}


def _sure(*symbols: str, because: str) -> dict[str, Any]:
    return said(*symbols, confidence=1.0, has_reasoning=True, reasoning_summary=because)


def completion(content: Any, *, usage: Any = USAGE, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """Return a chat completion; a content that is no text goes as JSON."""
    text = content if isinstance(content, str) or content is None else json.dumps(content)
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_741_802_400,
        "model": SERVED,
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text, "refusal": None, **message},
            }
        ],
        "usage": usage,
    }


def sent(body: Any, status: int = 200, **more: Any) -> Response:
    """Return a response whose body is JSON."""
    return Response(status=status, body=json.dumps(body).encode(), **more)


def answered(content: Any, **more: Any) -> Response:
    """Return a response with a completion of that content."""
    return sent(completion(content, **more))


def always(response: Response) -> Answering:
    """Return a server that knows one answer."""
    return lambda _request: response


def honest(request: Request) -> Response:
    """Answer as the embedded analyser does."""
    found = annotate(Excerpt(body=request.comment))
    stances = [{"ticker": each.ticker, "sentiment": each.sentiment} for each in found.tickers]
    return answered(
        {
            "tickers": [each.ticker for each in found.tickers],
            "ticker_sentiments": stances,
            "sentiment": found.sentiment,
            "sarcasm_detected": found.sarcasm_detected,
            "has_reasoning": found.has_reasoning,
            "confidence": found.confidence,
            "reasoning_summary": found.reasoning_summary,
        }
    )


_ORDERED_SYMBOL: Final = re.compile(r"\b[A-Z]{2,5}\b")


def obedient(request: Request) -> Response:
    """Do what the comment says: repeat an answer that it dictates, else praise all that is in capitals.

    Whatever else it reads it takes for an order too: a parent's, the title's, a fence that is said to end.
    """
    for text in (request.comment, request.shown):
        start, end = text.find("{"), text.rfind("}")
        if 0 <= start < end:
            return answered(text[start : end + 1])
    symbols = dict.fromkeys(_ORDERED_SYMBOL.findall(request.shown))
    return answered(_sure(*list(symbols)[:30], because=request.shown))


def lying(request: Request) -> Response:
    """Answer in perfect form and without a true word, about every comment the same and at no cost."""
    lies = _sure("SCAM", "GME", "TSLA", because="insiders say so")
    return answered(lies, usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})


BROKEN: Final[Mapping[str, Response]] = {
    "not_a_completion": Response(body=b"<html>It works!</html>"),
    "error_body": sent({"error": {"message": "no capacity", "code": 503}}),
    "no_choices": sent({**completion(NEUTRAL), "choices": []}),
    "refused": answered(None, refusal="I can't help with that."),
    "filtered": answered("", finish="content_filter"),
    "truncated": answered('{"tickers": ["GME", "AM', finish="length"),
    "tool_call": answered(None, finish="tool_calls", tool_calls=[{"id": "1", "type": "function"}]),
    "empty": answered(""),
    "prose": answered(f"Here you are: {json.dumps(NEUTRAL)} Anything else?"),
    "not_json": answered("This comment is bullish on GME."),
    "not_a_number": answered(json.dumps(NEUTRAL).replace("0.5", "NaN")),
    "wrong_shape": answered({"sentiment": "bullish"}),
    "wrong_enum": answered(said("GME", sentiment="very bullish")),
    "out_of_range": answered({**NEUTRAL, "confidence": 1.5}),
    "rejected": sent({"error": {"message": "too long", "code": "context_length_exceeded"}}, 400),
    "oversized": Response(manner="endless"),
    "timed_out": Response(manner="drip"),
    "unreachable": Response(manner="cut"),
    "rate_limited": sent({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, 429),
    "server_error": Response(status=503, body=b"upstream connect error"),
}
"""By the outcome that each one must have."""
