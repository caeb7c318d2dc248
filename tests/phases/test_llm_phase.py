"""Phase 3 with a model: what is stored, what is paid for, who answers instead."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from phases.analyze_comments import analyze_comments
from phases.analyzers.lexicon import NAME
from phases.analyzers.llm.pricing import Prices
from phases.retention import empty_old
from phases.tools import AnalyzerUnavailable
from statemachine.contract import RunStopping
from tests.models.asking import PRICES, analyzer
from tests.models.characters import BROKEN, honest
from tests.models.server import ModelServer, Request, Response, model_server

TEXTS = ("GME calls", "AMC puts", "TSLA to the moon", "selling NVDA", "nothing", "PLTR calls", "SPY puts")
Analyze = Callable[..., Any]


@pytest.fixture
def post_id(rows: Any) -> int:
    made: int = rows.post("p1", title="What are your moves?")
    for number, text in enumerate(TEXTS):
        rows.comment(f"c{number}", post_id=made, picked=1, body=text)
    return made


@pytest.fixture
def analyze(conn: sqlite3.Connection, make_ctx: Any, tools: Any, post_id: int) -> Analyze:
    """Run the phase with a server's model and return its context; `ctx_` fields go to the context."""

    def ran(server: ModelServer, *, run_id: int = 1, ctx: dict[str, Any] | None = None, **more: Any) -> Any:
        context = make_ctx(tools(analyzer=analyzer(server, **more)), run_id=run_id, **(ctx or {}))
        analyze_comments(conn, context)
        conn.commit()
        return context

    return ran


def test_a_run_says_what_it_asked_what_it_cost_and_who_answered(analyze: Analyze, rows: Any) -> None:
    with model_server(honest) as server:
        ctx = analyze(server, prices=PRICES)

    assert ctx.results["analyzers"] == {"llm:m-1/1": 7}
    assert ctx.results["model"] == {
        "calls": 7,
        "answers_reused": 0,
        "input_tokens": 7_000,
        "output_tokens": 700,
        "cost_usd": pytest.approx(7 * (1_000 * 0.15e-6 + 100 * 0.6e-6)),
        "outcomes": {"answered": 7},
    }
    assert ctx.warnings == []
    assert ctx.steps[-1] == (7, 7, "comment")


def test_each_annotation_leads_to_the_reply_that_it_was_read_from(analyze: Analyze, rows: Any) -> None:
    with model_server(honest) as server:
        analyze(server, prices=PRICES)

    stored = rows.all(
        "SELECT c.analyzer, m.run_id, m.attempt, m.model, m.served_model, m.prompt_version, m.outcome,"
        " m.is_answer, m.input_tokens, m.output_tokens, m.cost_nano_usd"
        " FROM comments c JOIN model_calls m ON m.id = c.model_call_id"
    )
    one = ("llm:m-1/1", 1, 1, "m-1", "test-model-2025-03-12", "1", "answered", 1, 1_000, 100, 210_000)
    assert stored == [one] * 7
    (replies,) = rows.all("SELECT count(DISTINCT content_hash), count(DISTINCT prompt_hash) FROM model_calls")
    assert replies == (7, 7)
    assert all('"choices"' in reply for (reply,) in rows.all("SELECT reply FROM model_calls"))


def test_without_a_model_there_are_no_calls_to_tell_of(
    conn: sqlite3.Connection, make_ctx: Any, tools: Any, post_id: int
) -> None:
    ctx = make_ctx(tools())
    analyze_comments(conn, ctx)

    assert "model" not in ctx.results


def test_a_comment_that_comes_again_costs_nothing(analyze: Analyze, rows: Any, post_id: int) -> None:
    with model_server(honest) as server:
        analyze(server, prices=PRICES)
        for number, text in enumerate(TEXTS[:3]):
            rows.comment(f"again{number}", post_id=post_id, run_id=2, picked=1, body=text)
        ctx = analyze(server, run_id=2, prices=PRICES)

    assert len(server.requests) == 7
    assert ctx.results["analyzers"] == {"llm:m-1/1": 3}
    assert ctx.results["model"] == {
        "calls": 0,
        "answers_reused": 3,
        "input_tokens": None,
        "output_tokens": None,
        "cost_usd": None,
        "outcomes": {},
    }


# --- who answers instead ---


def shy(request: Request) -> Response:
    return BROKEN["refused"] if "AMC" in request.comment else honest(request)


def test_the_embedded_analyser_answers_what_the_model_does_not_and_the_row_says_so(
    analyze: Analyze, rows: Any
) -> None:
    with model_server(shy) as server:
        ctx = analyze(server)

    assert ctx.results["analyzers"] == {NAME: 1, "llm:m-1/1": 6}
    assert rows.all("SELECT body, model_call_id FROM comments WHERE analyzer = ?", NAME) == [
        ("AMC puts", None)
    ]
    assert ctx.results["model"]["outcomes"] == {"answered": 6, "refused": 1}
    assert [warning["type"] for warning in ctx.warnings] == ["model_answers_missing"]
    currents = [current for current, _, _ in ctx.steps]
    assert currents == sorted(currents)
    assert currents[-1] == 7


def test_past_the_cap_the_embedded_analyser_answers_and_a_warning_says_how_many(analyze: Analyze) -> None:
    with model_server(honest) as server:
        ctx = analyze(server, prices=PRICES, max_cost_nano_usd=8_000_000)

    asked = len(server.requests)
    assert 0 < asked < 7
    assert ctx.results["analyzers"] == {NAME: 7 - asked, "llm:m-1/1": asked}
    assert [(warning["type"], warning["context"]["unasked"]) for warning in ctx.warnings] == [
        ("model_budget_reached", 7 - asked)
    ]


def test_the_cap_is_that_of_the_run_however_often_it_is_resumed(
    analyze: Analyze, conn: sqlite3.Connection
) -> None:
    with model_server(honest) as server:
        with pytest.raises(RunStopping):
            analyze(server, prices=PRICES, max_cost_nano_usd=20_000_000, ctx={"stop_at_checkpoint": 1})
        conn.execute("UPDATE model_calls SET cost_nano_usd = 20000000 WHERE id = 1")
        conn.commit()
        ctx = analyze(server, prices=PRICES, max_cost_nano_usd=20_000_000)

    assert len(server.requests) == 5
    assert ctx.results["analyzers"] == {NAME: 2, "llm:m-1/1": 5}


def test_a_model_that_is_broken_fails_the_run_before_anybody_answers_in_its_stead(
    analyze: Analyze, rows: Any
) -> None:
    def mostly_down(request: Request) -> Response:
        return Response(status=503) if request.comment in TEXTS[2:] else honest(request)

    with (
        model_server(mostly_down) as server,
        pytest.raises(AnalyzerUnavailable, match=r"answered 2 of 7 comments \(5 server_error\)"),
    ):
        analyze(server)

    assert rows.all("SELECT analyzer, count(*) FROM comments GROUP BY 1 ORDER BY 1") == [
        (None, 5),
        ("llm:m-1/1", 2),
    ]


def test_a_run_that_fails_tells_what_it_has_cost(analyze: Analyze, make_ctx: Any, tools: Any) -> None:
    def soon_out_of_credit(request: Request) -> Response:
        return honest(request) if request.number == 1 else Response(status=402)

    with model_server(soon_out_of_credit) as server:
        ctx = make_ctx(tools(analyzer=analyzer(server, prices=PRICES)))
        with pytest.raises(AnalyzerUnavailable):
            analyze_comments(ctx.conn, ctx)

    assert ctx.results["model"]["outcomes"] == {"answered": 1, "rejected": 4}
    assert ctx.results["model"]["cost_usd"] == pytest.approx(0.00021)


def test_a_run_that_its_model_failed_is_resumed_with_what_is_left(analyze: Analyze, rows: Any) -> None:
    def out_of_credit(request: Request) -> Response:
        return honest(request) if request.number <= 5 else Response(status=402)

    with model_server(out_of_credit) as server:
        with pytest.raises(AnalyzerUnavailable, match="has no credit left"):
            analyze(server)
        assert rows.all("SELECT DISTINCT analyzer FROM comments ORDER BY 1") == [(None,), ("llm:m-1/1",)]
        asked = len(server.requests)
        server.answering = honest
        ctx = analyze(server)

    assert len(server.requests) - asked == 2
    assert ctx.results["analyzers"] == {"llm:m-1/1": 7}


# --- stops, crashes, ends ---


def test_what_was_paid_for_before_a_stop_is_not_paid_again(analyze: Analyze, rows: Any) -> None:
    with model_server(honest) as server:
        with pytest.raises(RunStopping):
            analyze(server, ctx={"stop_at_checkpoint": 1})
        kept = rows.all("SELECT count(*) FROM comments WHERE analyzed_at IS NOT NULL")
        analyze(server)

    assert kept == [(5,)]
    assert len(server.requests) == 7


def test_answers_that_came_while_the_run_was_being_stopped_are_kept_too(
    analyze: Analyze, rows: Any, make_ctx: Any, tools: Any
) -> None:
    stopped = threading.Event()

    def stopping(request: Request) -> Response:
        stopped.set()
        return honest(request)

    def check() -> None:
        if stopped.is_set():
            raise RunStopping

    with model_server(stopping) as server:
        ctx = make_ctx(tools(analyzer=analyzer(server)))
        ctx.raise_if_stopping = check
        with pytest.raises(RunStopping):
            analyze_comments(ctx.conn, ctx)
        ctx.conn.rollback()
        assert rows.all("SELECT count(*) FROM comments WHERE analyzed_at IS NOT NULL") == [(0,)]
        assert rows.all("SELECT count(*) FROM model_calls WHERE is_answer = 1") == [(5,)]

        resumed = analyze(server)

    assert len(server.requests) == 7
    assert resumed.results["model"]["answers_reused"] == 0


def test_a_pruned_comment_leaves_no_words_in_its_reply(
    analyze: Analyze, conn: sqlite3.Connection, rows: Any
) -> None:
    with model_server(honest) as server:
        analyze(server)

        assert empty_old(conn, datetime(2025, 3, 12, 14, tzinfo=UTC), 100) == 0
        assert rows.all("SELECT count(*) FROM model_calls WHERE reply = ''") == [(0,)]
        assert empty_old(conn, datetime(2025, 3, 12, 16, tzinfo=UTC), 100) == len(TEXTS)
        assert rows.all("SELECT count(*) FROM model_calls WHERE reply <> ''") == [(0,)]

        again = rows.comment("again", post_id=1, run_id=2, picked=1, body=TEXTS[0])
        analyze(server, run_id=2)

    assert len(server.requests) == len(TEXTS) + 1
    assert rows.all("SELECT analyzer FROM comments WHERE id = ?", again) == [("llm:m-1/1",)]


def test_a_run_that_is_over_its_limit_is_left_to_the_driver_with_nothing_made_up(
    analyze: Analyze, rows: Any
) -> None:
    with model_server(honest) as server:
        ctx = analyze(server, ctx={"deadline": 0.0})

    assert server.requests == []
    assert rows.all("SELECT count(*) FROM comments WHERE analyzed_at IS NOT NULL") == [(0,)]
    assert "analyzers" not in ctx.results


def test_answers_that_cost_more_a_month_than_was_meant_are_a_warning(analyze: Analyze, rows: Any) -> None:
    dear = Prices(input_usd_per_mtok=Decimal(5_000), output_usd_per_mtok=Decimal(50_000))
    with model_server(honest) as server:
        ctx = analyze(server, prices=dear)

    (warning,) = [each for each in ctx.warnings if each["type"] == "model_cost_high"]
    assert "has cost $70.00 in 30 days, above $60" in warning["message"]
    assert warning["context"] == {"cost_usd": 70.0}


def test_what_was_spent_two_months_ago_is_not_this_month_s(
    analyze: Analyze, conn: sqlite3.Connection, rows: Any, post_id: int
) -> None:
    with model_server(honest) as server:
        analyze(server, prices=PRICES)
        conn.execute("UPDATE model_calls SET cost_nano_usd = 1e11, created_at = '2025-01-12T18:00:00.000Z'")
        rows.comment("new", post_id=post_id, run_id=2, picked=1, body="new words")
        ctx = analyze(server, run_id=2, prices=PRICES)

    assert ctx.results["model"]["calls"] == 1
    assert ctx.warnings == []
