"""A person's sale of a position, for the HTTP route and the command line alike."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from api.writing import writing
from statemachine.contract import Clock
from statemachine.store import RunReader

MAX_REASON_CHARS: Final = 500


class CloseRefused(Exception):
    """The position was not closed; the message says why."""


class BadQuantity(CloseRefused):
    """No such part of a position can be sold."""


class NoSuchPosition(CloseRefused):
    """There is no position of that number."""


class AlreadyClosed(CloseRefused):
    """Nothing is left of the position."""


class NoPrice(CloseRefused):
    """The last price is too old to sell at."""


REFUSALS: Final[dict[str, type[CloseRefused]]] = {
    "unknown": NoSuchPosition,
    "closed": AlreadyClosed,
    "no_price": NoPrice,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """What was sold, and at which price."""

    exit_id: int
    price_at: str
    """When the price was made; ISO 8601, UTC."""
    price_usable_until: str


def close(db: Path, position_id: int, *, reason: str, quantity: float, clock: Clock) -> Sale:
    """Sell a part of a position (`quantity` is a share of one, of what is left) at its stored price.

    Raises:
        CloseRefused: One of its kinds, with a sentence.
        StoreBusy: A phase is writing; try again in a moment.
    """
    from phases.calendar import ExchangeCalendar  # noqa: PLC0415  # other phases need no pipeline
    from phases.stamps import stamp  # noqa: PLC0415  # the same
    from phases.trading.close_position import NotClosed, close_position  # noqa: PLC0415  # the same

    if not 0 < quantity <= 1:
        raise BadQuantity(f"quantity_pct must be above 0 and at most 1, not {quantity:g}")
    now = clock.now()
    at = _book_time(db, now)
    with writing(db) as conn:
        done = close_position(
            conn,
            position_id,
            share=Decimal(str(quantity)),
            note=reason,
            at=at,
            now=now,
            calendar=ExchangeCalendar(),
        )
    if isinstance(done, NotClosed):
        raise REFUSALS[done.reason](done.message)
    return Sale(
        exit_id=done.exit_id,
        price_at=stamp(done.price_at),
        price_usable_until=stamp(done.price_usable_until),
    )


def _book_time(db: Path, now: datetime) -> datetime:
    """Return what time it is in the book: that of the newest run, gone on since at the pace of the clock.

    A run of today is about today; after one that pretended to be in 2021 it is still 2021.
    """
    from phases.stamps import instant  # noqa: PLC0415  # the reason above

    with closing(RunReader(db)) as reader:
        newest = reader.runs(limit=1)
    spans = [(run.params["as_of"], run.started_at) for run in newest if "as_of" in run.params]
    return max((instant(as_of) + (now - instant(started)) for as_of, started in spans), default=now)
