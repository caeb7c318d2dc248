"""Phase 5: buy what today's signals say, with paper money.

A bullish signal buys shares in one portfolio and calls in another, a bearish one puts: stocks are long only.
A signal of another day never opens anything, and a (signal, portfolio) pair opens at most one position, so a
second run and a crashed one do no harm.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from phases.analyzers.universe import is_tradable
from phases.config import Config, read_config
from phases.scoring.predictions import make_predictions
from phases.stamps import stamp
from phases.tools import LIVE, Context, NoChains
from phases.trading.book import Mark, Position, lock_portfolio, open_position, open_positions, settle
from phases.trading.exits import Exit, ExitRules, Holding, StockRules
from phases.trading.instruments import INSTRUMENTS, OPTION, STOCK, Instrument
from phases.trading.market import Market, ask
from phases.trading.offers import Direction, Offer, OptionBuying, Price, Refusal, offer_option, offer_share
from phases.trading.option_exits import OptionRules
from phases.trading.orders import TradingRules, plan

_log = logging.getLogger(__name__)

DIRECTIONS: Final[Mapping[tuple[str, str], Direction]] = {
    ("stock", "bullish"): "long",
    ("option", "bullish"): "call",
    ("option", "bearish"): "put",
}
"""What is bought by instrument and prediction; what is missing opens nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A signal of today and a portfolio that it targets."""

    signal_id: int
    portfolio_id: int
    ticker: str
    signal_type: str
    confidence: Decimal
    instrument: Instrument
    direction: Direction


@dataclass(frozen=True, slots=True)
class Rules:
    """All numbers of the phase."""

    trading: TradingRules
    buying: OptionBuying
    exits: Mapping[str, ExitRules]

    @classmethod
    def of(cls, config: Config) -> Rules:
        """Return the rules that `system_config` says."""
        exits: dict[str, ExitRules] = {
            STOCK.name: StockRules.of(config),
            OPTION.name: OptionRules.of(config),
        }
        return cls(TradingRules.of(config), OptionBuying.of(config), exits)


def manage_positions(conn: sqlite3.Connection, ctx: Context) -> None:
    """Make the run's predictions, then open a position for each of today's signals that may have one.

    Each position is committed by itself. Outside regular trading hours nothing is bought and the signals are
    kept.
    """
    make_predictions(conn, ctx)
    ctx.results.setdefault("positions_opened", 0)
    rules = Rules.of(read_config(conn))
    candidates = _candidates(conn, ctx, rules.trading.min_confidence)
    if not candidates:
        return
    if closed_at := _closed_at(ctx):
        ctx.warn(
            "market_hours_skipped",
            f"the exchange is closed at {stamp(closed_at)}: no position was opened",
            signals_affected=len({one.signal_id for one in candidates}),
        )
        return
    market = _ask(ctx, candidates, open_positions(conn))
    for done, candidate in enumerate(candidates, start=1):
        offer = _offer(ctx, candidate, market, rules.buying)
        if isinstance(offer, Offer):
            _trade(conn, ctx, candidate, offer, market, rules)
        elif offer:
            _refuse(ctx, candidate, offer)
        ctx.progress(done, len(candidates), "signal")


def _closed_at(ctx: Context) -> datetime | None:
    """Return an instant at which there is no trading, `None` where there is.

    That is the run's own, and for a run about the present now as well: it may be late when phase 5 begins.
    """
    as_of, now = ctx.tools.as_of, ctx.clock.now()
    instants = [as_of, now] if timedelta(0) <= now - as_of <= LIVE else [as_of]
    return next((at for at in instants if not ctx.tools.calendar.is_open(at)), None)


def _candidates(conn: sqlite3.Connection, ctx: Context, min_confidence: Decimal) -> list[Candidate]:
    rows = conn.execute(
        """
        SELECT s.id, p.id, s.ticker, s.signal_type, s.confidence, p.instrument_type, s.prediction
        FROM signals s JOIN portfolios p ON p.signal_type = s.signal_type
        WHERE s.signal_date = ? AND s.confidence >= ?
          AND NOT EXISTS (SELECT 1 FROM positions x WHERE x.signal_id = s.id AND x.portfolio_id = p.id)
        ORDER BY s.confidence DESC, s.ticker, s.id, p.id
        """,
        (ctx.tools.as_of.astimezone(UTC).date().isoformat(), float(min_confidence)),
    ).fetchall()
    traded = {STOCK.name} if isinstance(ctx.tools.chains, NoChains) else {STOCK.name, OPTION.name}
    return [
        Candidate(
            signal_id=signal_id,
            portfolio_id=portfolio_id,
            ticker=ticker,
            signal_type=signal_type,
            confidence=Decimal(str(confidence)),
            instrument=INSTRUMENTS[instrument],
            direction=DIRECTIONS[instrument, prediction],
        )
        for signal_id, portfolio_id, ticker, signal_type, confidence, instrument, prediction in rows
        if instrument in traded and _may_be_bought(ticker, instrument, prediction)
    ]


def _may_be_bought(ticker: str, instrument: str, prediction: str) -> bool:
    obstacle = "not_a_share" if (instrument, prediction) in DIRECTIONS else "bearish_long_only"
    bought = (instrument, prediction) in DIRECTIONS and is_tradable(ticker)
    if not bought:
        _log.info("signal opens nothing", extra={"action": obstacle, "ticker": ticker})
    return bought


def _ask(ctx: Context, candidates: Sequence[Candidate], held: Sequence[Position]) -> Market:
    """Ask for the share of every candidate (an option's chain is compared with it) and for the chains."""
    return ask(
        ctx,
        shares={one.ticker for one in candidates},
        optionable={one.ticker for one in candidates if one.instrument is OPTION},
        held=held,
    )


def _offer(ctx: Context, candidate: Candidate, market: Market, rules: OptionBuying) -> Offer | Refusal | None:
    """Return what the candidate buys, or why nothing; `None` where a missing answer was warned of already."""
    share, chain = market.shares.get(candidate.ticker), market.chains.get(candidate.ticker)
    if share is None:
        return None
    if candidate.direction == "long":
        return offer_share(candidate.ticker, share)
    today = ctx.tools.calendar.trading_date(ctx.tools.as_of)
    return offer_option(candidate.direction, chain, share, today, rules) if chain else None


def _trade(
    conn: sqlite3.Connection, ctx: Context, candidate: Candidate, offer: Offer, market: Market, rules: Rules
) -> None:
    """Buy for one candidate, selling what it replaces, in one transaction; or say why not."""
    portfolio = lock_portfolio(conn, candidate.portfolio_id)
    held = open_positions(conn, portfolio.id)
    prices = market.prices(held)
    order = plan(candidate.confidence, offer, portfolio, held, prices, rules.trading, ctx.tools.as_of)
    if isinstance(order, Refusal):
        _refuse(ctx, candidate, order)
        return
    if order.replaces:
        _sell(conn, ctx, order.replaces, prices[order.replaces.symbol])
    open_position(
        conn,
        portfolio_id=candidate.portfolio_id,
        signal_id=candidate.signal_id,
        signal_type=candidate.signal_type,
        confidence=candidate.confidence,
        offer=offer,
        holding=Holding.bought(offer.price, order.units, rules.exits[offer.instrument.name]),
        entered_at=ctx.tools.as_of,
        calendar=ctx.tools.calendar,
    )
    ctx.results["positions_opened"] += 1
    ctx.checkpoint()


def _refuse(ctx: Context, candidate: Candidate, refusal: Refusal) -> None:
    _log.info("signal opens nothing", extra={"action": refusal.type, "ticker": candidate.ticker})
    if not refusal.expected:
        ctx.warn(refusal.type, refusal.message, ticker=candidate.ticker, **refusal.context)


def _sell(conn: sqlite3.Connection, ctx: Context, position: Position, price: Price) -> None:
    now, units = ctx.tools.as_of, position.holding.units
    sale = Exit(reason="replaced", price=price.bid, units=units, at=now, note=f"at {price.basis}")
    settle(
        conn,
        position,
        replace(position.holding, units=0),
        [sale],
        Mark(price=price.mark, price_at=price.at, checked_at=now),
        calendar=ctx.tools.calendar,
        now=ctx.clock.now(),
    )
