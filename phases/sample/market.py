"""The sample's daily prices: made up around a few turning points, so that something happens.

The bullish signals of `SAMPLE_AS_OF` buy at the open of 2025-03-12. After that GME falls through its stop,
NVDA reaches its target and then falls back to its trailing stop, and PLTR goes nowhere until its time is up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

from phases.sample.dice import Dice

FIRST: Final = date(2025, 2, 3)
LAST: Final = date(2025, 3, 28)
CLOSED: Final = frozenset({date(2025, 2, 17)})  # Presidents' Day
FRIDAY: Final = 4
SEED: Final = 17


@dataclass(frozen=True, slots=True)
class Path:
    """A symbol's way: closing prices on some days, smooth between them but for the noise."""

    symbol: str
    turns: tuple[tuple[str, float], ...]
    noise: float
    """Size of a usual day's move, a share of one."""
    volume: int


PATHS: Final = (
    Path(
        "GME",
        (
            ("02-03", 26.4),
            ("02-28", 25.0),
            ("03-11", 23.3),
            ("03-12", 23.2),
            ("03-13", 20.6),
            ("03-28", 22.1),
        ),
        0.012,
        6_000_000,
    ),
    Path(
        "NVDA",
        (
            ("02-03", 117.0),
            ("02-20", 139.0),
            ("03-10", 107.5),
            ("03-11", 112.6),
            ("03-12", 115.7),
            ("03-14", 124.6),
            ("03-17", 133.5),
            ("03-18", 130.4),
            ("03-20", 120.8),
            ("03-28", 112.0),
        ),
        0.012,
        290_000_000,
    ),
    Path("PLTR", (("02-03", 84.0), ("02-18", 121.0), ("03-10", 77.0), ("03-28", 81.5)), 0.012, 95_000_000),
    Path("TSLA", (("02-03", 384.0), ("03-10", 230.0), ("03-12", 246.0), ("03-28", 228.0)), 0.02, 120_000_000),
    Path("AMD", (("02-03", 114.0), ("03-12", 100.5), ("03-28", 103.0)), 0.015, 40_000_000),
    Path("INTC", (("02-03", 19.4), ("02-18", 27.0), ("03-12", 20.4), ("03-28", 22.9)), 0.02, 90_000_000),
    Path("SPY", (("02-03", 597.0), ("02-19", 612.5), ("03-12", 557.5), ("03-28", 556.0)), 0.005, 60_000_000),
    Path("QQQ", (("02-03", 521.0), ("02-19", 539.0), ("03-12", 476.0), ("03-28", 469.0)), 0.007, 45_000_000),
    Path("AAPL", (("02-03", 228.0), ("02-25", 247.0), ("03-12", 216.5), ("03-28", 218.0)), 0.01, 50_000_000),
    Path("AMZN", (("02-03", 237.0), ("03-12", 198.5), ("03-28", 193.0)), 0.011, 42_000_000),
    Path("META", (("02-03", 697.0), ("02-14", 736.0), ("03-12", 619.0), ("03-28", 577.0)), 0.012, 15_000_000),
    Path("DIS", (("02-03", 112.5), ("03-12", 98.2), ("03-28", 98.5)), 0.009, 9_000_000),
    Path("SOFI", (("02-03", 15.6), ("03-12", 11.4), ("03-28", 11.7)), 0.02, 60_000_000),
    Path("HOOD", (("02-03", 52.0), ("02-14", 64.5), ("03-12", 38.9), ("03-28", 42.0)), 0.025, 30_000_000),
    Path("COIN", (("02-03", 285.0), ("03-12", 191.0), ("03-28", 173.0)), 0.022, 10_000_000),
    Path("RDDT", (("02-03", 197.0), ("02-10", 219.0), ("03-12", 113.0), ("03-28", 105.0)), 0.028, 8_000_000),
    Path("AMC", (("02-03", 3.2), ("03-12", 3.0), ("03-28", 2.9)), 0.015, 9_000_000),
    Path("F", (("02-03", 10.0), ("03-12", 9.9), ("03-28", 9.8)), 0.01, 90_000_000),
)


def prices_csv() -> str:
    """Return all bars as CSV, by symbol and date."""
    lines = ["symbol,date,open,high,low,close,volume"]
    for number, path in enumerate(PATHS):
        lines += _bars(path, Dice(SEED + number))
    return "\n".join(lines) + "\n"


def sessions() -> Iterator[date]:
    """Yield the exchange's days."""
    day = FIRST
    while day <= LAST:
        if day.weekday() <= FRIDAY and day not in CLOSED:
            yield day
        day += timedelta(days=1)


def _bars(path: Path, dice: Dice) -> Iterator[str]:
    """Yield a bar a session; a day opens near the close before, and a turning point's close is exact."""
    turns = {date.fromisoformat(f"2025-{day}"): price for day, price in path.turns}
    before = path.turns[0][1]
    for day in sessions():
        close = turns.get(day) or _between(turns, day) * (1 + path.noise * dice.spread())
        opening = before + (close - before) * 0.25 + before * path.noise * dice.spread() / 4
        high = max(opening, close) * (1 + path.noise * dice.share() / 2)
        low = min(opening, close) * (1 - path.noise * dice.share() / 2)
        volume = int(path.volume * (0.8 + 0.5 * dice.share()))
        yield f"{path.symbol},{day},{opening:.2f},{high:.2f},{low:.2f},{close:.2f},{volume}"
        before = close


def _between(turns: dict[date, float], day: date) -> float:
    left, right = next((a, b) for a, b in pairwise(sorted(turns)) if a < day < b)
    share = (day - left) / (right - left)
    return turns[left] * float((turns[right] / turns[left]) ** share)
