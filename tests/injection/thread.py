"""A thread of comments through phases 3 and 4, in front of any model, and all that is stored of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from phases.analyze_comments import MAX_PARENTS, analyze_comments
from phases.analyzers.llm.analyzer import LlmAnalyzer, ModelSettings
from phases.analyzers.llm.endpoint import Address, Endpoint, Received
from phases.detect_signals import detect_signals
from phases.tools import Analyzer
from tests.models.asking import fence
from tests.models.server import Request, Response
from tests.phases.conftest import Rows, build_ctx, build_tools, open_database

ADDRESS: Final = Address(base_url="http://model.test/v1", host="model.test", model="m-1")


_CONFIGURE: Final = """
INSERT OR REPLACE INTO system_config (key, value, updated_at) VALUES (?, '1', '2025-03-12T18:00:00.000Z')
"""


@dataclass(frozen=True, slots=True)
class Said:
    """One comment of a thread."""

    body: str
    parent: int | None
    """Its parent's place in the thread, always an earlier one."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the phases left behind."""

    annotations: tuple[Any, ...]
    """By place in the thread."""
    tickers: tuple[tuple[tuple[str, str], ...], ...]
    """(ticker, sentiment), by place."""
    calls: tuple[Any, ...]
    """The kept answer that each one was read from: its hash and the reply."""
    signals: Mapping[str, Any]
    """By ticker."""


def run_thread(thread: Sequence[Said], analyzer: Analyzer) -> Stored:
    """Annotate a thread and detect signals with the lowest thresholds that there are."""
    with closing(open_database()) as conn:
        rows = Rows(conn)
        post_id = rows.post("p1", title="Daily discussion")
        ids: list[int] = []
        for place, said in enumerate(thread):
            parent_id = None if said.parent is None else ids[said.parent]
            columns: dict[str, Any] = {"body": said.body, "parent_comment_id": parent_id, "picked": 1}
            ids.append(rows.comment(f"c{place}", post_id=post_id, **columns))
        for key in ("quality_min_users", "consensus_min_comments", "consensus_min_users"):
            conn.execute(
                "INSERT OR REPLACE INTO system_config VALUES (?, '1', '2025-03-12T00:00:00Z')", (key,)
            )
        ctx = build_ctx(conn, build_tools(analyzer=analyzer))
        analyze_comments(conn, ctx)
        detect_signals(conn, ctx)
        return _stored(rows, ids)


def _stored(rows: Rows, ids: Sequence[int]) -> Stored:
    def each(sql: str) -> tuple[Any, ...]:
        return tuple(tuple(rows.all(sql, comment_id)) for comment_id in ids)

    signals = rows.all(
        "SELECT ticker, signal_type, prediction, confidence, sentiment_score, comment_count, has_reasoning,"
        " distinct_users, (SELECT group_concat(comment_id) FROM signal_comments WHERE signal_id = s.id)"
        " FROM signals s ORDER BY 1, 2"
    )
    return Stored(
        annotations=each(
            "SELECT sentiment, sarcasm_detected, has_reasoning, reasoning_summary, ai_confidence, analyzer,"
            " author_trust_score, sketch FROM comments WHERE id = ?"
        ),
        tickers=each("SELECT ticker, sentiment FROM comment_tickers WHERE comment_id = ? ORDER BY 1"),
        calls=each(
            "SELECT m.content_hash, m.reply, m.outcome FROM comments c"
            " JOIN model_calls m ON m.id = c.model_call_id WHERE c.id = ?"
        ),
        signals={ticker: [row for row in signals if row[0] == ticker] for ticker, *_ in signals},
    )


def below(thread: Sequence[Said], place: int) -> set[int]:
    """Return the places whose comments are shown the text of `place`: its replies, five levels deep."""
    found, level = set[int](), {place}
    for _ in range(MAX_PARENTS):
        level = {index for index, said in enumerate(thread) if said.parent in level}
        found |= level
    return found


class _InProcess:
    """Hands requests to a character without a network."""

    def __init__(self, character: Callable[[Request], Response]) -> None:
        self._character = character

    def send(self, messages: Sequence[Mapping[str, str]], *, max_tokens: int, timeout_s: float) -> Received:
        body = {"messages": list(messages), "max_tokens": max_tokens, "timeout": timeout_s}
        said = self._character(Request(path="/v1/chat/completions", headers={}, body=body, number=1))
        return Received(status=said.status, headers={}, body=said.body.decode())


def in_front_of(character: Callable[[Request], Response]) -> LlmAnalyzer:
    """Return the model analyser whose model is a character in this process."""

    @contextmanager
    def connect() -> Generator[Endpoint]:
        yield _InProcess(character)

    return LlmAnalyzer(ModelSettings(address=ADDRESS, fence=fence), connect)
