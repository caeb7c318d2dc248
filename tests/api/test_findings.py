"""What the API tells of the pipeline's tables, after one real run over the bundled sample."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from tests.api.world import Serve, services_of

BASE = {
    "id", "ticker", "signal_type", "signal_date", "prediction", "confidence", "comment_count",
    "sentiment_score", "has_reasoning", "is_emergence", "prior_7d_mentions", "distinct_users",
}  # fmt: skip
COMMENT = {
    "id", "body", "author", "created_utc", "score", "depth", "parent_comment_id", "sentiment",
    "sarcasm_detected", "has_reasoning", "ai_confidence", "author_trust_score", "reasoning_summary",
    "ticker_sentiments",
}  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(db=tmp_path_factory.mktemp("findings") / "runs.db", executor="threads")
    with TestClient(create_app(settings), raise_server_exceptions=False) as opened:
        opened.post("/analyze")
        assert services_of(opened).runner.wait(60)
        assert opened.get("/runs/1/status").json()["status"] == "completed"
        _close_one_position_and_look_at_an_option(settings.db)
        yield opened


def _close_one_position_and_look_at_an_option(db: Path) -> None:
    """Write what a later run would: a sale, a look at an option, a price."""
    with closing(sqlite3.connect(db)) as conn, conn:
        bought = conn.execute("SELECT id, shares, entry_price FROM positions ORDER BY id")
        position, shares, entry = bought.fetchone()
        conn.execute(
            """UPDATE positions SET status = 'closed', shares_remaining = 0, exit_date = '2025-03-14',
                      exit_reason = 'take_profit', hold_days = 2, realized_return_pct = 0.15 WHERE id = ?""",
            (position,),
        )
        conn.execute(
            """INSERT INTO position_exits (position_id, exit_date, exited_at, exit_price, exit_reason,
                      quantity_pct, shares_exited, realized_pnl, created_at)
               VALUES (?, '2025-03-14', '2025-03-14T15:00:00.000Z', ?, 'take_profit', 1, ?, 100,
                       '2025-03-14T15:00:00.000Z')""",
            (position, entry * 1.15, shares),
        )
        conn.execute(
            """UPDATE positions
               SET last_price = 1.5 * entry_price, last_checked_at = '2025-03-14T18:00:00.000Z'
               WHERE instrument_type = 'option' AND ticker = 'GME'"""
        )
        conn.executemany(
            "INSERT OR REPLACE INTO price_history (ticker, date, open, high, low, close, fetched_at)"
            " VALUES ('ZZZ', ?, 1, 2, 1, 1.5, '2025-03-14T18:00:00.000Z')",
            [(f"2025-03-{day:02}",) for day in range(1, 31)],
        )


def items(client: TestClient, path: str, **params: Any) -> list[dict[str, Any]]:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_signals_have_their_figures_and_nothing_of_a_portfolio(client: TestClient) -> None:
    signals = items(client, "/signals")

    assert signals
    assert all(set(signal) == BASE for signal in signals)
    assert all(0 <= signal["confidence"] <= 1 for signal in signals)
    one = client.get(f"/signals/{signals[0]['id']}").json()
    assert {**signals[0], "confidence_parts": one["confidence_parts"]} == one


def test_the_parts_of_a_confidence_sum_up_to_it(client: TestClient) -> None:
    for signal in items(client, "/signals"):
        parts = client.get(f"/signals/{signal['id']}").json()["confidence_parts"]
        assert sum(parts.values()) == pytest.approx(signal["confidence"], abs=1e-9)


def test_parts_that_do_not_make_the_stored_confidence_are_not_told(client: TestClient) -> None:
    signal = items(client, "/signals")[0]
    change = "UPDATE signals SET confidence = ? WHERE id = ?"
    with closing(sqlite3.connect(services_of(client).runner.db, isolation_level=None)) as conn:
        conn.execute(change, (0.01, signal["id"]))

        assert client.get(f"/signals/{signal['id']}").json()["confidence_parts"] is None
        conn.execute(change, (signal["confidence"], signal["id"]))


def test_signals_are_filtered_and_paged(client: TestClient) -> None:
    everything = items(client, "/signals")
    first = client.get("/signals?limit=2").json()
    rest = items(client, "/signals", cursor=first["next_cursor"])

    assert first["items"] + rest == everything
    assert all(one["ticker"] == "GME" for one in items(client, "/signals", ticker="gme"))
    assert all(one["signal_type"] == "quality" for one in items(client, "/signals", signal_type="quality"))
    assert items(client, "/signals", date_from="2025-03-13") == []
    assert items(client, "/signals", date_to="2025-03-12") == everything


def test_with_a_portfolio_each_signal_says_what_became_of_it_there(client: TestClient) -> None:
    signals = items(client, "/signals", portfolio_id=1)

    assert all(
        set(signal) == BASE | {"position_opened", "skip_reason", "position_summary"} for signal in signals
    )
    assert all(
        (signal["skip_reason"] is None) == (signal["position_summary"] is not None) for signal in signals
    )
    opened = [signal for signal in signals if signal["position_opened"]]
    assert opened
    assert client.get(f"/positions/{opened[0]['position_summary']['position_id']}").status_code == 200
    bearish = [signal for signal in signals if signal["prediction"] == "bearish"]
    assert {signal["skip_reason"] for signal in bearish} == {"bearish_long_only"}
    assert client.get("/signals?portfolio_id=99").status_code == 404


def test_a_signal_shows_its_evidence(client: TestClient) -> None:
    signal = items(client, "/signals", ticker="GME")[0]

    comments = items(client, f"/signals/{signal['id']}/comments")

    assert len(comments) == signal["comment_count"]
    assert all(set(comment) >= COMMENT for comment in comments)
    for comment in comments:
        assert {"ticker": "GME", "sentiment": signal["prediction"]} in comment["ticker_sentiments"]
    assert client.get("/signals/999/comments").status_code == 404


def test_the_history_gives_each_tickers_confidence(client: TestClient) -> None:
    history = client.get("/signals/history?signal_type=quality").json()

    assert history["GME"][0]["date"] == "2025-03-12"
    assert set(client.get("/signals/history?signal_type=quality&ticker=GME").json()) == {"GME"}
    assert client.get("/signals/history").status_code == 422


def test_portfolios_add_up(client: TestClient) -> None:
    portfolios = items(client, "/portfolios")

    assert len(portfolios) == 4
    assert "allocation" not in portfolios[0]
    for portfolio in portfolios:
        gained = portfolio["current_value"] - portfolio["starting_capital"]
        assert portfolio["total_pnl"] == pytest.approx(gained)
        assert portfolio["total_pnl_pct"] == pytest.approx(gained / portfolio["starting_capital"])
    detail = client.get(f"/portfolios/{portfolios[0]['id']}").json()
    assert len(detail["allocation"]) == detail["open_position_count"]
    assert client.get("/portfolios/99").status_code == 404


def test_equity_is_the_last_look_of_each_day_and_adds_up(client: TestClient) -> None:
    for portfolio in items(client, "/portfolios"):
        (point,) = items(client, f"/portfolios/{portfolio['id']}/equity")
        assert (point["day"], point["at"]) == ("2025-03-12", "2025-03-12T18:00:00.000Z")
        assert point["value"] == pytest.approx(point["cash"] + point["held"])
        assert (point["cash"], point["value"]) == (portfolio["cash_available"], portfolio["current_value"])
        assert (point["oldest_price_at"] is None) == (point["held"] == 0)
        assert point["benchmark"] > 0
    earlier = "INSERT INTO portfolio_values VALUES (1, ?, '2025-03-11', 5, 0, NULL, NULL)"
    with closing(sqlite3.connect(services_of(client).runner.db, isolation_level=None)) as conn:
        conn.executemany(earlier, [("2025-03-11T15:00:00.000Z",), ("2025-03-11T14:00:00.000Z",)])

        assert items(client, "/portfolios/1/equity")[0]["at"] == "2025-03-11T15:00:00.000Z"
        assert len(items(client, "/portfolios/1/equity", days=1)) == 1
        conn.execute("DELETE FROM portfolio_values WHERE day = '2025-03-11'")
    assert client.get("/portfolios/99/equity").status_code == 404


def test_premiums_are_those_of_an_option_and_shares_have_none(client: TestClient) -> None:
    option = items(client, "/positions", instrument_type="option")[0]
    share = items(client, "/positions", instrument_type="stock")[0]
    with closing(sqlite3.connect(services_of(client).runner.db, isolation_level=None)) as conn:
        conn.executemany(
            "INSERT INTO option_marks VALUES (?, ?, ?, ?)",
            [
                (option["id"], "2025-03-13T20:00:00.000Z", 1.5, None),
                (option["id"], "2025-03-12T20:00:00.000Z", 1, 26),
            ],
        )

        seen = items(client, f"/positions/{option['id']}/premiums")
        conn.execute("DELETE FROM option_marks")

    assert [(one["at"][:10], one["premium"], one["underlying_price"]) for one in seen] == [
        ("2025-03-12", 1.0, 26.0), ("2025-03-13", 1.5, None),
    ]  # fmt: skip
    assert items(client, f"/positions/{share['id']}/premiums") == []
    assert client.get("/positions/999/premiums").status_code == 404


def test_an_open_position_is_valued_at_its_last_price(client: TestClient) -> None:
    position = items(client, "/positions", status="open", instrument_type="stock")[0]

    price, entry = position["current_price"], position["entry_price"]
    assert position["unrealized_return_pct"] == pytest.approx((price - entry) / entry)
    levels = (position["stop_loss_price"], position["take_profit_price"])
    nearest = min(abs(level - price) / price for level in levels)
    assert position["nearest_exit_distance_pct"] == pytest.approx(nearest)
    assert position["hold_days"] == 0
    assert position["dte"] is None
    assert client.get(f"/positions/{position['id']}").json() == position


def test_a_closed_position_shows_its_sale(client: TestClient) -> None:
    position = items(client, "/positions", status="closed")[0]

    assert (position["realized_return_pct"], position["hold_days"]) == (0.15, 2)
    assert position["unrealized_return_pct"] is None
    assert position["nearest_exit_distance_pct"] is None
    assert [sale["exit_reason"] for sale in position["position_exits"]] == ["take_profit"]


def test_an_option_shows_its_contract_its_premium_and_its_days(client: TestClient) -> None:
    position = items(client, "/positions", instrument_type="option", ticker="GME")[0]

    assert (position["option_type"], position["direction"]) == ("call", "call")
    assert position["contract_symbol"] == "GME   250328C00026000"
    assert (position["strike_price"], position["expiration_date"]) == (26.0, "2025-03-28")
    assert (position["dte"], position["hold_days"]) == (14, 2)
    assert position["premium_paid"] == position["entry_price"] == position["peak_premium"]
    assert position["premium_change_pct"] == position["unrealized_return_pct"] == pytest.approx(0.5)
    # at 1.5 times the premium the target, twice it, is a third away; the stop, half of it, two thirds
    assert position["nearest_exit_distance_pct"] == pytest.approx(1 / 3, abs=0.01)
    assert position["underlying_price_at_entry"] > 0
    portfolio = client.get(f"/portfolios/{position['portfolio_id']}").json()
    worth = {one["position_id"]: one["market_value"] for one in portfolio["allocation"]}
    price, contracts = position["current_price"], position["contracts_remaining"]
    assert worth[position["id"]] == pytest.approx(price * contracts * 100)


def test_positions_are_filtered(client: TestClient) -> None:
    assert items(client, "/positions", ticker="nope") == []
    assert items(client, "/positions", signal_type="consensus", portfolio_id=1) == []
    assert client.get("/positions/999").status_code == 404


def test_prices_are_the_last_days_on_record(client: TestClient) -> None:
    assert [price["date"] for price in items(client, "/prices/zzz", days=2)] == ["2025-03-29", "2025-03-30"]
    assert len(items(client, "/prices/ZZZ")) == 14
    assert items(client, "/prices/NOPE") == []
    assert client.get("/prices/no%20ticker").status_code == 422


def test_evaluation_periods_belong_to_a_portfolio(client: TestClient) -> None:
    answer = client.get("/evaluation-periods?portfolio_id=1").json()
    (period,) = answer["items"]

    assert (period["status"], period["period_start"], period["period_end"]) == (
        "active", "2025-03-12", "2025-04-11",
    )  # fmt: skip
    assert period["beat_benchmark"] is None
    assert answer["graduation"] == {
        "graduated": False,
        "signal_type": None,
        "completed_windows": 0,
        "reasons": ["0 of 3 windows are completed"],
    }
    assert client.get("/evaluation-periods").status_code == 422
    assert client.get("/evaluation-periods?portfolio_id=99").status_code == 404


def test_phases_that_keep_no_such_records_are_told_apart_from_an_error(serve: Serve) -> None:
    answer = serve("QUICK").get("/signals")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
