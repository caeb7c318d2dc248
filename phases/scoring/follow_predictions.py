"""What becomes of predictions: looked at, sold and settled by the very rules of option positions.

Predictions of one contract that were bought together are in the same state, so each state is looked at once,
however many comments share it. When nothing is left of a prediction it is resolved: right if it gained.

Two ends are approximations, and say so in the exit's note: a contract that ended without a known official
close for a week is settled at its last premium, and so is one whose share was split, because the exchange
then changes the contract and the source lists another one.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from phases.chains.breaker import ChainBreaker
from phases.config import Config, read_config
from phases.money import ticks, usd
from phases.prices.breaker import Breaker
from phases.prices.circuit import BreakerOpen
from phases.stamps import instant, stamp
from phases.tools import CONTRACT_MULTIPLIER, Context, OptionContract, PricesUnavailable, Split
from phases.trading.book import Mark, insert
from phases.trading.exits import Exit, Holding
from phases.trading.expiry import last_session
from phases.trading.option_exits import OptionRules
from phases.trading.splits import last_moment
from phases.trading.watch import OptionWatch, Step, walk

PATIENCE: Final = timedelta(days=7)
"""So long an official close may be late."""

_TRACKED: Final = """
SELECT id, ticker, option_type, strike_price, expiration_date, contract_symbol, entry_premium, entry_date,
  entered_at, last_checked_at, contracts, contracts_remaining, current_premium, peak_premium,
  trailing_stop_active, took_profit
FROM predictions WHERE status = 'tracking' AND last_checked_at < ? ORDER BY ticker, id
"""

_MOVE: Final = """
UPDATE predictions SET contracts_remaining = :left, current_premium = :premium, peak_premium = :peak,
  trailing_stop_active = :trailing, took_profit = :took_profit, last_checked_at = :checked_at,
  status = CASE WHEN :left = 0 THEN 'resolved' ELSE 'tracking' END,
  simulated_return_pct = :gain, is_correct = :is_correct, resolved_at = :resolved_at
WHERE id = :id AND status = 'tracking' AND last_checked_at = :since
"""

_OUTCOME: Final = """
INSERT INTO prediction_outcomes (prediction_id, day_offset, premium, underlying_price, recorded_at)
VALUES (:id, :day_offset, :premium, :underlying, :at)
ON CONFLICT (prediction_id, day_offset) DO UPDATE SET premium = excluded.premium,
  underlying_price = excluded.underlying_price, recorded_at = excluded.recorded_at
"""

_GAINED: Final = "SELECT simulated_pnl FROM prediction_exits WHERE prediction_id = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What one or more predictions hold, as `watch` sees it."""

    ticker: str
    contract: OptionContract
    entry_date: date
    entered_at: datetime
    last_checked_at: datetime
    last_price: int
    bought: int
    """Contracts, at first."""
    holding: Holding

    @property
    def last_price_at(self) -> datetime:
        """When the last price was made, or looked at."""
        return self.last_checked_at


Tracked = Mapping[str, Mapping[State, Sequence[int]]]
"""The ids of tracked predictions, by ticker and state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look has shown of a state."""

    holding: Holding
    exits: Sequence[Exit]
    mark: Mark
    steps: Sequence[Step]


def follow_predictions(conn: sqlite3.Connection, ctx: Context) -> None:
    """Look at every prediction that is tracked; each ticker is committed by itself."""
    config = read_config(conn)
    tracked = _tracked(conn, ctx, config)
    if not tracked:
        return
    follower = _Follower.of(ctx, config)
    total, done = sum(len(ids) for states in tracked.values() for ids in states.values()), 0
    ctx.results.setdefault("predictions_resolved", 0)
    for ticker, states in tracked.items():
        ctx.raise_if_stopping()
        for state, seen in follower.looks(ticker, states):
            for prediction_id in states[state]:
                _write(conn, ctx, prediction_id, state, seen)
        done += sum(map(len, states.values()))
        ctx.progress(done, total, "prediction")
        ctx.checkpoint()
    follower.warn()


def _tracked(conn: sqlite3.Connection, ctx: Context, config: Config) -> Tracked:
    cursor = conn.execute(_TRACKED, (stamp(ctx.tools.as_of),))
    names, rules = [column[0] for column in cursor.description], OptionRules.of(config)
    tracked: defaultdict[str, defaultdict[State, list[int]]] = defaultdict(lambda: defaultdict(list[int]))
    for row in cursor.fetchall():
        columns = dict(zip(names, row, strict=True))
        tracked[columns["ticker"]][_state(columns, rules)].append(columns["id"])
    return tracked


def _state(row: Mapping[str, Any], rules: OptionRules) -> State:
    bought = Holding.bought(ticks(row["entry_premium"]), row["contracts_remaining"], rules)
    return State(
        ticker=row["ticker"],
        contract=OptionContract(
            symbol=row["contract_symbol"],
            ticker=row["ticker"],
            type=row["option_type"],
            strike=ticks(row["strike_price"]),
            expiration=date.fromisoformat(row["expiration_date"]),
        ),
        entry_date=date.fromisoformat(row["entry_date"]),
        entered_at=instant(row["entered_at"]),
        last_checked_at=instant(row["last_checked_at"]),
        last_price=ticks(row["current_premium"]),
        bought=row["contracts"],
        holding=replace(
            bought,
            peak=ticks(row["peak_premium"]),
            trailing=bool(row["trailing_stop_active"]),
            took_profit=bool(row["took_profit"]),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Follower:
    """Looks at states, one ticker after the other."""

    ctx: Context
    watch: OptionWatch
    prices: Breaker

    @classmethod
    def of(cls, ctx: Context, config: Config) -> _Follower:
        prices, chains = Breaker(ctx.tools.prices), ChainBreaker(ctx.tools.chains)
        return cls(ctx, OptionWatch(chains, prices, ctx.tools.calendar, OptionRules.of(config)), prices)

    def looks(self, ticker: str, states: Mapping[State, Sequence[int]]) -> Iterator[tuple[State, Seen]]:
        """Yield what is new of a ticker's states; what a source keeps to itself is left for the next run."""
        try:
            for state in states:
                seen = self._look(state)
                if seen.exits or seen.mark.checked_at > state.last_checked_at:
                    yield state, seen
        except BreakerOpen:
            return
        except PricesUnavailable as error:
            self.ctx.warn(
                self.watch.warning,
                f"no premium for what was predicted of {ticker}: {error}",
                ticker=ticker,
                reason=str(error),
            )

    def _look(self, state: State) -> Seen:
        as_of = self.ctx.tools.as_of
        split = next(iter(self.prices.splits(state.ticker, state.entered_at, as_of)), None)
        look = self.watch.look(state, last_moment(split) if split else as_of)
        holding, exits, mark = walk(state, look.steps)
        if holding.units and (end := self._approximate_end(state, split)):
            exits.append(replace(end, price=mark.price, units=holding.units))
            holding = replace(holding, units=0)
        steps = [one for one in look.steps if state.last_checked_at < one.at <= mark.checked_at]
        return Seen(holding=holding, exits=exits, mark=mark, steps=steps)

    def _approximate_end(self, state: State, split: Split | None) -> Exit | None:
        """Return the exit of a contract that has to end at its last premium; `None` while it needn't."""
        end = last_session(state.contract, self.ctx.tools.calendar)
        if split:
            note = "its share was split, which changes the contract: settled at the last premium"
            return Exit(reason="expiration", price=0, units=0, at=split.at, note=note)
        if self.ctx.tools.as_of >= end.closes + PATIENCE:
            note = f"no official close of {end.day} was to be had: settled at the last premium"
            return Exit(reason="expiration", price=0, units=0, at=end.closes, note=note)
        return None

    def warn(self) -> None:
        """Say in one warning a source what was not asked for."""
        self.watch.warn_if_open(self.ctx.warn)
        self.prices.warn_if_open(self.ctx.warn)


def _write(conn: sqlite3.Connection, ctx: Context, prediction_id: int, state: State, seen: Seen) -> None:
    moved = {
        "id": prediction_id,
        "since": stamp(state.last_checked_at),
        "left": seen.holding.units,
        "premium": usd(seen.mark.price),
        "peak": usd(seen.holding.peak),
        "trailing": int(seen.holding.trailing),
        "took_profit": int(seen.holding.took_profit),
        "checked_at": stamp(seen.mark.checked_at),
        **_resolution(conn, prediction_id, state, seen),
    }
    if not conn.execute(_MOVE, moved).rowcount:
        return  # another run has looked at it meanwhile
    conn.executemany(_OUTCOME, [_outcome(ctx, prediction_id, state, step) for step in seen.steps])
    held = state.holding.units
    for sale in seen.exits:
        _sell(conn, ctx, prediction_id, state, sale, held)
        held -= sale.units
    ctx.results["predictions_resolved"] += not held


def _resolution(
    conn: sqlite3.Connection, prediction_id: int, state: State, seen: Seen
) -> dict[str, float | str | None]:
    """Return what is known of the whole once nothing is left of it."""
    if seen.holding.units:
        return {"gain": None, "is_correct": None, "resolved_at": None}
    earlier = sum(ticks(pnl) for (pnl,) in conn.execute(_GAINED, (prediction_id,)).fetchall())
    gained = earlier + sum(_gain(state, sale) for sale in seen.exits)
    return {
        "gain": gained / (state.holding.entry_price * state.bought * CONTRACT_MULTIPLIER),
        "is_correct": int(gained > 0),
        "resolved_at": stamp(seen.exits[-1].at),
    }


def _gain(state: State, sale: Exit) -> int:
    return (sale.price - state.holding.entry_price) * sale.units * CONTRACT_MULTIPLIER


def _outcome(ctx: Context, prediction_id: int, state: State, step: Step) -> dict[str, object]:
    return {
        "id": prediction_id,
        "day_offset": (ctx.tools.calendar.trading_date(step.at) - state.entry_date).days,
        "premium": usd(step.price),
        "underlying": None if step.underlying is None else usd(step.underlying),
        "at": stamp(step.at),
    }


def _sell(
    conn: sqlite3.Connection, ctx: Context, prediction_id: int, state: State, sale: Exit, held: int
) -> None:
    insert(
        conn,
        "prediction_exits",
        prediction_id=prediction_id,
        exit_date=ctx.tools.calendar.trading_date(sale.at).isoformat(),
        exited_at=stamp(sale.at),
        exit_premium=usd(sale.price),
        exit_reason=sale.reason,
        note=sale.note,
        quantity_pct=sale.units / held,
        contracts_exited=sale.units,
        simulated_pnl=usd(_gain(state, sale)),
        created_at=stamp(ctx.clock.now()),
    )
