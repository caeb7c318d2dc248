"""Where chains come from: files in LEAN's universe format, real ones too, and the sample's made-up ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phases.calendar import ExchangeCalendar
from phases.chains.black_scholes import theory
from phases.chains.breaker import ChainBreaker
from phases.chains.csv import CsvChains
from phases.chains.sample import SampleChains
from phases.config import Config
from phases.money import ticks, usd
from phases.prices.circuit import BreakerOpen
from phases.sample import SAMPLE_AS_OF, SAMPLE_LATER
from phases.tools import NoChains, OptionQuote, OptionType, PricesUnavailable
from phases.trading.strikes import NoStrike, StrikeRules, choose_strike

REAL = Path(__file__).parents[3] / "shared/data/market/lean/options"
CALENDAR = ExchangeCalendar()
RULES = StrikeRules.of(Config())
HEADER = "#expiry,strike,right,open,high,low,close,volume,open_interest,implied_volatility,delta,gamma"
SHARE = ",,,25,26,24,25.5,1000,,,,"
CALL = "20261211,27.5,C,1,2,1,1.25,40,300,0.8,0.31,0.01"
DAY = datetime(2026, 11, 20, 21, tzinfo=UTC)
"""A Friday's close; the next session is Monday."""
MONDAY = datetime(2026, 11, 23, 15, tzinfo=UTC)

with_real_chains = pytest.mark.skipif(
    not REAL.exists(), reason="the real chains are not beside this checkout"
)


def chains(folder: Path, *lines: str, name: str = "gme_20261120.csv") -> CsvChains:
    """Return the chains of one file with the share's row and these."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join((HEADER, SHARE, *lines)) + "\n")
    return CsvChains([path], CALENDAR)


def only(quotes: Sequence[OptionQuote]) -> OptionQuote:
    (quote,) = quotes
    return quote


# --- files ---


def test_a_row_is_a_contract_with_the_close_as_its_mark(tmp_path: Path) -> None:
    quote = only(chains(tmp_path, CALL).chain("GME", MONDAY))

    assert quote.contract.symbol == "GME   261211C00027500"
    assert (quote.contract.type, quote.contract.strike) == ("call", ticks("27.5"))
    assert quote.contract.expiration == date(2026, 12, 11)
    assert (quote.mark, quote.last, quote.bid, quote.ask) == (ticks("1.25"), ticks("1.25"), None, None)
    assert (quote.delta, quote.iv, quote.open_interest, quote.volume) == (0.31, 0.8, 300, 40)
    assert (quote.at, quote.underlying) == (DAY, ticks("25.5"))


@pytest.mark.parametrize("volume", ["0", ""])
def test_a_close_without_volume_is_an_old_trade_and_no_mark(tmp_path: Path, volume: str) -> None:
    quote = only(chains(tmp_path, CALL.replace(",40,", f",{volume},")).chain("GME", MONDAY))

    assert (quote.mark, quote.last, quote.premium) == (None, ticks("1.25"), None)


def test_what_is_not_said_is_unknown_and_greeks_of_0_are_told_as_they_are(tmp_path: Path) -> None:
    made = chains(tmp_path, "20261211,27.5,P,,,,0,,,,,", "20261211,30,P,0,0,0,0,0,,0,0,0")

    silent, zero = made.chain("GME", MONDAY)

    assert (silent.last, silent.volume, silent.open_interest, silent.iv, silent.delta) == (None,) * 5
    assert (zero.last, zero.iv, zero.delta) == (None, 0, 0)


@pytest.mark.parametrize(
    ("at", "known"),
    [
        pytest.param(DAY + timedelta(hours=3), 0, id="not after its own close"),
        pytest.param(datetime(2026, 11, 23, 14, 30, tzinfo=UTC), 0, id="not at the next opening bell"),
        pytest.param(datetime(2026, 11, 23, 14, 31, tzinfo=UTC), 1, id="a minute later"),
        pytest.param(datetime(2026, 11, 24, 14, 29, tzinfo=UTC), 1, id="until the session after"),
        pytest.param(datetime(2026, 11, 24, 15, tzinfo=UTC), 0, id="then it is stale"),
    ],
)
def test_a_file_is_known_from_the_next_session_on_and_for_one_session(
    tmp_path: Path, at: datetime, known: int
) -> None:
    assert len(chains(tmp_path, CALL).chain("GME", at)) == known


def test_a_holiday_makes_no_chain_older(tmp_path: Path) -> None:
    made = chains(tmp_path, CALL, name="gme_20261125.csv")  # Wednesday; Thursday is Thanksgiving

    assert made.chain("GME", datetime(2026, 11, 26, 18, tzinfo=UTC)) == ()
    assert len(made.chain("GME", datetime(2026, 11, 27, 17, tzinfo=UTC))) == 1


@given(st.lists(st.integers(0, 9), unique=True, min_size=1), st.integers(0, 24 * 14))
def test_of_several_files_the_newest_known_one_answers_and_none_of_the_future(
    tmp_path_factory: pytest.TempPathFactory, days: list[int], hours: int
) -> None:
    folder = tmp_path_factory.mktemp("chains")
    sessions = [date(2026, 11, 9) + timedelta(days=day // 5 * 7 + day % 5) for day in days]
    for day in sessions:
        (folder / f"gme_{day:%Y%m%d}.csv").write_text(f"{HEADER}\n{SHARE}\n{CALL}\n")
    at = datetime(2026, 11, 9, tzinfo=UTC) + timedelta(hours=hours)

    found = CsvChains([folder], CALENDAR).chain("GME", at)

    if found:
        assert only(found).at < at
        newest = max(day for day in sessions if day < CALENDAR.trading_date(only(found).at) + timedelta(1))
        assert CALENDAR.trading_date(only(found).at) == newest


def test_a_folder_is_read_as_lean_lays_it_and_other_files_in_it_are_left_alone(tmp_path: Path) -> None:
    chains(tmp_path, CALL, name="gme/20261120.csv")
    (tmp_path / "readme.csv").write_text("not a chain")

    made = CsvChains([tmp_path], CALENDAR)

    assert len(made.chain("GME", MONDAY)) == 1
    assert made.chain("AMC", MONDAY) == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("20261211,27.5,X,1,2,1,1,1,1,1,1,1", "the right 'X' is neither C nor P", id="right"),
        pytest.param("2026,27.5,C,1,2,1,1,1,1,1,1,1", "does not match format", id="expiry"),
        pytest.param("20261211,-5,C,1,2,1,1,1,1,1,1,1", "the strike '-5' is no price", id="strike"),
        pytest.param("20261211,27.5,C,1,2,1,one,1,1,1,1,1", "could not convert", id="price"),
        pytest.param("20261211,27.5", "too few columns", id="columns"),
    ],
)
def test_a_line_that_can_not_be_understood_is_named(tmp_path: Path, line: str, said: str) -> None:
    made = chains(tmp_path, line)

    with pytest.raises(PricesUnavailable, match=rf"gme_20261120.csv, line 3: .*{said}.*; mend that line"):
        made.chain("GME", MONDAY)


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gme_20261120.csv"
    path.write_text("strike,right\n")

    with pytest.raises(PricesUnavailable, match="line 1: the header has no column expiry, close, volume"):
        CsvChains([path], CALENDAR).chain("GME", MONDAY)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing.csv", "there are no option chains at"),
        ("gme_20261320.csv", "named after 20261320, which is no date"),
        ("gme_20261126.csv", "named after 2026-11-26, on which the exchange was closed"),
    ],
)
def test_a_wrong_name_is_told_at_once(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(PricesUnavailable, match=said):
        chains(tmp_path, CALL, name=name)


@pytest.mark.parametrize("name", ["gme_20261120.csv", "folder"])
def test_a_path_that_is_not_there_is_told_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(PricesUnavailable, match="there are no option chains at"):
        CsvChains([tmp_path / name], CALENDAR)


# --- real files ---


def chosen(ticker: str, at: datetime, wanted: OptionType) -> OptionQuote | NoStrike:
    chain = CsvChains([REAL], CALENDAR).chain(ticker, at)
    assert chain
    return choose_strike(chain, wanted, CALENDAR.trading_date(at), RULES)


APPLE_SEEN = datetime(2014, 6, 9, 13, 31, tzinfo=UTC)


@with_real_chains
@pytest.mark.parametrize("wanted", ["call", "put"])
def test_no_option_on_apple_of_2014_06_06_is_bought_for_all_its_greeks_are_0(wanted: OptionType) -> None:
    """By hand: no row has a premium or a delta; the expirations of the window are the 21st and the 27th."""
    chain = CsvChains([REAL], CALENDAR).chain("AAPL", APPLE_SEEN)

    refused = choose_strike(chain, wanted, date(2014, 6, 6), RULES)

    assert len(chain) == 2180
    assert {one.delta for one in chain} == {0.0}
    assert isinstance(refused, NoStrike)
    assert refused.expirations == (date(2014, 6, 21), date(2014, 6, 27))


@with_real_chains
def test_with_theoretical_greeks_the_same_chain_gives_the_strikes_found_by_hand() -> None:
    """By hand, for a share at 92.72 and a volatility of 0.25, 15 days before Saturday, the 21st.

    A call's delta is 0.325 at 95 and 0.274 at 95.71; a put's is -0.270 at 90 and -0.324 at 90.71.
    """
    chain = CsvChains([REAL], CALENDAR).chain("AAPL", APPLE_SEEN)
    filled = [
        replace(one, mark=max(1, ticks(told.premium)), delta=told.delta, iv=0.25)
        for one in chain
        for days in [(one.contract.expiration - date(2014, 6, 6)).days]
        for told in [theory(one.contract.type, 92.72, usd(one.contract.strike), 0.25, days)]
    ]

    call, put = (choose_strike(filled, kind, date(2014, 6, 6), RULES) for kind in ("call", "put"))

    assert isinstance(call, OptionQuote)
    assert isinstance(put, OptionQuote)
    assert call.contract.symbol == "AAPL  140621C00095000"
    assert put.contract.symbol == "AAPL  140621P00090710"


@with_real_chains
def test_apples_file_of_friday_holds_the_split_share_of_monday() -> None:
    """Its share's row is the first minute of 2014-06-09; on Friday a share cost 645.57."""
    chain = CsvChains([REAL], CALENDAR).chain("AAPL", APPLE_SEEN)

    assert {one.underlying for one in chain} == {ticks("92.72")}
    assert CsvChains([REAL], CALENDAR).chain("AAPL", datetime(2014, 6, 9, 13, 30, tzinfo=UTC)) == ()


@with_real_chains
@pytest.mark.parametrize(
    ("wanted", "symbol", "mark_usd", "delta"),
    [("call", "GOOG  160115C00772500", 4.70, 0.3152), ("put", "GOOG  160115P00680000", 0.95, -0.3040)],
)
def test_on_google_the_strikes_of_2015_12_28_are_those_found_by_hand(
    wanted: OptionType, symbol: str, mark_usd: float, delta: float
) -> None:
    """By hand: 2016-01-15 is 18 days off. The put at 662.5 has a delta of -0.30004, but nobody traded it."""
    found = chosen("GOOG", datetime(2015, 12, 28, 18, tzinfo=UTC), wanted)

    assert isinstance(found, OptionQuote)
    assert (found.contract.symbol, found.mark) == (symbol, ticks(mark_usd))
    assert found.delta == pytest.approx(delta, abs=1e-4)


@with_real_chains
def test_deep_in_the_money_rows_of_spy_are_refused() -> None:
    found = chosen("SPY", datetime(2024, 1, 4, 18, tzinfo=UTC), "call")

    assert found == NoStrike("no call expires in 14 to 21 days", ())


# --- the source that fails, and the one that has none ---


class Failing:
    name = "failing"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def chain(self, ticker: str, at: datetime) -> Sequence[OptionQuote]:  # noqa: ARG002  # the contract's name
        self.asked.append(ticker)
        if ticker == "GME":
            return ()
        raise PricesUnavailable("no answer")


def test_a_dead_source_is_asked_three_times_and_a_chain_once() -> None:
    source = Failing()
    guarded = ChainBreaker(source)
    for ticker in ("GME", "GME", "A", "B", "C"):
        try:
            assert guarded.chain(ticker, MONDAY) == ()
        except PricesUnavailable:
            assert ticker != "GME"
    with pytest.raises(BreakerOpen):
        guarded.chain("D", MONDAY)
    warned: list[str] = []

    guarded.warn_if_open(lambda kind, message, **context: warned.append(f"{kind}: {message} {context}"))

    assert source.asked == ["GME", "A", "B", "C"]
    (said,) = warned
    assert said.startswith("option_source_down: the option source failing failed 3 times in a row; 1 more")
    assert said.endswith("{'source': 'failing', 'skipped': ['D']}")


def test_where_there_are_no_options_every_chain_is_empty() -> None:
    assert NoChains().chain("GME", MONDAY) == ()


# --- the sample ---


def test_the_sample_has_a_tradable_call_and_put_for_each_of_its_shares() -> None:
    made = SampleChains(CALENDAR)
    today = CALENDAR.trading_date(SAMPLE_AS_OF)

    for ticker in ("GME", "INTC", "NVDA", "PLTR", "TSLA"):
        for wanted in ("call", "put"):
            found = choose_strike(made.chain(ticker, SAMPLE_AS_OF), wanted, today, RULES)
            assert isinstance(found, OptionQuote), (ticker, wanted)
            assert found.bid is not None
            assert found.ask is not None
            assert found.mark is not None
            assert 0 < found.bid <= found.mark <= found.ask
            assert abs(abs(found.delta or 0) - 0.30) < 0.06
            assert found.at <= SAMPLE_AS_OF


def test_a_contract_of_the_sample_is_listed_until_it_ends() -> None:
    made = SampleChains(CALENDAR)

    for ticker in ("GME", "INTC", "NVDA", "PLTR", "TSLA"):
        held = {one.contract for one in made.chain(ticker, SAMPLE_AS_OF)}
        held = {one for one in held if one.expiration <= SAMPLE_LATER.date() + timedelta(days=2)}
        for days in range(1, 15):
            at = SAMPLE_AS_OF + timedelta(days=days)
            seen = {one.contract for one in made.chain(ticker, at)}
            assert {one for one in held if one.expiration >= CALENDAR.trading_date(at)} <= seen


def test_the_sample_has_no_options_on_other_shares_or_outside_its_weeks() -> None:
    made = SampleChains(CALENDAR)

    assert made.chain("SPY", SAMPLE_AS_OF) == ()
    assert made.chain("GME", datetime(2020, 1, 2, 18, tzinfo=UTC)) == ()


# --- the formula ---

SHARES = st.floats(1, 1000)
VOLATILITIES = st.floats(0, 2)
DAYS = st.floats(0, 400)


@given(SHARES, SHARES, VOLATILITIES, DAYS)
def test_a_call_less_a_put_is_the_share_less_the_strike(
    share: float, strike: float, volatility: float, days: float
) -> None:
    call, put = (theory(kind, share, strike, volatility, days) for kind in ("call", "put"))

    assert math.isclose(call.premium - put.premium, share - strike, abs_tol=1e-9 * (share + strike))
    assert math.isclose(call.delta - put.delta, 1)
    assert 0 <= call.delta <= 1


@given(SHARES, SHARES, VOLATILITIES, DAYS)
def test_a_premium_lies_between_the_intrinsic_value_and_the_share(
    share: float, strike: float, volatility: float, days: float
) -> None:
    call = theory("call", share, strike, volatility, days).premium

    assert max(0.0, share - strike) - 1e-9 * (share + strike) <= call <= share * (1 + 1e-12)


@given(SHARES, SHARES, VOLATILITIES, DAYS, st.floats(1, 1.5))
def test_a_call_is_worth_more_for_a_dearer_share_and_a_wilder_or_longer_one(
    share: float, strike: float, volatility: float, days: float, more: float
) -> None:
    base = theory("call", share, strike, volatility, days).premium
    slack = 1e-9 * (share + strike)

    assert theory("call", share * more, strike, volatility, days).premium >= base - slack
    assert theory("call", share, strike, volatility * more, days).premium >= base - slack
    assert theory("call", share, strike, volatility, days * more).premium >= base - slack
    assert theory("call", share, strike * more, volatility, days).premium <= base + slack


def test_the_formula_gives_a_premium_found_in_textbooks() -> None:
    """Without interest, a call at the money is about 0.4 of share times volatility times root of time."""
    told = theory("call", 100, 100, 0.2, 365)

    assert told.premium == pytest.approx(7.9656, abs=1e-4)
    assert told.delta == pytest.approx(0.5398, abs=1e-4)
