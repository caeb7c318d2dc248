"""The exchange calendar, against itself and against an independent table of closures."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phases.calendar import ExchangeCalendar, OutsideCalendar, coverage
from phases.tools import Session

NEW_YORK = ZoneInfo("America/New_York")
LEAN = Path(__file__).parents[3] / "shared/data/market/lean/us_equity_market_hours.json"
CALENDAR = ExchangeCalendar()
INSTANTS = st.integers(0, 60 * 365 * 24 * 60).map(
    lambda minutes: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
unhurried = settings(deadline=None)  # the first question about a decade loads it


@pytest.mark.slow
@unhurried
@given(INSTANTS)
def test_it_is_open_exactly_from_the_opening_bell_until_the_close_of_that_days_session(at: datetime) -> None:
    session = CALENDAR.session(CALENDAR.trading_date(at))

    assert CALENDAR.is_open(at) == (session is not None and session.opens <= at < session.closes)


@pytest.mark.slow
@unhurried
@given(st.dates(date(1990, 1, 1), date(2049, 12, 31)))
def test_a_session_is_within_its_own_new_york_day_and_never_on_a_weekend(day: date) -> None:
    session = CALENDAR.session(day)

    if session is None:
        return
    assert day.weekday() < 5
    assert session.day == CALENDAR.trading_date(session.opens) == CALENDAR.trading_date(session.closes) == day
    assert session.opens.tzinfo is UTC
    assert session.closes.tzinfo is UTC
    assert CALENDAR.is_open(session.opens)
    assert not CALENDAR.is_open(session.closes)


@pytest.mark.skipif(not LEAN.exists(), reason="the market hours table is not beside this checkout")
def test_every_closure_and_early_close_of_29_years_agrees_with_an_independent_table() -> None:
    table = json.loads(LEAN.read_text())
    closed = {_us_date(text) for text in table["holidays"]}
    early = {_us_date(text): hour for text, hour in table["earlyCloses"].items()}
    days = [date(2000, 1, 1) + timedelta(days=ahead) for ahead in range(29 * 365 + 8)]
    expected = {day: early.get(day, "16:00:00") for day in days if day.weekday() < 5 and day not in closed}

    found = {day: session.closes.astimezone(NEW_YORK) for day in days if (session := CALENDAR.session(day))}

    assert {day: f"{closes:%H:%M:%S}" for day, closes in found.items()} == expected
    assert days[-1] == date(2028, 12, 31)


@pytest.mark.skipif(not LEAN.exists(), reason="the market hours table is not beside this checkout")
def test_each_of_its_293_closures_and_65_early_closes_is_one_here() -> None:
    """Three of them fall on a weekend, when the exchange is closed anyway; all others agree."""
    table = json.loads(LEAN.read_text())
    closed = [_us_date(text) for text in table["holidays"]]
    early = {_us_date(text): hour for text, hour in table["earlyCloses"].items()}
    weekend = [day for day in (*closed, *early) if day.weekday() > 4]

    on_time = [day for day in early if day not in weekend]
    closes = {day: f"{_session(day).closes.astimezone(NEW_YORK):%H:%M:%S}" for day in on_time}

    assert (len(closed), len(early)) == (293, 65)
    assert weekend == [date(2011, 1, 1), date(2022, 1, 1), date(2017, 12, 24)]
    assert [day for day in (*closed, *weekend) if CALENDAR.session(day)] == []
    assert closes == {day: early[day] for day in on_time}


def _session(day: date) -> Session:
    session = CALENDAR.session(day)
    assert session is not None
    return session


def _us_date(text: str) -> date:
    month, day, year = map(int, text.split("/"))
    return date(year, month, day)


def test_the_day_after_thanksgiving_2026_ends_at_13_00_in_new_york() -> None:
    closes = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)

    assert CALENDAR.is_open(closes - timedelta(seconds=1))
    assert not CALENDAR.is_open(closes)


@pytest.mark.parametrize(
    "day",
    [
        pytest.param(date(2025, 1, 9), id="unplanned: a national day of mourning"),
        pytest.param(date(2018, 12, 5), id="unplanned: another one"),
        pytest.param(date(2012, 10, 29), id="unplanned: a hurricane"),
        pytest.param(date(2026, 11, 26), id="Thanksgiving"),
        pytest.param(date(2026, 11, 28), id="a Saturday"),
    ],
)
def test_the_exchange_is_closed_all_day(day: date) -> None:
    noon = datetime(day.year, day.month, day.day, 17, 0, tzinfo=UTC)

    assert CALENDAR.session(day) is None
    assert not CALENDAR.is_open(noon)


def test_the_trading_date_is_new_yorks_and_not_utcs() -> None:
    assert CALENDAR.trading_date(datetime(2026, 11, 21, 3, 0, tzinfo=UTC)) == date(2026, 11, 20)


def test_the_opening_follows_summer_time() -> None:
    winter, summer = CALENDAR.session(date(2026, 3, 6)), CALENDAR.session(date(2026, 3, 9))

    assert winter is not None
    assert summer is not None
    assert (winter.opens.hour, summer.opens.hour) == (14, 13)


@pytest.mark.parametrize("day", [date(1899, 12, 29), date(2200, 1, 2)])
def test_a_year_without_a_calendar_is_refused_with_the_years_that_have_one(day: date) -> None:
    with pytest.raises(OutsideCalendar, match=rf"XNYS covers 1900 to 2199, and {day} was asked for"):
        CALENDAR.session(day)


@pytest.mark.parametrize("day", [date(1900, 1, 2), date(2199, 12, 31)])
def test_the_first_and_last_year_have_sessions(day: date) -> None:
    assert CALENDAR.session(day) is not None


def test_it_says_which_years_it_knows_and_from_which_release() -> None:
    assert coverage().startswith("XNYS from 1900 to 2199, by exchange_calendars 4.")
