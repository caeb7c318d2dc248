"""Phase 5: buy what today's signals say, with paper money.

Only the stock portfolios trade for now; they are long only. A signal of another day never opens anything,
and a (signal, portfolio) pair opens at most one position, so a second run and a crashed one do no harm.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from decimal import Decimal

from phases.analyzers.universe import is_tradable
from phases.book import Mark, Position, insert, lock_portfolio, move_cash, open_stocks, settle
from phases.config import read_config
from phases.exits import Exit, Holding, StockRules
from phases.money import usd
from phases.orders import Refusal, TradingRules, plan
from phases.prices.breaker import Breaker, BreakerOpen
from phases.stamps import stamp
from phases.tools import Context, PricesUnavailable, Quote

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A signal of today and the stock portfolio that it targets."""

    signal_id: int
    portfolio_id: int
    ticker: str
    signal_type: str
    confidence: Decimal


def manage_positions(conn: sqlite3.Connection, ctx: Context) -> None:
    """Open a position for each of today's signals that may have one; each is committed by itself.

    Outside regular trading hours nothing is opened and the signals are kept.
    """
    ctx.results.setdefault("positions_opened", 0)
    entries, exits = TradingRules(), StockRules.of(read_config(conn))
    candidates = _candidates(conn, ctx, entries.min_confidence)
    if not candidates:
        return
    if not ctx.tools.calendar.is_open(ctx.tools.as_of):
        ctx.warn(
            "market_hours_skipped",
            f"the exchange is closed at {stamp(ctx.tools.as_of)}: no position was opened",
            signals_affected=len({one.signal_id for one in candidates}),
        )
        return
    held = {one.ticker for one in open_stocks(conn)}
    quotes = _quotes(ctx, wanted={one.ticker for one in candidates}, held=held)
    for done, candidate in enumerate(candidates, start=1):
        if candidate.ticker in quotes:
            _trade(conn, ctx, candidate, quotes, entries, exits)
        ctx.progress(done, len(candidates), "signal")


def _candidates(conn: sqlite3.Connection, ctx: Context, min_confidence: Decimal) -> list[Candidate]:
    rows = conn.execute(
        """
        SELECT s.id, p.id, s.ticker, s.signal_type, s.confidence, s.prediction
        FROM signals s JOIN portfolios p ON p.signal_type = s.signal_type AND p.instrument_type = 'stock'
        WHERE s.signal_date = ? AND s.confidence >= ?
          AND NOT EXISTS (SELECT 1 FROM positions x WHERE x.signal_id = s.id AND x.portfolio_id = p.id)
        ORDER BY s.confidence DESC, s.ticker, s.id
        """,
        (ctx.tools.as_of.astimezone(UTC).date().isoformat(), float(min_confidence)),
    ).fetchall()
    return [
        Candidate(
            signal_id=signal_id,
            portfolio_id=portfolio_id,
            ticker=ticker,
            signal_type=signal_type,
            confidence=Decimal(str(confidence)),
        )
        for signal_id, portfolio_id, ticker, signal_type, confidence, prediction in rows
        if _may_be_bought(ticker, prediction)
    ]


def _may_be_bought(ticker: str, prediction: str) -> bool:
    obstacle = "bearish_long_only" if prediction == "bearish" else "not_a_share"
    bought = prediction == "bullish" and is_tradable(ticker)
    if not bought:
        _log.info("signal opens nothing", extra={"action": obstacle, "ticker": ticker})
    return bought


def _quotes(ctx: Context, *, wanted: set[str], held: Iterable[str]) -> dict[str, Quote]:
    """Return the current quotes of the candidates' tickers and of those held; warn of what has none.

    A held ticker without one counts at its last known price, and phase 6 warns of it.
    """
    prices = Breaker(ctx.tools.prices)
    quotes: dict[str, Quote] = {}
    for ticker in sorted(wanted) + sorted(set(held) - wanted):
        ctx.raise_if_stopping()
        try:
            quote = prices.quote(ticker, ctx.tools.as_of)
        except BreakerOpen:
            continue
        except PricesUnavailable as error:
            _warn_unpriced(ctx, ticker, str(error), wanted)
            continue
        if quote is None:
            _warn_unpriced(ctx, ticker, "it is unknown, or its last price is stale", wanted)
        else:
            quotes[ticker] = quote
    prices.warn_if_open(ctx.warn)
    return quotes


def _warn_unpriced(ctx: Context, ticker: str, reason: str, wanted: set[str]) -> None:
    if ticker in wanted:
        ctx.warn("price_unavailable", f"no price for {ticker}: {reason}", ticker=ticker, reason=reason)


def _trade(
    conn: sqlite3.Connection,
    ctx: Context,
    candidate: Candidate,
    quotes: Mapping[str, Quote],
    entries: TradingRules,
    exits: StockRules,
) -> None:
    """Buy for one candidate, selling what it replaces, in one transaction; or say why not."""
    quote = quotes[candidate.ticker]
    portfolio = lock_portfolio(conn, candidate.portfolio_id)
    held = open_stocks(conn, portfolio.id)
    prices = {ticker: known.price for ticker, known in quotes.items()}
    order = plan(candidate.confidence, quote.price, portfolio, held, prices, entries, ctx.tools.as_of)
    if isinstance(order, Refusal):
        _refuse(ctx, candidate, order)
        return
    if order.replaces:
        _sell(conn, ctx, order.replaces, quotes[order.replaces.ticker])
    _buy(conn, ctx, candidate, quote, Holding.bought(quote.price, order.units, exits))
    ctx.results["positions_opened"] += 1
    ctx.checkpoint()


def _refuse(ctx: Context, candidate: Candidate, refusal: Refusal) -> None:
    _log.info("signal opens nothing", extra={"action": refusal.type, "ticker": candidate.ticker})
    if not refusal.expected:
        ctx.warn(refusal.type, refusal.message, ticker=candidate.ticker, **refusal.context)


def _sell(conn: sqlite3.Connection, ctx: Context, position: Position, quote: Quote) -> None:
    now = ctx.tools.as_of
    sale = Exit(
        reason="replaced", price=quote.price, units=position.holding.units, at=now, note=f"at {quote.basis}"
    )
    settle(
        conn,
        position,
        replace(position.holding, units=0),
        [sale],
        Mark(price=quote.price, price_at=quote.at, checked_at=now),
        calendar=ctx.tools.calendar,
        now=ctx.clock.now(),
    )


def _buy(
    conn: sqlite3.Connection, ctx: Context, candidate: Candidate, quote: Quote, holding: Holding
) -> None:
    now, cost = stamp(ctx.tools.as_of), holding.entry_price * holding.units
    insert(
        conn,
        "positions",
        portfolio_id=candidate.portfolio_id,
        signal_id=candidate.signal_id,
        ticker=candidate.ticker,
        instrument_type="stock",
        signal_type=candidate.signal_type,
        direction="long",
        confidence=float(candidate.confidence),
        position_size=usd(cost),
        entry_date=ctx.tools.calendar.trading_date(ctx.tools.as_of).isoformat(),
        entered_at=now,
        entry_price=usd(holding.entry_price),
        entry_basis=quote.basis,
        status="open",
        last_checked_at=now,
        last_price=usd(quote.price),
        last_price_at=stamp(quote.at),
        shares=holding.units,
        shares_remaining=holding.units,
        stop_loss_price=usd(holding.stop),
        take_profit_price=usd(holding.target),
        peak_price=usd(holding.peak),
        time_extension=holding.time_extension,
    )
    conn.execute("UPDATE signals SET position_opened = 1 WHERE id = ?", (candidate.signal_id,))
    move_cash(conn, lock_portfolio(conn, candidate.portfolio_id), -cost)
