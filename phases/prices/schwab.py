"""Schwab's prices of shares: the last regular trade, five-minute candles, and days.

schwab-py documents how to ask and leaves the answers to Schwab. The names read here are those of Schwab's
published description, as other clients repeat it; no answer of Schwab was recorded for this project, so the
first person with an account may find one that differs. An answer without a name that is needed is refused
(`BadAnswer`), never guessed.

Schwab knows the present only. A run of the past gets candles (Schwab keeps some months of them) and days, and
a trade that was made after the run's instant is not read. Schwab documents no list of splits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from phases.money import ticks
from phases.prices.age import MAX_AGE_SESSIONS, sessions_since
from phases.prices.answer import instant_in, mapping, number, part, parts
from phases.prices.doubt import is_a_bar, refused
from phases.prices.errors import LoginNeeded, Stale, UnknownTicker
from phases.prices.retry import patiently
from phases.prices.schwab_client import SchwabSession
from phases.prices.schwab_token import LOGIN, WARN_AHEAD, TokenFile, login_by
from phases.tools import Bar, Calendar, Quote, Remark

CANDLE: Final = timedelta(minutes=5)
FIVE_MINUTES_REACH: Final = timedelta(days=30)
"""How far back candles are asked for; before it days have to do."""
LOOK_BACK: Final = timedelta(days=10)


class SchwabPrices:
    """Prices from Schwab, as `Prices`; one object a run."""

    name = "schwab"

    def __init__(
        self,
        session: SchwabSession,
        tokens: TokenFile,
        calendar: Calendar,
        wait: Callable[[float], object],
        now: Callable[[], datetime],
    ) -> None:
        self._session = session
        self._tokens = tokens
        self._calendar = calendar
        self._wait = wait
        self._now = now
        self._refused = 0

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        """Return the last price of regular trading known at `at`; raises `Stale` where that is too old."""
        found = self._last_trade(ticker, at) or self._last_bar(ticker, at)
        if found is None:
            raise UnknownTicker(f"Schwab has no price of {ticker} of the days before {at:%Y-%m-%d %H:%M} UTC")
        age = sessions_since(found.at, at, self._calendar)
        if age > MAX_AGE_SESSIONS:
            raise Stale(f"Schwab's last price of {ticker} is of {found.at:%Y-%m-%d}, {age} sessions ago")
        return found

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:
        """Return five-minute candles as far back as there are any, and complete days, by their beginning.

        A day may be told twice, by its candles and as a whole: the candles come first.
        """
        days = self._days(ticker, after, until)
        candles = self._candles(ticker, max(after, self._now() - FIVE_MINUTES_REACH), until)
        return sorted((*days, *candles), key=lambda bar: (bar.start, bar.end))

    def remarks(self) -> Sequence[Remark]:
        """Say when a person has to log in again, where that is soon, and how many bars were not believed."""
        try:
            by = login_by(self._tokens.read())
        except LoginNeeded:
            return refused(self.name, self._refused)
        if by - self._now() > WARN_AHEAD:
            return refused(self.name, self._refused)
        remark = Remark(
            type="schwab_login_ends",
            message=f"the login to Schwab ends at {by:%Y-%m-%d %H:%M} UTC; {LOGIN}",
            context={"login_by": by.isoformat()},
        )
        return [remark, *refused(self.name, self._refused)]

    def _last_trade(self, ticker: str, at: datetime) -> Quote | None:
        """Return the last trade of regular hours, unless it is later than `at`."""
        answer = self._ask(lambda client: client.get_quotes([ticker]))
        if ticker not in answer:
            raise UnknownTicker(f"Schwab knows no {ticker}")
        regular = part(part(answer, ticker), "regular")
        made_at = instant_in(regular, "regularMarketTradeTime")
        price = ticks(number(regular, "regularMarketLastPrice"))
        if made_at > at or price <= 0:
            return None
        return Quote(price=price, at=made_at, basis=f"last trade {made_at:%Y-%m-%d %H:%M} UTC")

    def _last_bar(self, ticker: str, at: datetime) -> Quote | None:
        bars = self.bars(ticker, at - LOOK_BACK, at)
        if not bars:
            return None
        last = max(bars, key=lambda bar: (bar.end, bar.start))
        return Quote(
            price=last.close, at=last.end, basis=f"close of the bar until {last.end:%Y-%m-%d %H:%M} UTC"
        )

    def _days(self, ticker: str, after: datetime, until: datetime) -> Iterator[Bar]:
        answer = self._ask(
            lambda client: client.get_price_history_every_day(
                ticker, start_datetime=after - timedelta(days=1), end_datetime=until
            )
        )
        for opened, values, volume in self._usable(answer):
            session = self._calendar.session(self._calendar.trading_date(opened))
            if session and after <= session.opens and session.closes <= until:
                yield _bar(session.opens, session.closes, values, volume)

    def _candles(self, ticker: str, after: datetime, until: datetime) -> Iterator[Bar]:
        if after >= until:
            return
        answer = self._ask(
            lambda client: client.get_price_history_every_five_minutes(
                ticker, start_datetime=after, end_datetime=until, need_extended_hours_data=False
            )
        )
        for opened, values, volume in self._usable(answer):
            if after <= opened and opened + CANDLE <= until and self._calendar.is_open(opened):
                yield _bar(opened, opened + CANDLE, values, volume)

    def _usable(self, answer: Mapping[str, Any]) -> Iterator[tuple[datetime, list[Decimal], int]]:
        """Yield each candle's beginning, its open, high, low and close, and its volume."""
        for candle in parts(answer, "candles"):
            values = [number(candle, name) for name in ("open", "high", "low", "close")]
            if is_a_bar(*values):
                yield instant_in(candle, "datetime"), values, int(number(candle, "volume"))
            else:
                self._refused += 1

    def _ask(self, question: Callable[[Any], Any]) -> Mapping[str, Any]:
        answer = patiently(lambda: self._session.ask(question), self._wait)
        return mapping(answer, "the answer")


def _bar(start: datetime, end: datetime, values: Sequence[Decimal], volume: int) -> Bar:
    opened, high, low, close = map(ticks, values)
    return Bar(start=start, end=end, open=opened, high=high, low=low, close=close, volume=volume)
