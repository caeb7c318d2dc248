"""What came of a replay, as figures: read from its database, the same for ever.

Shares and returns are of one, never percent. Money is US dollars.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from api.replay.intervals import Chance, Estimate, bootstrap_mean, wilson
from api.replay.ledger import read_plan
from api.replay.plan import NEW_YORK, Plan
from phases.stamps import instant
from phases.tools import Calendar
from statemachine.connection import connect_read_only


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One run: what it had to go by, and what it did."""

    as_of: datetime
    comments: int
    """Made in the look-back before `as_of`."""
    with_text: int
    picked: int
    analyzed: int
    signals: Mapping[str, int]
    """Created or updated, by type."""
    opened: int
    exits: int
    warnings: int
    benchmark: float | None

    @property
    def when(self) -> str:
        """The day and time in New York."""
        return f"{self.as_of.astimezone(NEW_YORK):%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """One exit of a trade, whole or in part."""

    day: str
    price: float
    reason: str
    quantity_pct: float
    """Of what was held then."""
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One position, from its signal to its last sale."""

    ticker: str
    portfolio: str
    direction: str
    confidence: float
    entry_day: str
    entry_price: float
    entry_basis: str
    entry_is_before_its_reason: bool
    """Whether it was bought at a price made before the run looked."""
    cost: float
    status: str
    sales: Sequence[Sale]
    return_pct: float
    """Realized where closed; with what is still held at its last price where open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What a portfolio, or the benchmark, was worth after each run."""

    name: str
    values: Sequence[float | None]

    @property
    def return_pct(self) -> float | None:
        """From the first known value to the last."""
        known = [value for value in self.values if value is not None]
        return known[-1] / known[0] - 1 if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything that the report says."""

    plan: Plan
    looks: Sequence[Look]
    curves: Sequence[Curve]
    """The portfolios."""
    benchmark: Curve
    trades: Sequence[Trade]
    exits_by_reason: Mapping[str, int]
    hits: int
    hit_rate: Estimate | None
    """Of closed trades with a gain."""
    mean_return: Estimate | None
    """Of closed trades."""
    warnings: Mapping[str, int]
    seed: int

    @property
    def closed(self) -> list[Trade]:
        """The trades that are over."""
        return [trade for trade in self.trades if trade.status == "closed"]

    def as_json(self) -> dict[str, Any]:
        """Return all of it for programs; files by name only, since a path says whose machine it was."""
        return {
            **asdict(self),
            "plan": {
                **self.plan.as_json(),
                "source": named(self.plan.source),
                "prices": named(self.plan.prices),
                "options": named(self.plan.options),
            },
            "looks": [{**asdict(look), "as_of": look.as_of.isoformat()} for look in self.looks],
        }


def named(setting: str) -> str:
    """Return a source or prices without the folders of its files.

    >>> named("archive:/data/a.ndjson,/data/b.zst"), named("sample")
    ('archive:a.ndjson,b.zst', 'sample')
    """
    kind, colon, paths = setting.partition(":")
    return kind + colon + ",".join(Path(path).name for path in paths.split(","))


def read_outcome(db: Path, calendar: Calendar, chance: Chance, seed: int) -> Outcome:
    """Return what came of the replay in `db`, as far as it has been played.

    Args:
        db: The replay's database; it may be in use.
        calendar: Tells when a session opened.
        chance: Where the bootstrap draws from.
        seed: What `chance` began with, to be said in the report.

    Raises:
        DatabaseUnusable: It can't be read.
        NotThisReplay: It holds no replay.
    """
    with closing(connect_read_only(db)) as conn:
        conn.row_factory = sqlite3.Row
        plan = read_plan(conn, db)
        moments = conn.execute(_MOMENTS).fetchall()
        trades = _trades(conn, calendar)
        curves = _curves(conn, moments)
    gains = [trade.return_pct for trade in trades if trade.status == "closed"]
    hits = sum(gain > 0 for gain in gains)
    return Outcome(
        plan=plan,
        looks=[_look(row) for row in moments],
        curves=curves,
        benchmark=Curve(name=plan.benchmark, values=[row["benchmark"] for row in moments]),
        trades=trades,
        exits_by_reason=dict(Counter(sale.reason for trade in trades for sale in trade.sales).most_common()),
        hits=hits,
        hit_rate=wilson(hits, len(gains)),
        mean_return=bootstrap_mean(gains, chance),
        warnings=dict(Counter(each["type"] for row in moments for each in _warnings(row)).most_common()),
        seed=seed,
    )


_MOMENTS = """
SELECT m.as_of, m.benchmark, r.results, r.warnings
FROM replay_moments m JOIN analysis_runs r ON r.id = m.run_id ORDER BY m.as_of
"""

_VALUES = """
SELECT p.name, v.as_of, v.value FROM replay_values v JOIN portfolios p ON p.id = v.portfolio_id
ORDER BY p.id, v.as_of
"""

_TRADES = """
SELECT x.*, p.name AS portfolio FROM positions x JOIN portfolios p ON p.id = x.portfolio_id ORDER BY x.id
"""

_SALES = """
SELECT position_id, exit_date, exit_price, exit_reason, quantity_pct, note, realized_pnl
FROM position_exits ORDER BY id
"""


def _look(row: sqlite3.Row) -> Look:
    results = json.loads(row["results"])
    comments = results.get("comments", 0)
    return Look(
        as_of=instant(row["as_of"]),
        comments=comments,
        with_text=comments - results.get("comments_without_text", 0),
        picked=results.get("comments_picked", 0),
        analyzed=results.get("comments_analyzed", 0),
        signals=results.get("signals_by_type", {}),
        opened=results.get("positions_opened", 0),
        exits=results.get("exits_triggered", 0),
        warnings=len(_warnings(row)),
        benchmark=row["benchmark"],
    )


def _warnings(row: sqlite3.Row) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(row["warnings"] or "[]")
    return found


def _curves(conn: sqlite3.Connection, moments: Sequence[sqlite3.Row]) -> list[Curve]:
    values = {(row["name"], row["as_of"]): row["value"] for row in conn.execute(_VALUES)}
    names = dict.fromkeys(name for name, _ in values)
    return [Curve(name=name, values=[values[name, row["as_of"]] for row in moments]) for name in names]


def _trades(conn: sqlite3.Connection, calendar: Calendar) -> list[Trade]:
    sales: dict[int, list[sqlite3.Row]] = {}
    for row in conn.execute(_SALES):
        sales.setdefault(row["position_id"], []).append(row)
    return [_trade(row, sales.get(row["id"], []), calendar) for row in conn.execute(_TRADES)]


def _trade(row: sqlite3.Row, sales: Sequence[sqlite3.Row], calendar: Calendar) -> Trade:
    return Trade(
        ticker=row["ticker"],
        portfolio=row["portfolio"],
        direction=row["direction"],
        confidence=row["confidence"],
        entry_day=row["entry_date"],
        entry_price=row["premium_paid"] or row["entry_price"],
        entry_basis=row["entry_basis"],
        entry_is_before_its_reason=_is_stale(row, calendar),
        cost=row["position_size"],
        status=row["status"],
        sales=[
            Sale(
                day=sale["exit_date"],
                price=sale["exit_price"],
                reason=sale["exit_reason"],
                quantity_pct=sale["quantity_pct"],
                note=sale["note"],
            )
            for sale in sales
        ],
        return_pct=_return(row, sales),
    )


def _is_stale(row: sqlite3.Row, calendar: Calendar) -> bool:
    """Return whether a share was bought at its day's opening price after the opening."""
    session = calendar.session(datetime.fromisoformat(row["entry_date"]).date())
    at_the_open = row["entry_basis"] == f"open {row['entry_date']}"
    return at_the_open and session is not None and instant(row["entered_at"]) > session.opens


def _return(row: sqlite3.Row, sales: Sequence[sqlite3.Row]) -> float:
    if row["status"] == "closed":
        realized: float = row["realized_return_pct"]
        return realized
    paid = row["premium_paid"] or row["entry_price"]
    held = row["shares_remaining"] or (row["contracts_remaining"] or 0) * 100
    gained = sum(sale["realized_pnl"] for sale in sales)
    last = paid if row["last_price"] is None else row["last_price"]
    total: float = gained + held * (last - paid)
    return total / float(row["position_size"])
