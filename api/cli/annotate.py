"""`phaseline annotate`: an analyser as a filter, for tests of its judgement and for other programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import click

from api.cli.exits import BadInput, Mistake
from api.cli.options import settings, settings_flags
from api.cli.text import as_json, put
from statemachine.workers import Workers

if TYPE_CHECKING:
    from phases.tools import Annotation, Excerpt


@click.command()
@settings_flags("analyzer", "executor")
def annotate() -> None:
    """Annotate texts from stdin; no database.

    Reads NDJSON {"text": ...} and writes one annotation a line, in order.
    """
    from api.toolbox import build_analyzer  # noqa: PLC0415  # it imports the pipeline
    from phases.tools import AnalyzerUnavailable  # noqa: PLC0415  # the same

    of = settings()
    workers = Workers(of.executor)
    try:
        for annotation in build_analyzer(of.analyzer).annotate_all(_excerpts(), workers.map):
            put(as_json(_said(annotation)))
    except AnalyzerUnavailable as error:
        raise Mistake(str(error)) from error
    finally:
        workers.close()


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
