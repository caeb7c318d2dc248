"""What a person decides beside the runs: a sale, a verdict; over HTTP, on a real run of the sample."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from api.writing import writing
from tests.api.world import Serve, services_of


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one run of the bundled sample, and a resolved prediction."""
    db = tmp_path_factory.mktemp("decisions") / "runs.db"
    with TestClient(create_app(Settings(db=db, executor="threads"))) as opened:
        opened.post("/analyze")
        assert services_of(opened).runner.wait(60)
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute(
            """INSERT INTO predictions (id, comment_id, ticker, sentiment, option_type, analysis_run_id,
                      entry_date, status, strike_price, expiration_date, contract_symbol, entry_premium,
                      contracts, contracts_remaining, simulated_return_pct, is_correct, resolved_at,
                      created_at)
               SELECT 900001, c.id, 'ZZZ', 'bullish', 'call', 1, '2025-03-12', 'resolved', 25, '2025-03-28',
                      'ZZZ   250328C00025000', 2, 10, 0, 0.5, 1, '2025-03-14T15:00:00.000Z',
                      '2025-03-12T18:00:00.000Z'
               FROM comments c WHERE c.analyzed_at IS NOT NULL AND c.author IS NOT NULL
               ORDER BY c.id LIMIT 1"""
        )
        conn.execute(
            """INSERT INTO prediction_exits (prediction_id, exit_date, exited_at, exit_premium, exit_reason,
                      quantity_pct, contracts_exited, simulated_pnl, created_at)
               VALUES (900001, '2025-03-14', '2025-03-14T15:00:00.000Z', 3, 'time_stop', 1, 10, 1000,
                       '2025-03-14T15:00:00.000Z')"""
        )
        conn.execute(
            """INSERT INTO prediction_outcomes (prediction_id, day_offset, premium, recorded_at)
               VALUES (900001, 2, 3, '2025-03-14T15:00:00.000Z')"""
        )
        conn.execute(
            """UPDATE authors SET avg_sentiment_accuracy = 1 WHERE username = (
                 SELECT author FROM comments c JOIN predictions p ON p.comment_id = c.id
                 WHERE p.id = 900001)"""
        )
    return db


@pytest.fixture
def client(analyzed: Path, tmp_path: Path) -> Iterator[TestClient]:
    """A server on a copy of that database."""
    db = tmp_path / "copy.db"
    with closing(sqlite3.connect(analyzed)) as conn:
        conn.execute("VACUUM INTO ?", (str(db),))
    with TestClient(create_app(Settings(db=db, executor="threads")), raise_server_exceptions=False) as opened:
        yield opened


def open_position(client: TestClient, instrument: str = "stock") -> dict[str, Any]:
    held = client.get("/positions", params={"status": "open", "instrument_type": instrument})
    found: list[dict[str, Any]] = held.json()["items"]
    return found[0]


def close(client: TestClient, position_id: int, **body: Any) -> Any:
    return client.post(f"/positions/{position_id}/close", json={"reason": "had enough", **body})


# --- closing ---


def test_a_position_is_closed_at_its_stored_price(client: TestClient) -> None:
    held = open_position(client)

    answer = close(client, held["id"])

    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said["position"]["status"] == "closed"
    assert (said["exit"]["exit_reason"], said["exit"]["note"]) == ("manual", "had enough")
    assert said["exit"]["exit_price"] == held["current_price"]
    assert said["price_at"] == held["last_price_at"] < said["price_usable_until"]
    assert client.get(f"/positions/{held['id']}").json() == said["position"]


@pytest.mark.parametrize(("instrument", "unit"), [("stock", "shares"), ("option", "contracts")])
def test_a_part_of_a_position_is_closed(client: TestClient, instrument: str, unit: str) -> None:
    held = open_position(client, instrument)
    (before,) = [
        one for one in client.get("/portfolios").json()["items"] if one["id"] == held["portfolio_id"]
    ]

    said = close(client, held["id"], quantity_pct=0.5).json()

    sold = said["exit"][f"{unit}_exited"]
    multiplier = 100 if instrument == "option" else 1
    (after,) = [one for one in client.get("/portfolios").json()["items"] if one["id"] == held["portfolio_id"]]
    assert said["position"]["status"] == "open"
    assert sold == held[unit] // 2
    assert said["position"][f"{unit}_remaining"] == held[unit] - sold
    assert after["cash_available"] - before["cash_available"] == pytest.approx(
        sold * multiplier * held["current_price"]
    )
    assert after["current_value"] == pytest.approx(before["current_value"])


@pytest.mark.parametrize("quantity", [0, -0.5, 1.01, 1e300])
def test_a_part_that_is_none_is_refused(client: TestClient, quantity: float) -> None:
    answer = close(client, open_position(client)["id"], quantity_pct=quantity)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_quantity")


@pytest.mark.parametrize(
    "body",
    [
        {"quantity_pct": 0.5},
        {"reason": " "},
        {"reason": "x" * 501},
        {"reason": "x", "quantity_pct": "half"},
        {"reason": "x", "price": 1_000_000},
    ],
    ids=["no reason", "blank reason", "long reason", "no number", "own price"],
)
def test_a_body_that_does_not_fit_is_told(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.post(f"/positions/{open_position(client)['id']}/close", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "validation_error")


def test_what_is_unknown_or_closed_can_not_be_closed(client: TestClient) -> None:
    held = open_position(client)
    close(client, held["id"])

    again, unknown = close(client, held["id"]), close(client, 9999)

    assert (again.status_code, again.json()["code"]) == (409, "position_closed")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


def test_an_old_price_is_refused_until_a_run_brings_a_newer_one(client: TestClient) -> None:
    held = open_position(client)
    with closing(sqlite3.connect(services_of(client).runner.db)) as conn, conn:
        conn.execute("UPDATE positions SET last_price_at = '2025-03-10T13:30:00.000Z'")

    answer = close(client, held["id"])

    assert (answer.status_code, answer.json()["code"]) == (503, "no_price")
    assert int(answer.headers["retry-after"]) > 0
    assert open_position(client)["id"] == held["id"]


def test_a_busy_database_is_told_and_nothing_is_sold(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.closing.writing", partial(writing, busy_timeout_s=0.0))
    held = open_position(client)
    with closing(sqlite3.connect(services_of(client).runner.db, isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")

        answer = close(client, held["id"])

    assert (answer.status_code, answer.json()["code"]) == (503, "store_busy")
    assert int(answer.headers["retry-after"]) > 0
    assert close(client, held["id"]).status_code == 200


def test_phases_that_hold_nothing_have_nothing_to_decide(serve: Serve) -> None:
    client = serve("QUICK")

    assert close(client, 1).status_code == 404
    assert client.post("/predictions/1/override", json={"verdict": "correct"}).status_code == 404


# --- verdicts ---


def accuracy(client: TestClient) -> float | None:
    with closing(sqlite3.connect(services_of(client).runner.db)) as conn:
        ((value,),) = conn.execute(
            "SELECT a.avg_sentiment_accuracy FROM predictions p JOIN comments c ON c.id = p.comment_id"
            " JOIN authors a ON a.username = c.author WHERE p.id = 900001"
        ).fetchall()
    found: float | None = value
    return found


def test_a_prediction_shows_its_days_and_its_sales(client: TestClient) -> None:
    (listed,) = client.get("/predictions?ticker=zzz").json()["items"]

    assert listed == client.get("/predictions/900001").json()
    assert (listed["status"], listed["is_correct"], listed["simulated_return_pct"]) == ("resolved", True, 0.5)
    assert [each["premium"] for each in listed["outcomes"]] == [3]
    assert [each["simulated_pnl"] for each in listed["exits"]] == [1000]
    assert client.get("/predictions/1234567").status_code == 404


def test_predictions_are_filtered(client: TestClient) -> None:
    def ids(**filters: Any) -> list[int]:
        return [each["id"] for each in client.get("/predictions", params=filters).json()["items"]]

    assert 900001 in ids(status="resolved", sentiment="bullish", run_id=1)
    assert ids(status="tracking", ticker="ZZZ") == ids(sentiment="bearish", ticker="ZZZ") == []
    assert client.get("/predictions?status=expired").status_code == 422


def test_a_verdict_counts_at_once_and_can_be_taken_back(client: TestClient) -> None:
    said = {}
    for verdict in ("incorrect", "excluded", None):
        answer = client.post("/predictions/900001/override", json={"verdict": verdict})
        assert answer.status_code == 200, answer.text
        assert answer.json()["hitl_override"] == verdict
        assert (answer.json()["hitl_override_at"] is None) == (verdict is None)
        said[verdict] = accuracy(client)

    assert said == {"incorrect": 0.0, "excluded": None, None: 1.0}


@pytest.mark.parametrize("body", [{}, {"verdict": "maybe"}, {"verdict": "correct", "why": "x"}])
def test_a_verdict_that_is_none_is_refused(client: TestClient, body: dict[str, Any]) -> None:
    assert client.post("/predictions/900001/override", json=body).status_code == 422


def test_a_verdict_on_nothing_is_404(client: TestClient) -> None:
    assert client.post("/predictions/123456789/override", json={"verdict": "correct"}).status_code == 404
