"""Schwab's option chains; the names in its answers are those of its published description.

No answer was recorded (see `prices/schwab.py`). Schwab knows the present only, so a question about a past
instant finds no contract; a quote that was made while a live run was already going on counts as of the run's
instant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from phases.chains.occ import contract
from phases.money import ticks
from phases.prices.answer import instant_in, mapping, number, part, parts
from phases.prices.errors import BadAnswer
from phases.prices.retry import patiently
from phases.prices.schwab_client import SchwabSession
from phases.tools import CONTRACT_MULTIPLIER, LIVE, OptionContract, OptionQuote, OptionType

FURTHEST: Final = timedelta(days=60)
"""Expirations beyond it are not asked for."""
STALE: Final = timedelta(days=4)
"""A quote from before that is none."""
SIDES: Final[Mapping[OptionType, str]] = {"call": "callExpDateMap", "put": "putExpDateMap"}


class SchwabChains:
    """Chains from Schwab, as `OptionChains`."""

    name = "schwab"

    def __init__(
        self, session: SchwabSession, wait: Callable[[float], object], now: Callable[[], datetime]
    ) -> None:
        self._session = session
        self._wait = wait
        self._now = now

    def chain(self, ticker: str, at: datetime) -> Sequence[OptionQuote]:
        """Return the standard contracts of the next two months, `()` for any instant but the present."""
        if not timedelta(0) <= self._now() - at <= LIVE:
            return ()
        day = at.date()
        answer = patiently(
            lambda: self._session.ask(
                lambda client: client.get_option_chain(ticker, from_date=day, to_date=day + FURTHEST)
            ),
            self._wait,
        )
        return list(_quotes(mapping(answer, "the answer"), ticker, at))


def _quotes(answer: Mapping[str, Any], ticker: str, at: datetime) -> Iterator[OptionQuote]:
    underlying = _price(answer, "underlyingPrice")
    for kind, side in SIDES.items():
        for expires, strikes in part(answer, side).items():
            for strike in mapping(strikes, expires):
                for found in parts(mapping(strikes, expires), strike):
                    if _is_standard(found) and at - instant_in(found, "quoteTimeInLong") <= STALE:
                        yield _quote(found, _contract(ticker, expires, kind, strike), at, underlying)


def _is_standard(found: Mapping[str, Any]) -> bool:
    """Return whether a contract is for a hundred plain shares, and not adjusted after a split or a merger."""
    return not found.get("nonStandard") and number(found, "multiplier") == CONTRACT_MULTIPLIER


def _contract(ticker: str, expires: str, kind: OptionType, strike: str) -> OptionContract:
    """Return the contract of a place in the answer, such as `2026-12-11:21` and `190.0`."""
    try:
        expiration = date.fromisoformat(expires.partition(":")[0])
        return contract(ticker, expiration, kind, ticks(Decimal(strike)))
    except (ValueError, InvalidOperation):
        raise BadAnswer(f"Schwab's answer makes no sense: {expires} {strike} is no contract") from None


def _quote(found: Mapping[str, Any], of: OptionContract, at: datetime, underlying: int | None) -> OptionQuote:
    delta = number(found, "delta")
    return OptionQuote(
        contract=of,
        at=min(instant_in(found, "quoteTimeInLong"), at),
        bid=_price(found, "bid"),
        ask=_price(found, "ask"),
        mark=_price(found, "mark") or None,
        last=_price(found, "last"),
        delta=float(delta) if abs(delta) <= 1 else None,
        open_interest=int(number(found, "openInterest")),
        volume=int(number(found, "totalVolume")),
        underlying=underlying,
    )


def _price(found: Mapping[str, Any], name: str) -> int | None:
    """Return a price in ticks, `None` where it is below zero."""
    price = ticks(number(found, name))
    return price if price >= 0 else None
