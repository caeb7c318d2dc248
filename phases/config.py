"""The numbers that steer the pipeline, with their defaults, and how `system_config` overrides them.

The table keeps text; a key without a row has its default. Percentages are shares of one. Mind the signs:
stop losses are negative, trailing stops positive.
"""

from __future__ import annotations

import difflib
import math
import sqlite3
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any, Final, Literal

from phases.stamps import stamp

_BOUNDS: Final = "bounds"
_SUM_TOLERANCE: Final = 1e-9
_ORDERED: Final = (
    ("option_min_dte", "option_max_dte"),
    ("option_min_delta", "option_max_delta"),
    ("stock_min_size_pct", "stock_max_size_pct"),
    ("stock_size_mid_confidence", "stock_size_high_confidence"),
)


class ConfigError(ValueError):
    """A row of `system_config` is not usable; the message names its key, its value and what is allowed."""


def _within(default: Any, low: float, high: float) -> Any:
    return field(default=default, metadata={_BOUNDS: (low, high)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every key of `system_config`, typed."""

    system_start_date: date | None = None
    """Day 1 of the pipeline's own time, set by its first run; emergence needs a week of history after it."""
    phase: Literal["paper_trading", "real_trading"] = "paper_trading"

    quality_min_users: int = _within(2, 1, 10_000)
    quality_min_confidence: float = _within(0.6, 0, 1)
    consensus_min_comments: int = _within(30, 1, 1_000_000)
    consensus_min_users: int = _within(8, 1, 1_000_000)
    consensus_min_alignment: float = _within(0.7, 0.5, 1)

    emergence_prior_days: int = _within(7, 1, 365)
    emergence_max_prior_mentions: int = _within(3, 1, 1_000_000)
    """Fewer mentions than this in the days before."""
    emergence_min_mentions: int = _within(13, 1, 1_000_000)
    emergence_min_users: int = _within(8, 1, 1_000_000)

    confidence_weight_volume: float = _within(0.25, 0, 1)
    confidence_weight_alignment: float = _within(0.25, 0, 1)
    confidence_weight_ai_confidence: float = _within(0.30, 0, 1)
    confidence_weight_author_trust: float = _within(0.20, 0, 1)

    trust_weight_quality: float = _within(0.40, 0, 1)
    trust_weight_accuracy: float = _within(0.50, 0, 1)
    trust_weight_tenure: float = _within(0.10, 0, 1)
    trust_default_accuracy: float = _within(0.50, 0, 1)
    trust_tenure_saturation_days: int = _within(30, 1, 10_000)
    accuracy_ema_weight: float = _within(0.30, 0, 1)

    trade_min_confidence: float = _within(0.5, 0, 1)
    trade_max_positions: int = _within(10, 1, 1000)
    """Open at once in one portfolio."""
    trade_replacement_margin: float = _within(0.1, 0, 1)
    """By more than this a new signal's confidence must exceed that of the position it replaces."""
    trade_winner_protection_pct: float = _within(0.05, 0, 100)
    """A position that has gained more than this is not replaced."""

    stock_size_divisor: int = _within(20, 1, 1000)
    """A full position is this part of the portfolio's value."""
    stock_size_low_share: float = _within(0.50, 0, 1)
    """Of a full position, for a signal below the mid confidence."""
    stock_size_mid_confidence: float = _within(0.60, 0, 1)
    stock_size_mid_share: float = _within(0.75, 0, 1)
    stock_size_high_confidence: float = _within(0.75, 0, 1)
    stock_size_high_share: float = _within(1.00, 0, 1)
    stock_min_size_pct: float = _within(0.02, 0, 1)
    stock_max_size_pct: float = _within(0.15, 0, 1)

    stock_stop_loss_pct: float = _within(-0.10, -1, 0)
    stock_take_profit_pct: float = _within(0.15, 0, 100)
    stock_trailing_stop_pct: float = _within(0.07, 0, 1)
    stock_breakeven_trigger_pct: float = _within(0.05, 0, 100)
    stock_breakeven_min_days: int = _within(5, 0, 365)
    stock_time_stop_base_days: int = _within(5, 1, 365)
    stock_time_stop_base_min_gain: float = _within(0.05, 0, 100)
    stock_time_stop_extended_days: int = _within(7, 1, 365)
    stock_time_stop_max_days: int = _within(10, 1, 365)
    stock_take_profit_exit_pct: float = _within(0.50, 0, 1)

    option_stop_loss_pct: float = _within(-0.50, -1, 0)
    option_take_profit_pct: float = _within(1.00, 0, 100)
    option_trailing_stop_pct: float = _within(0.30, 0, 1)
    option_time_stop_days: int = _within(10, 1, 365)
    option_expiration_protection_dte: int = _within(2, 0, 365)
    option_take_profit_exit_pct: float = _within(0.50, 0, 1)

    option_size_pct: float = _within(0.02, 0, 1)
    option_max_underlying_move_pct: float = _within(0.05, 0, 1)
    """A chain whose share has moved further since says nothing of now."""
    option_min_dte: int = _within(14, 0, 1000)
    option_max_dte: int = _within(21, 0, 1000)
    option_target_dte: int = _within(17, 0, 1000)
    option_min_delta: float = _within(0.15, 0, 1)
    option_max_delta: float = _within(0.50, 0, 1)
    option_target_delta: float = _within(0.30, 0, 1)
    """Deltas are absolute: a put's is negative."""

    def __post_init__(self) -> None:
        for group in ("confidence_weight_", "trust_weight_"):
            names = [item.name for item in fields(self) if item.name.startswith(group)]
            total = math.fsum(getattr(self, name) for name in names)
            if abs(total - 1) > _SUM_TOLERANCE:
                raise ConfigError(f"the weights {', '.join(names)} must add up to 1, not to {total:g}")
        for low, high in _ORDERED:
            if getattr(self, low) > getattr(self, high):
                raise ConfigError(
                    f"{low} must not be above {high}: {getattr(self, low):g}, {getattr(self, high):g}"
                )


def read_config(conn: sqlite3.Connection) -> Config:
    """Return the defaults with the rows of `system_config` laid over them.

    Raises:
        ConfigError: A row has an unknown key or an unusable value.
    """
    rows: list[tuple[str, str]] = conn.execute("SELECT key, value FROM system_config ORDER BY key").fetchall()
    return Config(**{key: _parsed(key, value) for key, value in rows})


def start_system(conn: sqlite3.Connection, day: date, now: datetime) -> None:
    """Make `day` the `system_start_date`, unless there is one already."""
    conn.execute(
        "INSERT INTO system_config (key, value, updated_at) VALUES ('system_start_date', ?, ?) "
        "ON CONFLICT (key) DO NOTHING",
        (day.isoformat(), stamp(now)),
    )


def _parsed(key: str, value: str) -> Any:
    known = {item.name: item for item in fields(Config)}
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "delete the row"
        raise ConfigError(f"system_config has a key {key!r}, which nothing reads; {hint}")
    if key == "system_start_date":
        return _date(value)
    if key == "phase":
        return _choice(key, value, ("paper_trading", "real_trading"))
    default: Any = known[key].default
    return _number(key, value, int if isinstance(default, int) else float, known[key].metadata[_BOUNDS])


def _date(value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ConfigError(f"system_start_date must be a date such as 2020-12-01, not {value!r}") from None


def _choice(key: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ConfigError(f"{key} must be {' or '.join(choices)}, not {value!r}")
    return value


def _number(key: str, value: str, kind: type[int | float], bounds: tuple[float, float]) -> int | float:
    low, high = bounds
    try:
        number = kind(value)
    except ValueError:
        number = math.nan
    if not low <= number <= high:  # false for NaN too
        noun = "whole number" if kind is int else "number"
        raise ConfigError(f"{key} must be a {noun} from {low:g} to {high:g}, not {value!r}")
    return number
