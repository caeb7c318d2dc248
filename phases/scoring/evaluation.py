"""The paper portfolios against the benchmark: windows of thirty days that lie end to end, all in lockstep.

**Windows.** The first begins on the day of the first run. A window is over when its last day is, and the next
begins on that day: `(start, end]`, the first one with its start. After a long pause the windows go on one by
one instead of beginning anew on the day of the next run: so none overlap, no day is left out, and nobody can
make a bad month vanish by not running. Windows that nobody looked into have no return.

**Figures.** Each run values the open window: portfolio and benchmark at the same instant, the run's `as_of`;
that look is a point of the portfolio's equity as well (`equity.py`). A window ends with the figures of the
last look inside it, and the next begins with them, so that returns chain and like is compared with like.
Only positions that are fully closed are counted, in the window of the day of their exit; an exit that is
noticed later is counted in that window still.

A run at an earlier instant than the last look (a replay in the same database) changes nothing: what the
portfolios are worth now was not known then. A price of the benchmark that is missing stays unknown, is warned
of, and asked for again at the next looks, for the instant at which it was missed.
"""

from __future__ import annotations

import logging
import math
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Final

from phases.money import usd
from phases.prices.breaker import Breaker
from phases.scoring.equity import note_equity
from phases.stamps import instant, stamp
from phases.tools import Context, PricesUnavailable

_log = logging.getLogger(__name__)

BENCHMARK: Final = "SPY"
"""A fund that follows the S&P 500. Its dividends are not in its price, as those of shares are not in ours."""
WINDOW: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a window shows of one portfolio; returns are shares of one."""

    portfolio_return_pct: float | None
    sp500_return_pct: float | None
    relative_performance: float | None
    beat_benchmark: bool | None
    total_positions_closed: int
    winning_positions: int
    losing_positions: int
    avg_return_pct: float | None
    signal_accuracy_pct: float | None
    """The share of closed positions that gained."""


def figures(
    values: tuple[float | None, float | None],
    benchmark: tuple[float | None, float | None],
    returns: Sequence[float],
) -> Figures:
    """Compare two looks at a portfolio and the benchmark, and count the positions closed between them.

    >>> figures((100_000, 103_000), (400, 404), [0.15, -0.10, 0.04]).relative_performance
    0.02
    >>> figures((100_000, 103_000), (None, 404), []).beat_benchmark is None
    True
    """
    gained, expected = _change(*values), _change(*benchmark)
    relative = None if gained is None or expected is None else round(gained - expected, 12)
    won = sum(each > 0 for each in returns)
    closed = len(returns)
    return Figures(
        portfolio_return_pct=gained,
        sp500_return_pct=expected,
        relative_performance=relative,
        beat_benchmark=None if relative is None else relative > 0,
        total_positions_closed=closed,
        winning_positions=won,
        losing_positions=sum(each < 0 for each in returns),
        avg_return_pct=math.fsum(returns) / closed if closed else None,
        signal_accuracy_pct=won / closed if closed else None,
    )


def _change(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else (after - before) / before


_ACTIVE: Final = "SELECT period_end, last_valued_at FROM evaluation_periods WHERE status = 'active' LIMIT 1"

_OPEN_FIRST: Final = """
INSERT INTO evaluation_periods (portfolio_id, period_start, period_end, instrument_type, signal_type,
  value_at_period_start, opened_at, last_value, last_valued_at, created_at)
SELECT id, :start, :end, instrument_type, signal_type, current_value, :at, current_value, :at, :now
FROM portfolios
"""

_COMPLETE: Final = "UPDATE evaluation_periods SET status = 'completed' WHERE status = 'active'"

_OPEN_NEXT: Final = """
INSERT INTO evaluation_periods (portfolio_id, period_start, period_end, instrument_type, signal_type,
  value_at_period_start, benchmark_at_period_start, opened_at, last_value, last_benchmark, last_valued_at,
  created_at)
SELECT portfolio_id, period_end, :end, instrument_type, signal_type, last_value, last_benchmark,
  last_valued_at, last_value, last_benchmark, last_valued_at, :now
FROM evaluation_periods WHERE period_end = :start
"""

_LOOK: Final = """
UPDATE evaluation_periods SET last_valued_at = :at,
  last_benchmark = CASE WHEN last_valued_at = :at THEN last_benchmark END,
  last_value = (SELECT current_value FROM portfolios p WHERE p.id = evaluation_periods.portfolio_id)
WHERE status = 'active'
"""

_UNPRICED: Final = """
SELECT opened_at FROM evaluation_periods WHERE benchmark_at_period_start IS NULL
UNION SELECT last_valued_at FROM evaluation_periods WHERE last_benchmark IS NULL
"""

_PRICE_OPENING: Final = """
UPDATE evaluation_periods SET benchmark_at_period_start = :price
WHERE benchmark_at_period_start IS NULL AND opened_at = :at
"""

_PRICE_LAST: Final = """
UPDATE evaluation_periods SET last_benchmark = :price WHERE last_benchmark IS NULL AND last_valued_at = :at
"""

_PRICE_LOOK: Final = """
UPDATE portfolio_values SET benchmark = :price WHERE benchmark IS NULL AND valued_at = :at
"""

_LOOKS: Final = """
SELECT id, opened_at < last_valued_at, value_at_period_start, last_value, benchmark_at_period_start,
  last_benchmark FROM evaluation_periods ORDER BY id
"""

_CLOSED: Final = """
SELECT e.id, p.realized_return_pct FROM evaluation_periods e JOIN positions p
  ON p.portfolio_id = e.portfolio_id AND p.status = 'closed' AND p.exit_date <= e.period_end
WHERE p.exit_date > e.period_start OR p.exit_date = e.period_start AND NOT EXISTS (
  SELECT 1 FROM evaluation_periods b WHERE b.portfolio_id = e.portfolio_id AND b.period_end = e.period_start)
ORDER BY p.id
"""

_FIGURES: Final = """
UPDATE evaluation_periods SET portfolio_return_pct = :portfolio_return_pct,
  sp500_return_pct = :sp500_return_pct, relative_performance = :relative_performance,
  beat_benchmark = :beat_benchmark, total_positions_closed = :total_positions_closed,
  winning_positions = :winning_positions, losing_positions = :losing_positions,
  avg_return_pct = :avg_return_pct, signal_accuracy_pct = :signal_accuracy_pct WHERE id = :id
"""


def evaluate(conn: sqlite3.Connection, ctx: Context) -> None:
    """Bring the windows up to the run's day, and their figures up to its instant."""
    as_of, now = ctx.tools.as_of, stamp(ctx.clock.now())
    active = conn.execute(_ACTIVE).fetchone()
    if active and stamp(as_of) < active[1]:
        _log.info("portfolios were valued later already", extra={"action": "evaluation_skipped"})
        return
    missed = [at for (at,) in conn.execute(_UNPRICED).fetchall()]
    prices = _benchmark(ctx, [stamp(as_of), *missed])
    today = ctx.tools.calendar.trading_date(as_of)
    if active is None:
        span = {"start": today.isoformat(), "end": (today + WINDOW).isoformat()}
        conn.execute(_OPEN_FIRST, {**span, "at": stamp(as_of), "now": now})
    else:
        _catch_up(conn, date.fromisoformat(active[0]), today, now)
    conn.execute(_LOOK, {"at": stamp(as_of)})
    note_equity(conn, as_of, today)
    for statement in (_PRICE_OPENING, _PRICE_LAST, _PRICE_LOOK):
        conn.executemany(statement, [{"at": at, "price": price} for at, price in prices.items()])
    _write_figures(conn, ctx)


def _benchmark(ctx: Context, instants: Sequence[str]) -> dict[str, float]:
    """Return the benchmark's prices at instants, where there are any; warn if the first one has none."""
    prices, known = Breaker(ctx.tools.prices), dict[str, float]()
    for at in dict.fromkeys(instants):
        reason = "it is unknown, or its last price is stale"
        try:
            quote = prices.quote(BENCHMARK, instant(at))
        except PricesUnavailable as error:
            quote, reason = None, str(error)
        if quote:
            known[at] = usd(quote.price)
        elif at == instants[0]:
            ctx.warn(
                "benchmark_unavailable",
                f"no price for the benchmark {BENCHMARK}: {reason}; this look has no return to compare with",
                ticker=BENCHMARK,
                reason=reason,
            )
    return known


def _catch_up(conn: sqlite3.Connection, end: date, today: date, now: str) -> None:
    """Complete the open window once its last day is over, and those after it, until one reaches today."""
    while today > end:
        conn.execute(_COMPLETE)
        following = {"start": end.isoformat(), "end": (end + WINDOW).isoformat()}
        conn.execute(_OPEN_NEXT, {**following, "now": now})
        end += WINDOW


def _write_figures(conn: sqlite3.Connection, ctx: Context) -> None:
    returns: defaultdict[int, list[float]] = defaultdict(list[float])
    for period_id, realized in conn.execute(_CLOSED).fetchall():
        returns[period_id].append(realized)
    looks = conn.execute(_LOOKS).fetchall()
    for done, (period_id, was_looked_at, value, last_value, price, last_price) in enumerate(looks, start=1):
        found = figures(
            (value, last_value) if was_looked_at else (None, None),
            (price, last_price) if was_looked_at else (None, None),
            returns[period_id],
        )
        conn.execute(_FIGURES, {**asdict(found), "id": period_id})
        ctx.progress(done, len(looks), "period")
