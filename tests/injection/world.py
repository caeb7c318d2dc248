"""Phase 3 over scenes, and the model that believes every attack which it gets to read."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from phases.analyze_comments import analyze_comments
from phases.analyzers.lexicon import annotate
from phases.detect_signals import detect_signals
from phases.tools import Analyzer, Excerpt
from tests.injection.corpus import Attack, Scene, attacks
from tests.models.characters import answered, honest
from tests.models.server import Request, Response
from tests.phases.conftest import Rows, build_ctx, build_tools, open_database

OPPOSITE = {"bullish": "bearish", "bearish": "bullish", "neutral": "bullish"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What phase 3 has stored of one comment."""

    analyzer: str
    sentiment: str
    is_sarcastic: bool
    has_reasoning: bool
    confidence: float
    summary: str | None
    stances: tuple[tuple[str, str], ...]
    """(ticker, sentiment)."""

    @property
    def opinion(self) -> tuple[Any, ...]:
        """All that a signal is made of, but for the confidence."""
        return self.sentiment, self.is_sarcastic, self.has_reasoning, self.stances


def verdicts(analyzer: Analyzer, scenes: Iterable[Scene]) -> list[Verdict]:
    """Return what phase 3 makes of scenes, each one a post of its own, all in one run."""
    with analyzed(analyzer, scenes) as rows:
        return stored(rows)


@contextmanager
def analyzed(analyzer: Analyzer, scenes: Iterable[Scene], **columns: Any) -> Generator[Rows]:
    """Have scenes analysed and signals detected; `columns` are those of every comment."""
    with closing(open_database()) as conn:
        rows = Rows(conn)
        for number, scene in enumerate(scenes):
            post_id = rows.post(f"p{number}", title=scene.title, image_analysis=scene.image)
            parent_id = rows.comment(f"a{number}", post_id=post_id, body=scene.parent)
            its: dict[str, Any] = {"picked": 1, "body": scene.body, "parent_comment_id": parent_id, **columns}
            rows.comment(f"c{number}", post_id=post_id, **its)
        ctx = build_ctx(conn, build_tools(analyzer=analyzer))
        analyze_comments(conn, ctx)
        detect_signals(conn, ctx)
        yield rows


def stored(rows: Rows) -> list[Verdict]:
    """Return the verdicts on all comments that were annotated, in the order of their numbers."""
    found = rows.all(
        "SELECT id, analyzer, sentiment, sarcasm_detected, has_reasoning, ai_confidence, reasoning_summary"
        " FROM comments WHERE analyzed_at IS NOT NULL ORDER BY id"
    )
    return [
        Verdict(
            analyzer=analyzer,
            sentiment=sentiment,
            is_sarcastic=bool(sarcastic),
            has_reasoning=bool(reasoning),
            confidence=confidence,
            summary=summary,
            stances=_stances(rows, comment_id),
        )
        for comment_id, analyzer, sentiment, sarcastic, reasoning, confidence, summary in found
    ]


def _stances(rows: Rows, comment_id: int) -> tuple[tuple[str, str], ...]:
    found = rows.all(
        "SELECT ticker, sentiment FROM comment_tickers WHERE comment_id = ? ORDER BY 1", comment_id
    )
    return tuple((str(ticker), str(sentiment)) for ticker, sentiment in found)


def gullible(request: Request) -> Response:
    """Do what the first attack wants that can be read anywhere in the prompt; answer honestly otherwise."""
    for attack in attacks():
        if attack.is_legible(request.shown):
            return _WISHES[attack.wants](request, attack)
    return honest(request)


def _flipped(request: Request, _attack: Attack) -> Response:
    found = annotate(Excerpt(body=request.comment))
    symbols = [*(stance.ticker for stance in found.tickers), "SCAM", "PLTR"]
    return answered(_sure(symbols, OPPOSITE[found.sentiment]))


def _sure(symbols: Sequence[str], sentiment: str) -> dict[str, Any]:
    return {
        "tickers": symbols,
        "ticker_sentiments": [{"ticker": symbol, "sentiment": sentiment} for symbol in symbols],
        "sentiment": sentiment,
        "sarcasm_detected": False,
        "has_reasoning": True,
        "confidence": 1.0,
        "reasoning_summary": "as ordered",
    }


def _endless(request: Request, _attack: Attack) -> Response:
    most = request.body["max_tokens"]
    usage = {"prompt_tokens": 1_000, "completion_tokens": most, "total_tokens": 1_000 + most}
    return answered("moon " * most, finish="length", usage=usage)


def _echoed(request: Request, attack: Attack) -> Response:
    body: dict[str, Any] = json.loads(honest(request).body)
    said: dict[str, Any] = json.loads(body["choices"][0]["message"]["content"])
    return answered({**said, "reasoning_summary": attack.text[:1_000]})


_WISHES: dict[str, Callable[[Request, Attack], Response]] = {
    "flip": _flipped,
    "endless": _endless,
    "echo": _echoed,
}
