"""What a split does to a position that is open, and how one is noticed that nobody announced.

A split changes what one share is; it makes nobody richer. Shares, entry, stop, target and peak are restated
in new shares. What whole shares at whole ticks can't express is paid in cash: to the tick, the value before
is the value after and that cash, and a position's gains still add up to its proceeds less its cost.

A contract follows its share where the exchange makes whole contracts of it: by 7 for 1 one contract becomes
seven at a seventh of the strike. After any other split it is for another number of shares (`restates`).

The days before a split are judged at their own prices, so a position is looked at up to the last moment of
old shares, restated, and looked at from there (`last_moment`).

Where a source knows of no split but a night's move has the size of one, `before_jump` holds back what came
after that night: nothing is sold automatically at a price that may be of another kind of share.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from phases.chains.occ import contract
from phases.money import TICKS_PER_USD, usd
from phases.stamps import instant, stamp
from phases.tools import Bar, Calendar, OptionContract, Quote, Split, SplitSource
from phases.trading.book import Position, lock_portfolio, move_cash, realized
from phases.trading.exits import Holding
from phases.trading.watched import Watched

FACTORS: Final = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 16, 20, 25, 30, 40, 50, 100)
"""Sizes of splits, either way, that a night's move is compared with. 3 for 2 is not among them: real falls
of a third are common."""
TOLERANCE: Final = Fraction(5, 100)
"""How far a night's own move may take a split's price from the exact factor, as a share of one."""
TICKS_PER_CENT: Final = TICKS_PER_USD // 100
INSTANT: Final = timedelta(milliseconds=1)
"""The shortest time that a stamp in the database can tell apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restated:
    """A holding in new shares, with what the split paid out."""

    holding: Holding
    last_price: int
    cash: int
    """In lieu of the part that whole new shares at whole ticks don't express; ticks, never negative."""
    gain: int
    """What that cash brought beyond the cost of what it stands for."""


def restated(holding: Holding, last_price: int, ratio: Fraction) -> Restated:
    """Return a holding after a split; `holding.units == 0` where no whole share is left."""
    shares = math.floor(holding.units * ratio)
    price = math.floor(last_price / ratio)
    entry = max(1, _in_new(holding.entry_price, ratio))
    cash = last_price * holding.units - price * shares
    return Restated(
        holding=replace(
            holding,
            units=shares,
            entry_price=entry,
            stop=_in_new(holding.stop, ratio),
            target=_in_new(holding.target, ratio),
            peak=_in_new(holding.peak, ratio),
        ),
        last_price=price,
        cash=cash,
        gain=cash - (holding.entry_price * holding.units - entry * shares),
    )


def _in_new(price: int, ratio: Fraction) -> int:
    return round(price / ratio)


def restates(position: Watched, split: Split) -> bool:
    """Return whether a split is put into the book: any for shares, whole ones for contracts."""
    return position.contract is None or split.ratio.denominator == 1


def pending(conn: sqlite3.Connection, prices: object, position: Position, until: datetime) -> list[Split]:
    """Return the splits since the entry that this position has not been restated for, in order of time.

    Raises `PricesUnavailable` where the source can't say.
    """
    if not isinstance(prices, SplitSource):
        return []
    rows = conn.execute(
        """
        SELECT x.entered_at, s.effective_at FROM positions x
        LEFT JOIN position_splits s ON s.position_id = x.id WHERE x.id = ?
        """,
        (position.id,),
    ).fetchall()
    applied = {instant(effective_at) for _, effective_at in rows if effective_at}
    announced = prices.splits(position.ticker, instant(rows[0][0]), until)
    return [one for one in announced if one.at not in applied]


def last_moment(split: Split) -> datetime:
    """Return the last instant at which the old shares were what one traded."""
    return split.at - INSTANT


def apply_split(
    conn: sqlite3.Connection, position: Position, split: Split, *, calendar: Calendar, now: datetime
) -> bool:
    """Write what a split does to a position and its portfolio, once.

    Nothing older than the split is looked at from then on. A position without a whole share left is closed.
    Returns `False`, with nothing written, when the split was applied before or the shares held are no longer
    those of `position`.
    """
    restating = restated(position.holding, _old_price(position, split), split.ratio)
    multiplier = position.instrument.multiplier
    restating = replace(restating, cash=restating.cash * multiplier, gain=restating.gain * multiplier)
    if not _record(conn, position, split, restating, now):
        return False
    columns = _state(conn, position, split, restating)
    if not restating.holding.units:
        columns |= _closing(conn, position, split, calendar)
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    conn.execute(f"UPDATE positions SET {assignments} WHERE id = :id", {**columns, "id": position.id})
    move_cash(conn, lock_portfolio(conn, position.portfolio_id), restating.cash)
    return True


def _old_price(position: Position, split: Split) -> int:
    """Return the last price of an old share, also where the split is learnt of only after a newer price."""
    if position.last_price_at < split.at:
        return position.last_price
    return round(position.last_price * split.ratio)


def _state(
    conn: sqlite3.Connection, position: Position, split: Split, restating: Restated
) -> dict[str, object]:
    holding, units = restating.holding, position.instrument.units
    (bought,) = conn.execute(f"SELECT {units} FROM positions WHERE id = ?", (position.id,)).fetchone()
    return {
        units: max(1, math.floor(int(bought) * split.ratio)),
        f"{units}_remaining": holding.units,
        "entry_price": usd(holding.entry_price),
        "stop_loss_price": usd(holding.stop),
        "take_profit_price": usd(holding.target),
        position.instrument.peak: usd(holding.peak),
        "last_price": usd(restating.last_price),
        "last_checked_at": stamp(max(position.last_checked_at, last_moment(split))),
        **(_contract_columns(position.contract, holding, split.ratio) if position.contract else {}),
    }


def _contract_columns(old: OptionContract, holding: Holding, ratio: Fraction) -> dict[str, object]:
    """Return the columns of the contract that an old one has become; strikes are rounded to the cent."""
    strike = round(old.strike / ratio / TICKS_PER_CENT) * TICKS_PER_CENT
    new = contract(old.ticker, old.expiration, old.type, strike)
    return {
        "strike_price": usd(new.strike),
        "contract_symbol": new.symbol,
        "premium_paid": usd(holding.entry_price),
    }


def _closing(
    conn: sqlite3.Connection, position: Position, split: Split, calendar: Calendar
) -> dict[str, object]:
    day = calendar.trading_date(split.at)
    return {
        "status": "closed",
        "exit_date": day.isoformat(),
        "exit_reason": "split",
        "hold_days": (day - position.entry_date).days,
        "realized_return_pct": realized(conn, position.id) / position.cost,
    }


def _record(
    conn: sqlite3.Connection, position: Position, split: Split, after: Restated, now: datetime
) -> bool:
    """Write the split's row, unless it is there or the shares held are no longer those of `position`."""
    written = conn.execute(
        """
        INSERT INTO position_splits (position_id, effective_at, numerator, denominator, shares_before,
                                     shares_after, cash_in_lieu, realized_pnl, created_at)
        SELECT id, :effective_at, :numerator, :denominator, :before, :after, :cash, :gain, :now
        FROM positions WHERE id = :id AND status = 'open'
          AND coalesce(shares_remaining, contracts_remaining) = :before
        ON CONFLICT (position_id, effective_at) DO NOTHING
        """,
        {
            "id": position.id,
            "effective_at": stamp(split.at),
            "numerator": split.ratio.numerator,
            "denominator": split.ratio.denominator,
            "before": position.holding.units,
            "after": after.holding.units,
            "cash": usd(after.cash),
            "gain": usd(after.gain),
            "now": stamp(now),
        },
    ).rowcount
    return bool(written)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """A night's move that looks like a split of which the source says nothing."""

    before: int
    after: int
    at: datetime
    """When the first price after it was made."""
    ratio: Fraction

    def __str__(self) -> str:
        """Say what was seen, in dollars."""
        new, old = self.ratio.numerator, self.ratio.denominator
        return f"after {usd(self.before):.2f} came {usd(self.after):.2f}, as by a split of {new} for {old}"


def split_like(before: int, after: int) -> Fraction | None:
    """Return the split whose size the move from one price to the next has, if it has one.

    >>> split_like(6455700, 927000), split_like(20000, 205000), split_like(1000, 930)
    (Fraction(7, 1), Fraction(1, 10), None)
    """
    if before <= 0 or after <= 0:
        return None
    ratios = [ratio for factor in FACTORS for ratio in (Fraction(factor), Fraction(1, factor))]
    moved = Fraction(before, after)
    return next((ratio for ratio in ratios if abs(moved / ratio - 1) <= TOLERANCE), None)


def before_jump(
    position: Watched, bars: Sequence[Bar], quote: Quote | None, calendar: Calendar
) -> tuple[Sequence[Bar], Quote | None, Jump | None]:
    """Return what of the bars and the quote lies before the first night with a split-like move, and that.

    Only nights count: within a session no share becomes another.
    """
    price, seen_at = position.last_price, position.last_price_at
    for place, bar in enumerate(bars):
        if bar.start < position.last_checked_at:
            continue
        if jump := _overnight(price, seen_at, bar.open, bar.start, calendar):
            return bars[:place], None, jump
        price, seen_at = bar.close, bar.end
    jump = _overnight(price, seen_at, quote.price, quote.at, calendar) if quote else None
    return bars, None if jump else quote, jump


def _overnight(
    before: int, before_at: datetime, after: int, after_at: datetime, calendar: Calendar
) -> Jump | None:
    if calendar.trading_date(after_at) <= calendar.trading_date(before_at):
        return None
    ratio = split_like(before, after)
    return Jump(before=before, after=after, at=after_at, ratio=ratio) if ratio else None
