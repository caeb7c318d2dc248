"""`phaseline annotate`: an analyser as a filter, for tests of its judgement and for other programs."""

from __future__ import annotations

import json
import math
import secrets
import sys
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import click

from api.cli.exits import BadInput, Mistake
from api.cli.options import settings, settings_flags
from api.cli.text import as_json, clean, put
from api.pseudonym import KEY_BYTES, keyed_by
from statemachine.clock import SystemClock
from statemachine.workers import Workers

if TYPE_CHECKING:
    from phases.tools import Analyzer, Annotation, Desk, Excerpt, Mapper


@click.command()
@settings_flags("analyzer", "executor", "llm_base_url", "llm_model", "llm_timeout_s")
def annotate() -> None:
    """Annotate texts from stdin; no database.

    Reads NDJSON {"text": ...} and writes one annotation a line, in order.
    """
    from api.toolbox import build_analyzer  # noqa: PLC0415  # it imports the pipeline
    from phases.tools import AnalyzerUnavailable  # noqa: PLC0415  # the same

    of = settings()
    workers = Workers(of.executor)
    try:
        analyzer = build_analyzer(of.analyzer, of, keyed=keyed_by(secrets.token_bytes(KEY_BYTES)))
        for annotation in _annotations(analyzer, _desk(workers.map)):
            put(as_json(_said(annotation)))
    except AnalyzerUnavailable as error:
        raise Mistake(str(error)) from error
    finally:
        workers.close()


def _desk(run_map: Mapper) -> Desk:
    from phases.model_calls import ForgottenCalls  # noqa: PLC0415  # it imports the pipeline
    from phases.tools import Desk  # noqa: PLC0415  # the same

    return Desk(
        map=run_map,
        calls=ForgottenCalls(),
        clock=SystemClock(),
        remaining_s=lambda: math.inf,
        raise_if_stopping=lambda: None,
        warn=_warn,
    )


def _warn(_type: str, message: str, /, **_context: Any) -> None:
    click.echo(f"phaseline: {clean(message)}", err=True)


def _annotations(analyzer: Analyzer, desk: Desk) -> Iterator[Annotation | None]:
    """Yield one annotation a text, in order; the analyser's fallback answers where it doesn't."""
    waiting: deque[Excerpt] = deque()

    def noted() -> Iterator[Excerpt]:
        for excerpt in _excerpts():
            waiting.append(excerpt)
            yield excerpt

    for annotation in analyzer.annotate_all(noted(), desk):
        excerpt = waiting.popleft()
        if annotation is None and analyzer.fallback:
            yield from analyzer.fallback.annotate_all([excerpt], desk)
        else:
            yield annotation


def _excerpts() -> Iterator[Excerpt]:
    from phases.tools import Excerpt  # noqa: PLC0415  # it imports the pipeline

    for number, line in enumerate(sys.stdin.buffer, start=1):
        if line.strip():
            yield Excerpt(body=_text(line, number))


def _text(line: bytes, number: int) -> str:
    try:
        said: Any = json.loads(line)
    except ValueError as error:
        raise BadInput(f"line {number} is not JSON: {error}") from error
    text = cast("dict[str, Any]", said).get("text") if isinstance(said, dict) else None
    if not isinstance(text, str):
        raise BadInput(f'line {number} is not an object with a text, such as {{"text": "GME calls"}}')
    return text


def _said(annotation: Annotation | None) -> dict[str, Any]:
    """Return an annotation as JSON; a text that could not be annotated has the sentiment null."""
    if annotation is None:
        return {"tickers": [], "sentiment": None, "confidence": None, "analyzer": None}
    return {
        "tickers": [each.ticker for each in annotation.tickers],
        "ticker_sentiments": [
            {"ticker": each.ticker, "sentiment": each.sentiment} for each in annotation.tickers
        ],
        "sentiment": annotation.sentiment,
        "sarcasm_detected": annotation.sarcasm_detected,
        "has_reasoning": annotation.has_reasoning,
        "confidence": annotation.confidence,
        "reasoning_summary": annotation.reasoning_summary,
        "analyzer": annotation.analyzer,
    }
