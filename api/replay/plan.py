"""What a replay was asked for, and the instants that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from phases.tools import Calendar
from statemachine.contract import Json

NEW_YORK: Final = ZoneInfo("America/New_York")
OPENING: Final = time(9, 30)
"""When a replay looks, unless told otherwise. Of a day under way, a file of daily prices knows nothing but
the opening price: only at the opening is that not a price from before the reason to trade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that decides the outcome of a replay."""

    start: date
    end: date
    """Included; the only part that a later call may change, to go on."""
    at: tuple[time, ...]
    """Times of day in New York."""
    subreddit: str
    source: str
    source_bytes: int
    """What its files measure: another archive under the same name is another replay."""
    analyzer: str
    prices: str
    options: str
    """Where option chains come from."""
    benchmark: str
    """A symbol of the prices."""
    params: Mapping[str, Json]
    """Told to the phases of every run."""
    rules: Mapping[str, str]
    """Rows of `system_config` that differ from the defaults."""

    def as_json(self) -> dict[str, Json]:
        """Return the plan as JSON keeps it."""
        days = {"start": self.start.isoformat(), "end": self.end.isoformat()}
        return {**asdict(self), **days, "at": [f"{each:%H:%M}" for each in self.at]}

    @staticmethod
    def of_json(said: Mapping[str, Any]) -> Plan:
        """Return the plan that `as_json` wrote."""
        parsed: dict[str, Any] = {
            "start": date.fromisoformat(said["start"]),
            "end": date.fromisoformat(said["end"]),
            "at": tuple(time.fromisoformat(each) for each in said["at"]),
        }
        return Plan(**{**said, **parsed})

    def differences(self, other: Plan) -> list[str]:
        """Return the names of what is not the same, the end aside."""
        mine, others = self.as_json(), other.as_json()
        return [name for name in mine if name != "end" and mine[name] != others[name]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One run of a replay."""

    day: date
    """The exchange's date."""
    as_of: datetime
    """UTC."""


def moments(plan: Plan, calendar: Calendar) -> Sequence[Moment]:
    """Return the plan's instants on the days on which the exchange trades, in order of time."""
    days = (plan.start + timedelta(days=ahead) for ahead in range((plan.end - plan.start).days + 1))
    return [
        Moment(day=day, as_of=datetime.combine(day, at, NEW_YORK).astimezone(UTC))
        for day in days
        if calendar.session(day)
        for at in sorted(set(plan.at))
    ]
