"""A second source while the first one fails: labelled, and only then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from phases.prices.errors import UnknownTicker, Unreachable
from phases.prices.fallback import Fallback
from phases.tools import Bar, NoPrice, PricesUnavailable, Quote, Remark, Split

NOW = datetime(2026, 11, 20, 17, tzinfo=UTC)


@dataclass
class Source:
    """Says one price of everything, or fails."""

    name: str
    price: int
    failure: PricesUnavailable | None = None
    split: Split | None = None
    asked: list[str] = field(default_factory=list[str])

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        self._fail(ticker)
        return Quote(price=self.price, at=at, basis="a trade")

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:
        self._fail(ticker)
        price = self.price
        return [Bar(start=after, end=until, open=price, high=price, low=price, close=price)]

    def splits(self, ticker: str, after: datetime, until: datetime) -> Sequence[Split]:
        self._fail(ticker)
        return [self.split] if self.split and after < self.split.at <= until else []

    def remarks(self) -> Sequence[Remark]:
        return [Remark(type="said", message=self.name)]

    def _fail(self, ticker: str) -> None:
        self.asked.append(ticker)
        if self.failure:
            raise self.failure


def both(failure: PricesUnavailable | None = None) -> tuple[Source, Source, Fallback]:
    first, second = Source("schwab", 100, failure), Source("yfinance", 99)
    return first, second, Fallback(first, second)


def test_while_the_first_answers_the_second_is_not_asked() -> None:
    _, second, prices = both()

    assert prices.quote("GME", NOW) == Quote(price=100, at=NOW, basis="a trade")
    assert [bar.close for bar in prices.bars("GME", NOW, NOW)] == [100]
    assert second.asked == []
    assert [one.message for one in prices.remarks()] == ["schwab", "yfinance"]


def test_where_the_first_fails_the_second_answers_under_its_own_name() -> None:
    _, _, prices = both(Unreachable("Schwab answers 503"))

    quote = prices.quote("GME", NOW)

    assert quote == Quote(price=99, at=NOW, basis="yfinance instead of schwab: a trade")
    assert [bar.close for bar in prices.bars("GME", NOW, NOW)] == [99]
    assert prices.remarks()[0] == Remark(
        type="schwab_stock_unavailable",
        message="yfinance stands in for schwab, which failed: Schwab answers 503",
        context={"tickers": ["GME"], "stand_in": "yfinance"},
    )


def test_a_ticker_without_a_price_is_not_looked_for_elsewhere() -> None:
    _, second, prices = both(UnknownTicker("no such thing"))

    with pytest.raises(NoPrice, match="no such thing"):
        prices.quote("GME", NOW)
    assert second.asked == []


def test_where_both_fail_the_second_failure_is_told_and_nothing_stood_in() -> None:
    _, second, prices = both(Unreachable("first"))
    second.failure = Unreachable("second")

    with pytest.raises(Unreachable, match="second"):
        prices.quote("GME", NOW)
    assert [one.type for one in prices.remarks()] == ["said", "said"]


def test_a_dead_first_source_is_asked_three_times_and_the_second_goes_on() -> None:
    first, _, prices = both(Unreachable("no answer"))

    quotes = [prices.quote(ticker, NOW) for ticker in "ABCDE"]

    assert all(quotes)
    assert first.asked == ["A", "B", "C"]


@pytest.mark.parametrize("dead", [0, 1])
def test_splits_come_from_whoever_knows_them(dead: int) -> None:
    first, second, prices = both()
    living, failing = [(second, first), (first, second)][dead]
    living.split = Split(at=NOW, ratio=Fraction(7))
    failing.failure = Unreachable("no answer")

    assert prices.splits("GME", NOW.replace(hour=1), NOW) == [living.split]


def test_a_split_that_both_know_is_one() -> None:
    first, second, prices = both()
    first.split = second.split = Split(at=NOW, ratio=Fraction(7))

    assert prices.splits("GME", NOW.replace(hour=1), NOW) == [first.split]
