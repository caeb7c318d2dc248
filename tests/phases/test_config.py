"""The table of settings: defaults as documented, overrides from rows, bad rows refused by name."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phases.config import Config, ConfigError, read_config, start_system

Database = Callable[..., sqlite3.Connection]

DEFAULT: dict[str, Any] = {item.name: item.default for item in fields(Config)}
NUMBERS = {name: value for name, value in DEFAULT.items() if isinstance(value, int | float)}
WEIGHTS = {name for name in NUMBERS if "_weight_" in name and not name.startswith("accuracy")}


def write(conn: sqlite3.Connection, **values: str) -> None:
    conn.executemany(
        "INSERT INTO system_config (key, value, updated_at) VALUES (?, ?, '2025-03-12T00:00:00Z')",
        list(values.items()),
    )


def reading(conn: sqlite3.Connection) -> Config | ConfigError:
    try:
        return read_config(conn)
    except ConfigError as refusal:
        return refusal


# --- laws ---


@given(name=st.sampled_from(sorted(NUMBERS)), value=st.text(max_size=8) | st.floats().map(str))
def test_a_value_is_either_typed_and_in_bounds_or_refused_by_name(
    name: str, value: str, new_database: Database
) -> None:
    conn = new_database()
    write(conn, **{name: value})
    read = reading(conn)

    if isinstance(read, ConfigError):
        assert name in str(read)
    else:
        number = getattr(read, name)
        assert type(number) is type(NUMBERS[name])
        assert math.isfinite(number)
        assert number == float(value)


@given(name=st.text(min_size=1, max_size=50).filter(lambda name: name not in DEFAULT))
def test_a_key_that_nothing_reads_is_refused(name: str, new_database: Database) -> None:
    conn = new_database()
    conn.execute("INSERT INTO system_config VALUES (?, '1', '2025-03-12T00:00:00Z')", (name,))

    with pytest.raises(ConfigError, match="which nothing reads"):
        read_config(conn)


@given(name=st.sampled_from(sorted(NUMBERS)))
def test_a_default_written_down_changes_nothing(name: str, new_database: Database) -> None:
    conn = new_database()
    write(conn, **{name: str(NUMBERS[name])})

    assert read_config(conn) == Config()


# --- examples ---


def test_without_rows_all_is_as_documented(conn: sqlite3.Connection) -> None:
    config = read_config(conn)

    assert config == Config()
    assert (config.quality_min_users, config.quality_min_confidence) == (2, 0.6)
    assert (config.consensus_min_comments, config.consensus_min_users) == (30, 8)
    assert config.consensus_min_alignment == 0.7
    assert (config.stock_stop_loss_pct, config.stock_trailing_stop_pct) == (-0.10, 0.07)
    assert (config.option_stop_loss_pct, config.option_trailing_stop_pct) == (-0.50, 0.30)


def test_a_row_overrides_a_default(conn: sqlite3.Connection) -> None:
    write(conn, quality_min_users="3", stock_stop_loss_pct="-0.2", phase="real_trading")

    config = read_config(conn)

    assert (config.quality_min_users, config.stock_stop_loss_pct) == (3, -0.2)
    assert config.phase == "real_trading"


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("quality_min_users", "two", "must be a whole number from 1 to 10000, not 'two'"),
        ("quality_min_users", "2.5", "must be a whole number"),
        ("quality_min_users", "0", "must be a whole number from 1"),
        ("stock_stop_loss_pct", "0.1", "must be a number from -1 to 0, not '0.1'"),
        ("quality_min_confidence", "nan", "must be a number from 0 to 1, not 'nan'"),
        ("consensus_min_alignment", "inf", "must be a number from 0.5 to 1"),
        ("phase", "yolo", "must be paper_trading or real_trading, not 'yolo'"),
        ("system_start_date", "soon", "must be a date such as 2020-12-01, not 'soon'"),
        ("quality_min_user", "2", "did you mean quality_min_users?"),
        ("zzz", "2", "delete the row"),
    ],
)
def test_a_bad_row_is_refused_in_one_clear_sentence(
    key: str, value: str, sentence: str, conn: sqlite3.Connection
) -> None:
    write(conn, **{key: value})

    with pytest.raises(ConfigError) as refusal:
        read_config(conn)

    assert sentence in str(refusal.value)
    assert key in str(refusal.value)


@pytest.mark.parametrize("name", sorted(WEIGHTS))
def test_weights_must_add_up_to_one(name: str, conn: sqlite3.Connection) -> None:
    write(conn, **{name: str(NUMBERS[name] / 2)})

    with pytest.raises(ConfigError, match=f"{name}.* must add up to 1"):
        read_config(conn)


def test_other_weights_may_be_chosen_together(conn: sqlite3.Connection) -> None:
    write(conn, confidence_weight_volume="0.5", confidence_weight_alignment="0")

    assert read_config(conn).confidence_weight_volume == 0.5


@pytest.mark.parametrize(
    ("key", "value"), [("option_min_dte", "22"), ("option_max_dte", "13"), ("option_max_delta", "0.1")]
)
def test_a_window_that_holds_nothing_is_refused(key: str, value: str, conn: sqlite3.Connection) -> None:
    write(conn, **{key: value})

    with pytest.raises(ConfigError, match=rf"{key}.*must not|must not be above {key}"):
        read_config(conn)


def test_the_day_that_the_system_starts_is_kept_for_good(conn: sqlite3.Connection) -> None:
    now = datetime(2025, 3, 12, 18, tzinfo=UTC)
    start_system(conn, date(2025, 3, 12), now)
    start_system(conn, date(2025, 3, 13), now)

    assert read_config(conn).system_start_date == date(2025, 3, 12)
