"""What comments predict, bought as an option on paper, so that time can tell who was right.

A directional stance of a comment on a ticker becomes one prediction: a call or a put, chosen and filled as
phase 5 does for signals, of about two thousand dollars. It takes no cash; a neutral stance predicts nothing.

A prediction is first written without a price (`unpriced`), for the session that is open or opens next, and
bought by the first run that finds a contract for it while that session lasts. So an outage or a run at night
loses nothing that a later run can still have, and nothing is ever bought at a price of another day.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any, Final

from phases.analyzers.universe import is_tradable
from phases.chains.breaker import ChainBreaker
from phases.config import read_config
from phases.money import ticks, usd
from phases.prices.breaker import Breaker
from phases.prices.circuit import BreakerOpen
from phases.stamps import stamp
from phases.tools import Calendar, Context, NoChains, NoPrice, OptionType, PricesUnavailable
from phases.trading.offers import Offer, OptionBuying, Refusal, offer_option

_log = logging.getLogger(__name__)

BUDGET: Final = ticks(2_000)
"""Ticks that a prediction may cost; one contract is bought even where it costs more."""
EXAMPLES: Final = 5
"""So many tickers without a contract are explained in the warning."""

_STANCES: Final = """
SELECT c.id, t.ticker, t.sentiment FROM run_comments r JOIN comments c ON c.id = r.comment_id
JOIN comment_tickers t ON t.comment_id = c.id
WHERE r.run_id = :run_id AND r.picked = 1 AND c.analyzed_at IS NOT NULL AND c.created_utc <= :as_of
  AND t.sentiment <> 'neutral'
  AND NOT EXISTS (SELECT 1 FROM predictions p WHERE p.comment_id = c.id AND p.ticker = t.ticker)
ORDER BY c.id, t.id
"""

_WANT: Final = """
INSERT INTO predictions (comment_id, ticker, sentiment, option_type, analysis_run_id, entry_date, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (comment_id, ticker) DO NOTHING
"""

_WAITING: Final = """
SELECT p.ticker, p.option_type, p.id FROM predictions p JOIN comments c ON c.id = p.comment_id
WHERE p.status = 'unpriced' AND p.entry_date = :day AND c.created_utc <= :as_of ORDER BY p.ticker, p.id
"""

_BUY: Final = """
UPDATE predictions SET status = 'tracking', strike_price = :strike, expiration_date = :expiration,
  contract_symbol = :symbol, entry_premium = :premium, entry_basis = :basis, entered_at = :at,
  last_checked_at = :at, contracts = :contracts, contracts_remaining = :contracts,
  current_premium = :mark, peak_premium = :premium
WHERE id = :id AND status = 'unpriced'
"""

Waiting = Mapping[str, Mapping[OptionType, Sequence[int]]]
"""The ids of unpriced predictions, by ticker and kind."""


def make_predictions(conn: sqlite3.Connection, ctx: Context) -> None:
    """Write what the run's comments predict, and buy what can be had now; each ticker is committed alone."""
    if isinstance(ctx.tools.chains, NoChains):
        return
    ctx.results.setdefault("predictions_made", 0)
    day = buying_day(ctx.tools.calendar, ctx.tools.as_of)
    _want(conn, ctx, day)
    waiting = _waiting(conn, ctx, day)
    if waiting and not ctx.tools.calendar.is_open(ctx.tools.as_of):
        ctx.warn(
            "market_hours_skipped",
            f"the exchange is closed at {stamp(ctx.tools.as_of)}: predictions wait for the session of {day}",
            predictions_affected=sum(len(ids) for kinds in waiting.values() for ids in kinds.values()),
        )
    elif waiting:
        _buy_all(conn, ctx, waiting)


def buying_day(calendar: Calendar, at: datetime) -> date:
    """Return the day of the session that is open at an instant, or opens next."""
    first = calendar.trading_date(at)
    sessions = (calendar.session(first + timedelta(days=ahead)) for ahead in count())
    return next(session.day for session in sessions if session and at < session.closes)


def _want(conn: sqlite3.Connection, ctx: Context, day: date) -> None:
    rows = conn.execute(_STANCES, {"run_id": ctx.run_id, "as_of": stamp(ctx.tools.as_of)}).fetchall()
    now = stamp(ctx.clock.now())
    kinds: dict[str, OptionType] = {"bullish": "call", "bearish": "put"}
    conn.executemany(
        _WANT,
        [
            (comment_id, ticker, sentiment, kinds[sentiment], ctx.run_id, day.isoformat(), now)
            for comment_id, ticker, sentiment in rows
            if is_tradable(ticker)
        ],
    )
    ctx.checkpoint()


def _waiting(conn: sqlite3.Connection, ctx: Context, day: date) -> Waiting:
    found: defaultdict[str, defaultdict[OptionType, list[int]]] = defaultdict(lambda: defaultdict(list[int]))
    facts = {"day": day.isoformat(), "as_of": stamp(ctx.tools.as_of)}
    for ticker, kind, prediction_id in conn.execute(_WAITING, facts).fetchall():
        found[ticker][kind].append(prediction_id)
    return found


def _buy_all(conn: sqlite3.Connection, ctx: Context, waiting: Waiting) -> None:
    market = _Market.of(ctx, OptionBuying.of(read_config(conn)))
    for done, (ticker, kinds) in enumerate(waiting.items(), start=1):
        ctx.raise_if_stopping()
        offers = market.offers(ticker, list(kinds))
        for kind, offer in offers.items():
            ctx.results["predictions_made"] += _buy(conn, ctx, kinds[kind], offer)
        ctx.progress(done, len(waiting), "ticker")
        ctx.checkpoint()
    market.warn()


def _buy(conn: sqlite3.Connection, ctx: Context, ids: Sequence[int], offer: Offer) -> int:
    contract = offer.contract
    assert contract, "an option is offered"
    bought: dict[str, Any] = {
        "strike": usd(contract.strike),
        "expiration": contract.expiration.isoformat(),
        "symbol": contract.symbol,
        "premium": usd(offer.price),
        "mark": usd(offer.mark),
        "basis": offer.basis,
        "at": stamp(ctx.tools.as_of),
        "contracts": max(1, BUDGET // offer.unit_cost),
    }
    return conn.executemany(_BUY, [{**bought, "id": one} for one in ids]).rowcount


@dataclass(frozen=True, slots=True)
class _Market:
    """Asks for chains and shares, one ticker after the other, and gathers what could not be had."""

    ctx: Context
    rules: OptionBuying
    chains: ChainBreaker
    prices: Breaker
    refused: dict[str, Refusal]

    @classmethod
    def of(cls, ctx: Context, rules: OptionBuying) -> _Market:
        return cls(ctx, rules, ChainBreaker(ctx.tools.chains), Breaker(ctx.tools.prices), {})

    def offers(self, ticker: str, kinds: Sequence[OptionType]) -> dict[OptionType, Offer]:
        """Return what may be bought of a ticker; what may not, and why, is kept for the warnings."""
        now = self.ctx.tools.as_of
        try:
            chain = self.chains.chain(ticker, now)
            share = self.prices.quote(ticker, now) if chain else None
        except (BreakerOpen, NoPrice) as error:
            return self._refuse(ticker, error)
        except PricesUnavailable as error:
            self._warn_unavailable(ticker, str(error))
            return {}
        if not chain:
            _log.info("nothing to follow a prediction with", extra={"action": "no_options", "ticker": ticker})
            return {}
        if share is None:
            self.refused[ticker] = _refusal("its share has no recent price")
            return {}
        today = self.ctx.tools.calendar.trading_date(now)
        answers: dict[OptionType, Offer | Refusal]
        answers = {kind: offer_option(kind, chain, share, today, self.rules) for kind in kinds}
        for refusal in (one for one in answers.values() if isinstance(one, Refusal)):
            self.refused[ticker] = refusal
        return {kind: one for kind, one in answers.items() if isinstance(one, Offer)}

    def _refuse(self, ticker: str, error: PricesUnavailable) -> dict[OptionType, Offer]:
        if not isinstance(error, BreakerOpen):  # which the breaker tells by itself
            self.refused[ticker] = _refusal(str(error))
        return {}

    def _warn_unavailable(self, ticker: str, reason: str) -> None:
        self.ctx.warn(
            f"{self.chains.name}_prediction_unavailable",
            f"no option for what is predicted of {ticker}: {reason}",
            ticker=ticker,
            reason=reason,
        )

    def warn(self) -> None:
        """Say in one warning a kind what was not asked for, and what has no contract to buy."""
        self.chains.warn_if_open(self.ctx.warn)
        self.prices.warn_if_open(self.ctx.warn)
        if self.refused:
            shown = dict(list(self.refused.items())[:EXAMPLES])
            reasons = {ticker: refusal.message for ticker, refusal in shown.items()}
            self.ctx.warn(
                "prediction_strike_unavailable",
                f"no contract fits what is predicted of {len(self.refused)} tickers, for example "
                + "; ".join(f"{ticker}: {reason}" for ticker, reason in reasons.items()),
                tickers=list(self.refused),
                examples={ticker: dict(refusal.context) for ticker, refusal in shown.items()},
            )


def _refusal(reason: str) -> Refusal:
    return Refusal(type="strike_unavailable", message=reason, context={})
