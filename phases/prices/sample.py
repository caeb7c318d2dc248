"""The bundled sample's prices: made up, like all of the sample."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from phases.prices.csv import CsvPrices
from phases.tools import Calendar


class SamplePrices(CsvPrices):
    """Daily prices of the tickers that the sample talks about."""

    name = "sample"

    def __init__(self, calendar: Calendar) -> None:
        super().__init__(Path(str(files("phases.sample"))) / "prices.csv", calendar)
