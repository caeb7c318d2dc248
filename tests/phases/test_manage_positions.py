"""Phase 5 with a real database and prices that a test names."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from phases.calendar import ExchangeCalendar
from phases.config import Config
from phases.manage_positions import manage_positions
from phases.money import ticks
from phases.tools import Bar, PricesUnavailable, Quote, Tools
from phases.trading.book import Portfolio
from phases.trading.offers import offer_share
from phases.trading.orders import Order, TradingRules, plan
from statemachine.contract import RunStopping

AS_OF = datetime(2026, 11, 23, 18, tzinfo=UTC)
"""A Monday, 13:00 in New York; in that week Thursday is a holiday and Friday a half-day."""
NOW = "2026-11-23T18:00:00.000Z"


class Quoted:
    """Knows one price a ticker; an exception is raised."""

    name = "quoted"

    def __init__(self, prices_usd: Mapping[str, float | Exception]) -> None:
        self.prices_usd = dict(prices_usd)
        self.asked: list[str] = []

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        self.asked.append(ticker)
        known = self.prices_usd.get(ticker)
        if isinstance(known, Exception):
            raise known
        if known is None:
            return None
        return Quote(price=ticks(known), at=at - timedelta(minutes=1), basis=f"last {ticker}")

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:  # noqa: ARG002 - the contract's names
        return []


class Desk:
    """One paper desk: signals go in, a run of the phase happens, rows come out."""

    def __init__(
        self, conn: sqlite3.Connection, make_ctx: Callable[..., Any], tools: Callable[..., Tools]
    ) -> None:
        self.conn = conn
        self.prices = Quoted({"GME": 142.50})
        self._make_ctx = make_ctx
        self._tools = tools

    def signal(self, ticker: str = "GME", confidence: float = 0.8, **columns: Any) -> int:
        row = {
            "signal_date": "2026-11-23", "created_at": NOW, "updated_at": NOW, "ticker": ticker,
            "signal_type": "quality", "sentiment_score": 1.0, "prediction": "bullish",
            "confidence": confidence, "comment_count": 5, "has_reasoning": 1, "prior_7d_mentions": 0,
            "distinct_users": 5, **columns,
        }  # fmt: skip
        return self.insert("signals", row)

    def position(self, ticker: str, confidence: float, price_usd: float = 100.0, **columns: Any) -> int:
        """Put an open position of 40 shares into stocks_quality, paid from its cash."""
        signal_id = self.signal(ticker, confidence, signal_date="2026-11-20")
        row = {
            "portfolio_id": 1, "signal_id": signal_id, "ticker": ticker, "instrument_type": "stock",
            "signal_type": "quality", "direction": "long", "confidence": confidence,
            "position_size": 40 * price_usd, "entry_date": "2026-11-20",
            "entered_at": "2026-11-20T18:00:00.000Z", "entry_price": price_usd, "entry_basis": "test",
            "status": "open", "last_checked_at": "2026-11-20T18:00:00.000Z", "last_price": price_usd,
            "last_price_at": "2026-11-20T18:00:00.000Z", "shares": 40, "shares_remaining": 40,
            "stop_loss_price": price_usd * 0.9, "take_profit_price": price_usd * 1.15,
            "peak_price": price_usd, "time_extension": "base", **columns,
        }  # fmt: skip
        self.conn.execute(
            "UPDATE portfolios SET cash_available = cash_available - ? WHERE id = 1", (40 * price_usd,)
        )
        return self.insert("positions", row)

    def insert(self, table: str, row: Mapping[str, Any]) -> int:
        names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
        rowid = self.conn.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", row).lastrowid
        self.conn.commit()
        assert rowid
        return rowid

    def run(self, as_of: datetime = AS_OF, **more: Any) -> Any:
        ctx = self._make_ctx(
            self._tools(as_of=as_of, prices=self.prices, calendar=ExchangeCalendar()), **more
        )
        try:
            manage_positions(self.conn, ctx)
        finally:
            if "stop_at_checkpoint" in more:
                self.conn.rollback()
        self.conn.commit()
        return ctx

    def all(self, sql: str) -> list[tuple[Any, ...]]:
        return self.conn.execute(sql).fetchall()

    def held(self) -> list[tuple[Any, ...]]:
        return self.all("SELECT ticker, shares_remaining FROM positions WHERE status = 'open' ORDER BY id")

    def cash(self, portfolio_id: int = 1) -> Decimal:
        ((cash,),) = self.all(f"SELECT cash_available FROM portfolios WHERE id = {portfolio_id}")
        return Decimal(str(cash))


@pytest.fixture
def desk(conn: sqlite3.Connection, make_ctx: Callable[..., Any], tools: Callable[..., Tools]) -> Desk:
    return Desk(conn, make_ctx, tools)


# --- opening ---


def test_a_signal_opens_whole_shares_at_the_quote_and_the_actual_cost_leaves_the_cash(desk: Desk) -> None:
    signal_id = desk.signal(confidence=0.8)

    ctx = desk.run()

    ((row),) = desk.all(
        """
        SELECT signal_id, portfolio_id, direction, confidence, shares, shares_remaining, position_size,
               entry_price, entry_basis, entry_date, entered_at, last_checked_at, stop_loss_price,
               take_profit_price, peak_price, time_extension, status
        FROM positions
        """
    )
    assert row == (
        signal_id, 1, "long", 0.8, 35, 35, 4987.5, 142.5, "last GME", "2026-11-23", NOW, NOW, 128.25,
        163.875, 142.5, "base", "open",
    )  # fmt: skip
    assert desk.cash() == Decimal("95012.5")
    assert desk.all("SELECT current_value FROM portfolios WHERE id = 1") == [(100_000.0,)]
    assert desk.all("SELECT position_opened FROM signals") == [(1,)]
    assert ctx.results == {"positions_opened": 1}
    assert ctx.warnings == []


@pytest.mark.parametrize(
    ("confidence", "shares"),
    [(0.5, 250), (0.5999, 250), (0.6, 375), (0.7499, 375), (0.75, 500), (1.0, 500)],
)
def test_the_size_is_half_three_quarters_or_all_of_a_twentieth(
    desk: Desk, confidence: float, shares: int
) -> None:
    desk.prices.prices_usd["GME"] = 10.0
    desk.signal(confidence=confidence)

    desk.run()

    assert desk.held() == [("GME", shares)]


@pytest.mark.parametrize(("divisor", "shares"), [(4, 1500), (1000, 200)])
def test_a_position_costs_from_two_to_fifteen_percent_whatever_the_divisor(divisor: int, shares: int) -> None:
    portfolio = Portfolio(id=1, name="stocks_quality", cash=ticks(100_000))
    rules = TradingRules.of(Config(stock_size_divisor=divisor))
    offer = offer_share("GME", Quote(price=ticks(10), at=AS_OF, basis="last"))

    order = plan(Decimal("0.8"), offer, portfolio, [], {}, rules, AS_OF)

    assert order == Order(units=shares)


def test_the_sizes_and_their_limits_follow_the_configuration(desk: Desk) -> None:
    config = {"stock_size_divisor": "10", "stock_size_high_confidence": "0.9", "stock_size_mid_share": "0.4"}
    desk.conn.executemany("INSERT INTO system_config VALUES (?, ?, '')", list(config.items()))
    desk.conn.commit()
    desk.prices.prices_usd["GME"] = 10.0
    desk.signal(confidence=0.8)

    desk.run()

    assert desk.held() == [("GME", 400)]


def test_the_limits_of_trading_follow_the_configuration(desk: Desk) -> None:
    config = {"trade_min_confidence": "0.9", "trade_max_positions": "1", "trade_replacement_margin": "0.01"}
    desk.conn.executemany("INSERT INTO system_config VALUES (?, ?, '')", list(config.items()))
    desk.conn.commit()
    desk.prices.prices_usd |= {"AMC": 10.0, "BB": 10.0}
    desk.position("AMC", 0.91)
    desk.prices.prices_usd["AMC"] = 100.0
    desk.signal("BB", confidence=0.89)
    desk.signal("GME", confidence=0.93)

    desk.run()

    assert [ticker for ticker, _ in desk.held()] == ["GME"]


def test_below_half_confidence_nothing_is_opened(desk: Desk) -> None:
    desk.signal(confidence=0.4999)

    assert desk.run().results == {"positions_opened": 0}


def test_each_signal_type_trades_in_its_own_stock_portfolio_only(desk: Desk) -> None:
    desk.signal()
    desk.signal(signal_type="consensus")

    desk.run()

    assert desk.all(
        "SELECT p.name FROM positions x JOIN portfolios p ON p.id = x.portfolio_id ORDER BY x.id"
    ) == [("stocks_quality",), ("stocks_consensus",)]


def test_a_position_is_sized_by_what_the_portfolio_is_worth_now(desk: Desk) -> None:
    desk.prices.prices_usd |= {"GME": 10.0, "TSLA": 550.0}
    desk.position("TSLA", 0.9)  # 40 shares at 100, now worth 18,000 more
    desk.signal()

    desk.run()

    assert desk.held() == [("TSLA", 40), ("GME", 590)]


def test_a_held_ticker_without_a_price_counts_at_its_last_one_and_is_no_warning_here(desk: Desk) -> None:
    desk.prices.prices_usd |= {"GME": 10.0, "TSLA": PricesUnavailable("no answer")}
    desk.position("TSLA", 0.9)
    desk.signal()

    ctx = desk.run()

    assert desk.held() == [("TSLA", 40), ("GME", 500)]
    assert ctx.warnings == []


def test_the_levels_follow_the_configuration(desk: Desk) -> None:
    config = [("stock_stop_loss_pct", "-0.2"), ("stock_take_profit_pct", "0.3")]
    desk.conn.executemany("INSERT INTO system_config VALUES (?, ?, '')", config)
    desk.conn.commit()
    desk.signal()

    desk.run()

    assert desk.all("SELECT stop_loss_price, take_profit_price FROM positions") == [(114.0, 185.25)]


# --- what opens nothing ---


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"prediction": "bearish"}, id="bearish: long only"),
        pytest.param({"ticker": "BTC"}, id="a coin is no share"),
        pytest.param({"ticker": "VIX"}, id="an index is no share"),
        pytest.param({"signal_date": "2026-11-20"}, id="a signal of another day"),
    ],
)
def test_a_signal_that_may_not_trade_opens_nothing_and_is_no_warning(
    desk: Desk, columns: dict[str, Any]
) -> None:
    desk.prices.prices_usd |= {"BTC": 10.0, "VIX": 20.0}
    desk.signal(**columns)

    ctx = desk.run()

    assert desk.held() == []
    assert ctx.warnings == []
    assert desk.prices.asked == []


@pytest.mark.parametrize(
    "as_of",
    [
        pytest.param(AS_OF.replace(hour=14, minute=29), id="before the bell"),
        pytest.param(AS_OF.replace(hour=21), id="at the close"),
        pytest.param(AS_OF.replace(day=22), id="on Sunday"),
        pytest.param(AS_OF.replace(day=26), id="on Thanksgiving"),
        pytest.param(AS_OF.replace(day=27, hour=18), id="after a half-day's close"),
    ],
)
def test_outside_regular_hours_nothing_is_opened_and_one_warning_counts_the_signals(
    desk: Desk, as_of: datetime
) -> None:
    day = as_of.date().isoformat()
    desk.signal(signal_date=day)
    desk.signal("AMC", signal_date=day)
    desk.signal("TSLA", signal_date=day, prediction="bearish")

    ctx = desk.run(as_of)

    assert desk.held() == []
    assert [(one["type"], one["context"]) for one in ctx.warnings] == [
        ("market_hours_skipped", {"signals_affected": 2})
    ]
    assert desk.all("SELECT DISTINCT position_opened FROM signals") == [(0,)]


def test_on_a_half_day_it_trades_until_13_00(desk: Desk) -> None:
    desk.signal(signal_date="2026-11-27")

    desk.run(datetime(2026, 11, 27, 17, 59, tzinfo=UTC))

    assert desk.held() == [("GME", 35)]


def test_closed_hours_without_any_signal_are_no_warning(desk: Desk) -> None:
    assert desk.run(AS_OF.replace(hour=22)).warnings == []


def test_a_ticker_without_a_price_is_skipped_with_a_warning(desk: Desk) -> None:
    desk.prices.prices_usd["AMC"] = PricesUnavailable("timed out")
    desk.signal("AMC")
    desk.signal("BB")
    desk.signal("GME")

    ctx = desk.run()

    assert desk.held() == [("GME", 35)]
    assert [(one["type"], one["context"]) for one in ctx.warnings] == [
        ("price_unavailable", {"ticker": "AMC", "reason": "timed out"}),
        (
            "price_unavailable",
            {"ticker": "BB", "reason": "it is unknown, or its last price is stale"},
        ),
    ]


def test_a_dead_price_source_is_asked_three_times_and_summed_up_in_one_warning(desk: Desk) -> None:
    for ticker in ("AMC", "BB", "GME", "NOK", "PLTR"):
        desk.prices.prices_usd[ticker] = PricesUnavailable("no answer")
        desk.signal(ticker)

    ctx = desk.run()

    assert desk.prices.asked == ["AMC", "BB", "GME"]
    assert [one["type"] for one in ctx.warnings] == ["price_unavailable"] * 3 + ["price_source_down"]
    assert ctx.warnings[-1]["context"] == {"source": "quoted", "skipped": ["NOK", "PLTR"]}


def test_a_share_dearer_than_the_position_is_skipped_with_a_warning(desk: Desk) -> None:
    desk.prices.prices_usd["GME"] = 5000.01
    desk.signal()

    ctx = desk.run()

    assert desk.held() == []
    assert [one["type"] for one in ctx.warnings] == ["position_too_small"]


def test_the_cash_guard_refuses_what_can_not_be_paid(desk: Desk) -> None:
    desk.position("TSLA", 0.9, last_price=2375.3)
    desk.conn.execute("UPDATE portfolios SET cash_available = 4987.49 WHERE id = 1")
    desk.conn.commit()
    desk.signal()

    ctx = desk.run()

    assert desk.held() == [("TSLA", 40)]
    assert desk.cash() == Decimal("4987.49")
    assert [(one["type"], one["context"]) for one in ctx.warnings] == [
        (
            "insufficient_cash",
            {"ticker": "GME", "portfolio": "stocks_quality", "needed": 4987.5, "available": 4987.49},
        )
    ]


def test_the_last_cent_may_be_spent(desk: Desk) -> None:
    desk.position("TSLA", 0.9, last_price=2375.3)
    desk.conn.execute("UPDATE portfolios SET cash_available = 4987.5 WHERE id = 1")
    desk.conn.commit()
    desk.signal()

    desk.run()

    assert desk.cash() == 0


# --- a full portfolio ---


@pytest.fixture
def full(desk: Desk) -> Desk:
    """Ten open positions, the weakest of confidence 0.60."""
    for place in range(10):
        ticker = f"T{place}"
        desk.prices.prices_usd[ticker] = 100.0
        desk.position(ticker, 0.60 + place / 100)
    return desk


def test_a_stronger_signal_replaces_the_weakest_position(full: Desk) -> None:
    full.prices.prices_usd["T0"] = 105.0  # exactly five percent up is not yet a protected winner
    full.signal(confidence=0.71)

    ctx = full.run()

    assert [ticker for ticker, _ in full.held()] == [*(f"T{place}" for place in range(1, 10)), "GME"]
    assert full.all(
        """
        SELECT x.ticker, x.exit_date, x.exit_reason, x.hold_days, x.realized_return_pct, e.exit_price,
               e.exit_reason, e.shares_exited, e.quantity_pct, e.realized_pnl, e.note
        FROM position_exits e JOIN positions x ON x.id = e.position_id
        """
    ) == [("T0", "2026-11-23", "replaced", 3, 0.05, 105.0, "replaced", 40, 1.0, 200.0, "at last T0")]
    # 26 shares at 142.50: three quarters of a twentieth of 100,200
    assert full.cash() == 60_000 + 40 * 105 - Decimal("142.5") * 26
    assert ctx.results == {"positions_opened": 1}


@pytest.mark.parametrize(
    ("confidence", "weakest_price", "warned"),
    [
        pytest.param(0.70, 100.0, [], id="a margin of exactly 0.1 is not enough"),
        pytest.param(0.95, 105.01, ["replacement_blocked"], id="a winner is protected"),
        pytest.param(0.95, PricesUnavailable("no"), ["replacement_blocked"], id="it can't be priced"),
    ],
)
def test_the_weakest_position_stays(
    full: Desk, confidence: float, weakest_price: float | Exception, warned: list[str]
) -> None:
    full.prices.prices_usd["T0"] = weakest_price
    full.signal(confidence=confidence)

    ctx = full.run()

    assert len(full.held()) == 10
    assert full.all("SELECT count(*) FROM position_exits") == [(0,)]
    assert [one["type"] for one in ctx.warnings] == warned


def test_nothing_is_sold_for_a_position_that_could_not_be_paid(full: Desk) -> None:
    full.conn.execute("UPDATE portfolios SET cash_available = 0 WHERE id = 1")
    full.conn.execute("UPDATE positions SET shares = 1, shares_remaining = 1 WHERE ticker = 'T0'")
    full.conn.commit()
    full.prices.prices_usd["T9"] = 2000.0  # the portfolio is worth enough, its cash is not
    full.signal(confidence=0.9)

    ctx = full.run()

    assert len(full.held()) == 10
    assert full.all("SELECT count(*) FROM position_exits") == [(0,)]
    assert [one["type"] for one in ctx.warnings] == ["insufficient_cash"]


def test_a_run_of_an_earlier_day_sells_no_later_position(full: Desk) -> None:
    full.conn.execute("UPDATE positions SET last_checked_at = '2026-11-24T18:00:00.000Z'")
    full.conn.commit()
    full.signal(confidence=0.9)

    assert [one["type"] for one in full.run().warnings] == ["replacement_blocked"]


# --- again ---


def test_a_second_run_of_the_day_opens_nothing_twice(desk: Desk) -> None:
    desk.signal()
    desk.run()
    before = desk.all("SELECT * FROM positions"), desk.cash()

    ctx = desk.run(AS_OF + timedelta(hours=1), run_id=2)

    assert (desk.all("SELECT * FROM positions"), desk.cash()) == before
    assert ctx.results == {"positions_opened": 0}


def test_a_replaced_signal_is_not_bought_back_by_the_next_run(full: Desk) -> None:
    today = full.signal("T0", 0.60)
    full.conn.execute("UPDATE positions SET signal_id = ? WHERE ticker = 'T0'", (today,))
    full.conn.commit()
    full.signal("GME", 0.95)

    full.run()
    full.run(run_id=2)

    assert full.all("SELECT status, exit_reason FROM positions WHERE ticker = 'T0'") == [
        ("closed", "replaced")
    ]


@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_a_phase_that_stopped_after_any_position_goes_on_where_it_was(desk: Desk, stop_at: int) -> None:
    for ticker, price_usd in (("AMC", 7.77), ("BB", 10.1), ("GME", 142.5)):
        desk.prices.prices_usd[ticker] = price_usd
        desk.signal(ticker)

    with pytest.raises(RunStopping):
        desk.run(stop_at_checkpoint=stop_at)
    opened = len(desk.held())
    ctx = desk.run(results={"positions_opened": opened})

    assert opened == stop_at
    assert desk.held() == [("AMC", 643), ("BB", 495), ("GME", 35)]
    assert ctx.results == {"positions_opened": 3}
    cost = Decimal("7.77") * 643 + Decimal("10.1") * 495 + Decimal("142.5") * 35
    assert desk.cash() == 100_000 - cost


def test_all_quotes_are_fetched_before_the_first_row_is_written(desk: Desk) -> None:
    written_while_asking: list[bool] = []
    ask = desk.prices.quote

    def watched(ticker: str, at: datetime) -> Quote | None:
        written_while_asking.append(desk.conn.in_transaction)
        return ask(ticker, at)

    desk.prices.quote = watched  # type: ignore[method-assign]  # a spy around the real method
    desk.signal()
    desk.signal("AMC")

    desk.run()

    assert written_while_asking == [False, False]
