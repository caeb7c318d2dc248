"""A person's sale: at the stored price while it is good, and never the same share twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phases.config import Config
from phases.money import ticks, usd
from phases.monitor_prices import monitor_prices
from phases.stamps import stamp
from phases.tools import Bar, Calendar, Quote, Tools
from phases.trading.book import open_positions
from phases.trading.close_position import Closed, NotClosed, close_position, usable_until
from phases.trading.exits import Holding, StockRules

Making = Callable[..., Any]
BOUGHT = datetime(2025, 3, 12, 18, tzinfo=UTC)
"""A Wednesday, in mid-session."""
PRICE = ticks(100)

# The fixtures handed to laws are builders without state, so sharing them between examples is safe.
law = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def hold(conn: sqlite3.Connection, ticker: str, shares: int) -> int:
    """Buy shares at 100 dollars for stocks_quality."""
    holding = Holding.bought(PRICE, shares, StockRules.of(Config()))
    cost, at, day = usd(PRICE) * shares, stamp(BOUGHT), BOUGHT.date().isoformat()
    conn.execute("UPDATE portfolios SET cash_available = cash_available - ? WHERE id = 1", (cost,))
    (signal,) = conn.execute(
        "INSERT INTO signals (signal_date, created_at, updated_at, ticker, signal_type, sentiment_score,"
        " prediction, confidence, comment_count, has_reasoning, prior_7d_mentions, distinct_users)"
        " VALUES (?, '', '', ?, 'quality', 1, 'bullish', 0.8, 5, 1, 0, 5) RETURNING id",
        (day, ticker),
    ).fetchone()
    row = {
        "portfolio_id": 1, "signal_id": signal, "ticker": ticker, "instrument_type": "stock",
        "signal_type": "quality", "direction": "long", "confidence": 0.8, "position_size": cost,
        "entry_date": day, "entered_at": at, "entry_price": usd(PRICE), "entry_basis": "test",
        "status": "open", "last_checked_at": at, "last_price": usd(PRICE), "last_price_at": at,
        "shares": shares, "shares_remaining": shares, "stop_loss_price": usd(holding.stop),
        "take_profit_price": usd(holding.target), "peak_price": usd(PRICE),
    }  # fmt: skip
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    position = conn.execute(f"INSERT INTO positions ({names}) VALUES ({marks})", row).lastrowid
    conn.commit()
    assert position
    return position


def sell(
    conn: sqlite3.Connection,
    calendar: Calendar,
    position_id: int,
    share: str = "1",
    after: timedelta = timedelta(0),
) -> Closed | NotClosed:
    """Sell as the API does: in a transaction of its own."""
    done = close_position(
        conn,
        position_id,
        share=Decimal(share),
        note="because",
        at=BOUGHT + after,
        now=BOUGHT + after,
        calendar=calendar,
    )
    conn.commit()
    return done


@pytest.fixture
def calendar(tools: Callable[..., Tools]) -> Calendar:
    return tools().calendar


# --- laws ---


@dataclass
class Market:
    """Falls, rises or stays on the day after; a person may act whenever it is asked."""

    moves: dict[str, float]
    act: Callable[[], None]
    name: str = "market"
    asked: list[str] = field(default_factory=list[str])

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        self.act()
        return Quote(price=ticks(100 * self.moves[ticker]), at=at, basis="test")

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:
        self.act()
        price = ticks(100 * self.moves[ticker])
        start = BOUGHT.replace(hour=13, minute=30) + timedelta(days=1)
        end = start + timedelta(hours=6, minutes=30)
        bar = Bar(start=start, end=end, open=price, high=price, low=price, close=price)
        return [bar] if after <= start and end <= until else []


@law
@given(data=st.data(), held=st.lists(st.integers(1, 30), min_size=1, max_size=4))
def test_a_person_and_a_phase_together_lose_no_share_and_no_cent(
    new_database: Callable[..., sqlite3.Connection],
    new_ctx: Making,
    tools: Callable[..., Tools],
    calendar: Calendar,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    held: list[int],
) -> None:
    path: Path = tmp_path_factory.mktemp("book") / "book.db"
    with closing(new_database(path)) as phase, closing(sqlite3.connect(path)) as person:
        ids = [hold(phase, f"T{place}", shares) for place, shares in enumerate(held)]

        def act() -> None:
            if data.draw(st.booleans()):
                chosen, share = (
                    data.draw(st.sampled_from(ids)),
                    data.draw(st.sampled_from(["0.3", "0.5", "1"])),
                )
                sell(person, calendar, chosen, share)

        moves = {f"T{place}": data.draw(st.sampled_from([0.8, 1.0, 1.05, 1.2])) for place in range(len(held))}
        as_of = BOUGHT + timedelta(days=1, hours=4)
        monitor_prices(phase, new_ctx(phase, tools(as_of=as_of, prices=Market(moves, act))))
        phase.commit()

        for position_id, bought in zip(ids, held, strict=True):
            ((left, gone, status),) = phase.execute(
                "SELECT shares_remaining, (SELECT coalesce(sum(shares_exited), 0) FROM position_exits"
                " WHERE position_id = p.id), status FROM positions p WHERE id = ?",
                (position_id,),
            ).fetchall()
            assert left + gone == bought
            assert (status == "closed") == (left == 0)
        proceeds = sum(
            ticks(price) * shares
            for price, shares in phase.execute("SELECT exit_price, shares_exited FROM position_exits")
        )
        ((cash, value),) = phase.execute("SELECT cash_available, current_value FROM portfolios WHERE id = 1")
        assert ticks(cash) == ticks(100_000) - PRICE * sum(held) + proceeds
        assert ticks(value) == ticks(cash) + sum(
            one.worth(one.last_price) for one in open_positions(phase, 1)
        )


@law
@given(shares=st.integers(1, 1000), share=st.decimals("0.01", 1, places=2))
def test_a_part_is_whole_shares_and_at_least_one(
    new_database: Callable[..., sqlite3.Connection], calendar: Calendar, shares: int, share: Decimal
) -> None:
    conn = new_database()
    position = hold(conn, "GME", shares)

    sell(conn, calendar, position, str(share))

    ((sold,),) = conn.execute("SELECT shares_exited FROM position_exits").fetchall()
    assert sold == max(1, int(shares * share))


@given(hours=st.integers(0, 24 * 20))
def test_a_price_is_good_until_the_next_opening_bell(tools: Callable[..., Tools], hours: int) -> None:
    calendar, made = tools().calendar, BOUGHT + timedelta(hours=hours)

    until = usable_until(made, calendar)

    session = calendar.session(calendar.trading_date(until))
    assert session is not None
    assert session.opens == until > made
    assert until - made <= timedelta(days=3, hours=1)


# --- examples ---


def test_all_of_a_position_is_sold_at_its_stored_price(conn: sqlite3.Connection, calendar: Calendar) -> None:
    position = hold(conn, "GME", 10)
    conn.execute("UPDATE positions SET last_price = 105")
    conn.commit()

    done = sell(conn, calendar, position, after=timedelta(hours=3))

    assert isinstance(done, Closed)
    assert (done.price_at, done.price_usable_until) == (BOUGHT, datetime(2025, 3, 13, 13, 30, tzinfo=UTC))
    assert conn.execute(
        "SELECT status, exit_reason, exit_date, realized_return_pct FROM positions"
    ).fetchall() == [("closed", "manual", "2025-03-12", 0.05)]
    assert conn.execute(
        "SELECT exit_price, shares_exited, quantity_pct, realized_pnl, note FROM position_exits"
    ).fetchall() == [(105.0, 10, 1.0, 50.0, "because")]
    assert conn.execute("SELECT cash_available, current_value FROM portfolios WHERE id = 1").fetchall() == [
        (100_050.0, 100_050.0)
    ]


def test_a_part_is_of_what_is_left(conn: sqlite3.Connection, calendar: Calendar) -> None:
    position = hold(conn, "GME", 10)

    sell(conn, calendar, position, "0.5")
    sell(conn, calendar, position, "0.5")

    assert conn.execute("SELECT shares_exited, quantity_pct FROM position_exits").fetchall() == [
        (5, 0.5), (2, 0.4),
    ]  # fmt: skip
    assert conn.execute("SELECT status, shares_remaining, took_profit FROM positions").fetchall() == [
        ("open", 3, 0)
    ]


def test_what_is_closed_or_unknown_is_not_sold(conn: sqlite3.Connection, calendar: Calendar) -> None:
    position = hold(conn, "GME", 10)
    sell(conn, calendar, position)

    again, unknown = sell(conn, calendar, position), sell(conn, calendar, 99)

    assert again == NotClosed("closed", f"position {position} was closed on 2025-03-12 already")
    assert unknown == NotClosed("unknown", "there is no position 99")


def test_a_price_of_before_the_last_opening_is_too_old(conn: sqlite3.Connection, calendar: Calendar) -> None:
    position = hold(conn, "GME", 10)

    last = sell(conn, calendar, position, "0.1", after=timedelta(hours=19, minutes=29))
    late = sell(conn, calendar, position, "0.1", after=timedelta(hours=19, minutes=30))

    assert isinstance(last, Closed)
    assert isinstance(late, NotClosed)
    assert late.reason == "no_price"
    assert "start an analysis" in late.message
