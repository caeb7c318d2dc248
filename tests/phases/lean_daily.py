"""The daily files of the Lean engine, read for tests: raw prices times 10,000, and splits in factor files."""

from __future__ import annotations

import zipfile
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from phases.prices.series import DailySeries
from phases.tools import Bar, Calendar, Quote, Split


@dataclass
class LeanDaily:
    """One symbol's raw days as a `Prices`, and a `SplitSource` unless `announces` is off."""

    folder: Path
    ticker: str
    calendar: Calendar
    announces: bool = True
    name: str = "lean"

    @cached_property
    def _series(self) -> DailySeries:
        series = DailySeries()
        with zipfile.ZipFile(self.folder / "daily" / f"{self.ticker.lower()}.zip") as archive:
            lines = archive.read(archive.namelist()[0]).decode().splitlines()
        for day, *values in (line.split(",") for line in lines):
            found = date.fromisoformat(day[:8])
            series.put(found.toordinal(), array("q", map(int, values)))
        return series

    @cached_property
    def _splits(self) -> list[Split]:
        """A row's factors hold until its day; the split is on the session after it."""
        text = (self.folder / "factor_files" / f"{self.ticker.lower()}.csv").read_text().splitlines()
        rows = [line.split(",") for line in text]
        return [
            Split(
                at=self._open_after(date.fromisoformat(old[0])),
                ratio=Fraction(float(new[2]) / float(old[2])).limit_denominator(100),
            )
            for old, new in pairwise(rows)
            if float(old[2]) != float(new[2])
        ]

    def _open_after(self, day: date) -> datetime:
        days = (day + timedelta(days=ahead) for ahead in range(1, 10))
        return next(session.opens for one in days if (session := self.calendar.session(one)))

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        return self._series.last_known(at, self.calendar) if ticker == self.ticker else None

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:
        return list(self._series.between(after, until, self.calendar)) if ticker == self.ticker else []

    def splits(self, ticker: str, after: datetime, until: datetime) -> Sequence[Split]:
        known = self._splits if self.announces and ticker == self.ticker else []
        return [one for one in known if after < one.at <= until]
