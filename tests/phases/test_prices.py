"""Daily prices from a file: nothing is seen before it was public, and nothing unusable is believed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phases.calendar import ExchangeCalendar
from phases.money import ticks
from phases.prices.breaker import Breaker
from phases.prices.circuit import BreakerOpen
from phases.prices.csv import COLUMNS, CsvPrices
from phases.prices.sample import SamplePrices
from phases.sample import SAMPLE_AS_OF
from phases.tools import Bar, NoPrice, PricesUnavailable, Quote, Split

REAL = Path(__file__).parents[3] / "shared/data/wsb/market_prices_2020-09_2021.csv"
CALENDAR = ExchangeCalendar()
FIRST_DAY = date(2020, 11, 23)
"""The week of Thanksgiving: a holiday, a half-day and weekends are among the days from here on."""
DAYS = 14
Row = tuple[date, int, int, int, int]
"""A day and its open, high, low, close in whole dollars."""


def law(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a property: slow, and without a deadline, because the first question loads the calendar."""
    marked: Callable[..., None] = pytest.mark.slow(settings(deadline=None)(test))
    return marked


def file_of(rows: Iterable[Row], folder: str | Path) -> Path:
    path = Path(folder) / "prices.csv"
    lines = [f"GME,{day},{opened},{high},{low},{close},100" for day, opened, high, low, close in rows]
    path.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n", encoding="utf-8")
    return path


def prices_of(rows: Iterable[Row]) -> CsvPrices:
    with tempfile.TemporaryDirectory() as folder:
        prices = CsvPrices(file_of(rows, folder), CALENDAR)
        prices.bars("GME", at(FIRST_DAY), at(FIRST_DAY))  # reads the rows while the file is there
        return prices


def prices_from(tmp_path: Path, *lines: str, header: str = ",".join(COLUMNS)) -> CsvPrices:
    path = tmp_path / "prices.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return CsvPrices(path, CALENDAR)


def at(day: date, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


@st.composite
def a_row(draw: st.DrawFn, day: date) -> Row:
    low, *middle, high = sorted(draw(st.lists(st.integers(1, 500), min_size=4, max_size=4)))
    opened, close = draw(st.permutations(middle))
    return day, opened, high, low, close


ROWS = st.tuples(*(a_row(FIRST_DAY + timedelta(days=ahead)) for ahead in range(DAYS)))
INSTANTS = st.integers(0, DAYS * 24 * 60).map(lambda minutes: at(FIRST_DAY) + timedelta(minutes=minutes))


@law
@given(ROWS, ROWS, INSTANTS)
def test_what_becomes_public_later_changes_no_answer(
    rows: Sequence[Row], others: Sequence[Row], now: datetime
) -> None:
    def as_known(row: Row, other: Row) -> Row:
        session = CALENDAR.session(row[0])
        if session is None or session.closes <= now:
            return row
        # The open is public during the session, and the other row's range is made wide enough to hold it.
        return (row[0], row[1], 1000, 1, other[4]) if session.opens <= now else other

    prices = prices_of(rows)
    changed = prices_of(map(as_known, rows, others))

    assert changed.quote("GME", now) == prices.quote("GME", now)
    assert changed.bars("GME", at(FIRST_DAY), now) == prices.bars("GME", at(FIRST_DAY), now)


@law
@given(ROWS, st.randoms(use_true_random=False), INSTANTS)
def test_the_order_of_rows_does_not_matter(rows: Sequence[Row], random: Any, now: datetime) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)

    prices, other = prices_of(rows), prices_of(shuffled)

    assert other.quote("GME", now) == prices.quote("GME", now)
    assert other.bars("GME", at(FIRST_DAY), now) == prices.bars("GME", at(FIRST_DAY), now)


@law
@given(ROWS, INSTANTS, INSTANTS, INSTANTS)
def test_bars_are_complete_in_order_and_split_without_loss_at_a_close(
    rows: Sequence[Row], one: datetime, two: datetime, three: datetime
) -> None:
    after, middle, until = sorted((one, two, three))
    prices = prices_of(rows)
    whole = prices.bars("GME", after, until)

    assert all(bar.start >= after and bar.end <= until for bar in whole)
    assert [bar.start for bar in whole] == sorted({bar.start for bar in whole})
    if not CALENDAR.is_open(middle):
        assert [*prices.bars("GME", after, middle), *prices.bars("GME", middle, until)] == whole


# --- what is public when ---

TUESDAY = date(2020, 12, 1)
TWO_DAYS = [(date(2020, 11, 30), 602, 607, 554, 567), (TUESDAY, 597, 598, 572, 584)]


@pytest.mark.parametrize(
    ("now", "price_usd", "basis", "made_at"),
    [
        (at(TUESDAY, 14, 29), 567, "close 2020-11-30", at(date(2020, 11, 30), 21)),
        (at(TUESDAY, 14, 30), 597, "open 2020-12-01", at(TUESDAY, 14, 30)),
        (at(TUESDAY, 20, 59), 597, "open 2020-12-01", at(TUESDAY, 14, 30)),
        (at(TUESDAY, 21, 0), 584, "close 2020-12-01", at(TUESDAY, 21)),
        (at(date(2020, 12, 2), 18), 584, "close 2020-12-01", at(TUESDAY, 21)),
    ],
    ids=["before the bell", "at the bell", "in mid-session", "at the close", "a day without a row"],
)
def test_a_quote_is_the_last_price_that_was_public(
    now: datetime, price_usd: int, basis: str, made_at: datetime
) -> None:
    assert prices_of(TWO_DAYS).quote("GME", now) == Quote(price=ticks(price_usd), at=made_at, basis=basis)


def test_on_a_half_day_the_close_is_public_at_13_00_in_new_york() -> None:
    half_day = date(2020, 11, 27)
    prices = prices_of([(half_day, 10, 12, 9, 11)])

    assert prices.quote("GME", at(half_day, 17, 59)) == Quote(
        price=ticks(10), at=at(half_day, 14, 30), basis="open 2020-11-27"
    )
    assert prices.bars("GME", at(half_day), at(half_day, 17, 59)) == []
    assert len(prices.bars("GME", at(half_day), at(half_day, 18))) == 1


def test_a_quote_is_stale_after_three_more_sessions_whatever_holidays_lie_between() -> None:
    prices = prices_of([(date(2020, 11, 24), 10, 12, 9, 11)])
    last_fresh, stale = date(2020, 11, 30), date(2020, 12, 1)  # sessions since: 25th, 27th, 30th, 1st

    assert prices.quote("GME", at(last_fresh, 20)) is not None
    assert prices.quote("GME", at(stale, 14, 29)) is not None
    assert prices.quote("GME", at(stale, 14, 30)) is None


def test_a_bar_that_begins_and_ends_at_the_very_instants_belongs_to_the_answer() -> None:
    prices = prices_of(TWO_DAYS)

    assert len(prices.bars("GME", at(TUESDAY, 14, 30), at(TUESDAY, 21))) == 1
    assert prices.bars("GME", at(TUESDAY, 14, 31), at(TUESDAY, 21)) == []


def test_an_unknown_ticker_has_no_quote_and_no_bars() -> None:
    prices = prices_of(TWO_DAYS)

    assert prices.quote("TSLA", at(TUESDAY, 18)) is None
    assert prices.bars("TSLA", at(FIRST_DAY), at(TUESDAY, 22)) == []


def test_before_the_first_row_there_is_no_quote() -> None:
    assert prices_of(TWO_DAYS).quote("GME", at(date(2020, 11, 30), 14)) is None


# --- rows that say nothing usable ---


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("GME,2020-11-28,1,2,1,2,NA", "not_a_session", id="a Saturday"),
        pytest.param("GME,2020-11-26,1,2,1,2,NA", "not_a_session", id="Thanksgiving"),
        pytest.param("GME,2020-12-01,NaN,2,1,2,5", "unusable_price", id="no open"),
        pytest.param("GME,2020-12-01,1,2,1,,5", "unusable_price", id="no close"),
        pytest.param("GME,2020-12-01,1,inf,1,2,5", "unusable_price", id="infinite"),
        pytest.param("GME,2020-12-01,1,sNaN,1,2,5", "unusable_price", id="signalling"),
        pytest.param("GME,2020-12-01,1,9e99999,1,2,5", "unusable_price", id="beyond all money"),
        pytest.param("GME,2020-12-01,-1,2,-2,2,5", "unusable_price", id="negative"),
        pytest.param("GME,2020-12-01,0,2,0,2,5", "unusable_price", id="zero"),
        pytest.param("GME,2020-12-01,0.00001,2,0.00001,2,5", "unusable_price", id="less than a tick"),
        pytest.param("GME,2020-12-01,1,1,2,1,5", "unusable_price", id="high below low"),
        pytest.param("GME,2020-12-01,3,2,1,1,5", "unusable_price", id="open above high"),
        pytest.param("GME,2020-12-01,1,2,1,0.5,5", "unusable_price", id="close below low"),
        pytest.param("GME,2020-11-30,1,2,1,2,5", "repeated", id="the same row again"),
    ],
)
def test_an_unusable_row_is_ignored_and_counted(tmp_path: Path, line: str, reason: str) -> None:
    prices = prices_from(tmp_path, "GME,2020-11-30,1,2,1,2,5", line)

    assert prices.ignored == {reason: 1}
    assert len(prices.bars("GME", at(FIRST_DAY), at(date(2020, 12, 31)))) == 1


def test_other_columns_blanks_case_and_a_missing_volume_are_tolerated(tmp_path: Path) -> None:
    header = "Adjusted,Date,Symbol,Open,High,Low,Close,Volume"
    prices = prices_from(tmp_path, "9, 2020-12-01 ,gme,1.00005,2,1,2,NA", "", header="\ufeff" + header)

    assert list(prices.bars("GME", at(TUESDAY), at(TUESDAY, 21))) == [
        Bar(
            start=at(TUESDAY, 14, 30), end=at(TUESDAY, 21), open=10000, high=20000, low=10000, close=20000
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "ratio"),
    [
        ("7", Fraction(7)), ("7:1", Fraction(7)), ("3:2", Fraction(3, 2)), ("1:10", Fraction(1, 10)),
        ("0.1", Fraction(1, 10)), ("0.333333", Fraction(1, 3)), ("", None), ("0", None), ("1", None),
        ("nan", None),
    ],
)  # fmt: skip
def test_a_split_counts_from_the_opening_bell_of_its_day(
    tmp_path: Path, written: str, ratio: Fraction | None
) -> None:
    prices = prices_from(
        tmp_path,
        "GME,2020-11-30,70,71,69,70,5,",
        f"GME,2020-12-01,10,11,9,10,5,{written}",
        header=",".join([*COLUMNS, "Split"]),
    )
    bell = at(TUESDAY, 14, 30)
    expected = [Split(at=bell, ratio=ratio)] if ratio else []

    assert prices.splits("GME", at(FIRST_DAY), bell) == expected
    assert prices.splits("GME", bell, at(date(2020, 12, 31))) == []
    assert prices.splits("GME", at(FIRST_DAY), bell - timedelta(seconds=1)) == []
    assert prices.splits("TSLA", at(FIRST_DAY), bell) == []


def test_a_day_without_a_usable_price_still_tells_its_split(tmp_path: Path) -> None:
    prices = prices_from(tmp_path, "GME,2020-12-01,,,,,,7:1", header=",".join([*COLUMNS, "split"]))

    assert [one.ratio for one in prices.splits("GME", at(FIRST_DAY), at(date(2020, 12, 31)))] == [7]
    assert prices.ignored == {"unusable_price": 1}


def test_a_file_without_the_column_knows_no_splits(tmp_path: Path) -> None:
    prices = prices_from(tmp_path, "GME,2020-12-01,1,2,1,2,5")

    assert prices.splits("GME", at(FIRST_DAY), at(date(2020, 12, 31))) == []


@pytest.mark.parametrize("written", ["-7", "seven", "7:0", "100000", "7/1/1"])
def test_a_split_that_cannot_be_one_is_named_by_file_and_line(tmp_path: Path, written: str) -> None:
    prices = prices_from(
        tmp_path, f"GME,2020-12-01,1,2,1,2,5,{written}", header=",".join([*COLUMNS, "split"])
    )

    with pytest.raises(PricesUnavailable, match=rf"line 2: '{written}' is no split; write 7:1 .*; mend"):
        prices.splits("GME", at(FIRST_DAY), at(TUESDAY))


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        pytest.param(["GME,2020-12-01,1,2,x1,2,5"], "line 2: 'x1' is not a number", id="no number"),
        pytest.param(["GME,12/01/2020,1,2,1,2,5"], "line 2: Invalid isoformat string", id="no date"),
        pytest.param(["GME,0020-12-01,1,2,1,2,5"], "line 2: the exchange calendar XNYS", id="no such year"),
        pytest.param(["GME,2020-12-01,1,2"], "line 2: too few columns", id="cut off"),
        pytest.param(
            ["GME,2020-12-01,1,2,1,2,5", "GME,2020-12-01,1,2,1,1.5,5"],
            "line 3: other prices of 2020-12-01 were given before",
            id="two truths",
        ),
    ],
)
def test_a_row_that_cannot_be_understood_is_named_by_file_and_line(
    tmp_path: Path, lines: list[str], complaint: str
) -> None:
    prices = prices_from(tmp_path, *lines)

    with pytest.raises(PricesUnavailable, match=rf"prices\.csv, {complaint}.*; mend that line"):
        prices.quote("GME", at(TUESDAY, 18))


def test_a_file_that_is_no_text_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(b"\x80\x81\x82")

    with pytest.raises(PricesUnavailable, match="can't use the prices in"):
        CsvPrices(path, CALENDAR)


def test_a_missing_column_is_told_before_any_question(tmp_path: Path) -> None:
    with pytest.raises(PricesUnavailable, match="line 1: the header has no column date, volume"):
        prices_from(tmp_path, header="symbol,open,high,low,close")


def test_a_missing_file_is_told_before_any_question(tmp_path: Path) -> None:
    with pytest.raises(
        PricesUnavailable, match=r"nowhere\.csv: No such file or directory; name a CSV file with the columns"
    ):
        CsvPrices(tmp_path / "nowhere.csv", CALENDAR)


# --- a dead source ---


class Dead:
    """Fails whenever it is asked, until it is mended."""

    name = "dead"

    def __init__(self) -> None:
        self.asked = 0
        self.mended = False

    def quote(self, ticker: str, at: datetime) -> Quote | None:  # noqa: ARG002 - the contract's names
        self.asked += 1
        if self.mended:
            return None
        raise PricesUnavailable("no answer")

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:  # noqa: ARG002 - as above
        self.quote(ticker, until)
        return []


def ask(question: Callable[[], object]) -> str:
    try:
        question()
    except PricesUnavailable as error:
        return type(error).__name__
    return "answered"


def test_a_source_is_not_asked_again_after_three_failures_in_a_row() -> None:
    source = Dead()
    prices = Breaker(source)
    now = at(TUESDAY)

    told = [ask(lambda: prices.quote("GME", now)) for _ in range(5)]

    assert told == ["PricesUnavailable"] * 3 + ["BreakerOpen"] * 2
    assert source.asked == 3
    with pytest.raises(BreakerOpen, match="the price source dead failed 3 times in a row"):
        prices.bars("TSLA", now, now)
    assert prices.refused == ["GME", "TSLA"]


def test_an_answer_in_between_starts_the_count_anew() -> None:
    source = Dead()
    prices = Breaker(source)
    now = at(TUESDAY)

    for works in [False, False, True, False, False, True]:
        source.mended = works
        ask(lambda: prices.bars("GME", now, now))

    assert source.asked == 6
    assert prices.refused == []


def test_the_one_warning_of_an_outage_names_what_was_left_out() -> None:
    prices, said = Breaker(Dead()), list[tuple[str, dict[str, Any]]]()

    def warn(type: str, _message: str, /, **context: Any) -> None:
        said.append((type, context))

    for tickers in ("ABC", "DED"):
        for ticker in tickers:
            ask(partial(prices.quote, ticker, at(TUESDAY)))
        prices.warn_if_open(warn)

    assert said == [("price_source_down", {"source": "dead", "skipped": ["D", "E"]})]


def test_a_ticker_without_a_usable_price_is_an_answer_and_no_failure() -> None:
    class Unknowing(Dead):
        def quote(self, ticker: str, at: datetime) -> Quote | None:  # noqa: ARG002 - as above
            self.asked += 1
            raise NoPrice("nothing of that ticker") if self.asked % 3 == 0 else PricesUnavailable("no answer")

    source = Unknowing()
    prices = Breaker(source)

    told = [ask(partial(prices.quote, "GME", at(TUESDAY))) for _ in range(8)]

    assert "BreakerOpen" not in told
    assert source.asked == 8


def test_a_source_that_knows_no_splits_has_none() -> None:
    assert list(Breaker(Dead()).splits("GME", at(FIRST_DAY), at(TUESDAY))) == []


def test_splits_are_asked_for_through_the_breaker(tmp_path: Path) -> None:
    header = ",".join([*COLUMNS, "split"])
    prices = Breaker(prices_from(tmp_path, "GME,2020-12-01,10,11,9,10,5,7", header=header))

    assert [one.ratio for one in prices.splits("GME", at(FIRST_DAY), at(date(2020, 12, 2)))] == [7]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("GME,2020-12-01,1,1,2,1,0", [("prices_refused", {"source": "csv", "refused": 1})]),
        ("GME,2020-12-01,1,2,1,2,0", []),
        ("GME,2020-11-28,1,2,1,2,5", []),
    ],
    ids=["a crossed bar", "a bar without volume", "a day without a session"],
)
def test_prices_that_are_not_believed_are_counted_in_one_remark(
    tmp_path: Path, line: str, told: list[tuple[str, dict[str, Any]]]
) -> None:
    prices = Breaker(prices_from(tmp_path, line))
    prices.quote("GME", at(TUESDAY, 22))

    assert [(one.type, one.context) for one in prices.remarks()] == told


# --- the bundled sample ---


def test_the_samples_prices_are_all_usable_and_known_at_its_instant() -> None:
    prices = SamplePrices(CALENDAR)

    quote = prices.quote("GME", SAMPLE_AS_OF)

    assert prices.ignored == {}
    assert quote is not None
    assert quote.basis == f"open {SAMPLE_AS_OF.date()}"


# --- a real file ---

with_real_prices = pytest.mark.skipif(
    not REAL.exists(), reason="the real prices are not beside this checkout"
)


@with_real_prices
def test_the_real_files_weekends_and_repeated_rows_are_counted_and_not_believed() -> None:
    prices = CsvPrices(REAL, CALENDAR)

    bars = prices.bars("TSLA", at(date(2020, 11, 23)), at(date(2020, 11, 30)))

    assert prices.ignored == {"not_a_session": 2801, "repeated": 223}
    assert [bar.start.day for bar in bars] == [23, 24, 25, 27]


@with_real_prices
def test_the_real_files_quotes_follow_the_clock() -> None:
    prices = CsvPrices(REAL, CALENDAR)

    quotes = [prices.quote("TSLA", at(TUESDAY, hour)) for hour in (14, 18, 21)]

    assert [quote and (quote.price, quote.basis) for quote in quotes] == [
        (ticks("567.599976"), "close 2020-11-30"),
        (ticks("597.590027"), "open 2020-12-01"),
        (ticks("584.76001"), "close 2020-12-01"),
    ]
