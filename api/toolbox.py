"""The pipeline's tools, built from a run's params. Importing this imports the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from api.params import ARCHIVE, CSV
from api.pseudonym import pseudonymizer
from api.settings import Settings
from phases.analyzers.lexicon import LexiconAnalyzer
from phases.calendar import ExchangeCalendar
from phases.prices.csv import CsvPrices
from phases.prices.sample import SamplePrices
from phases.sample import SampleSource
from phases.sources.archive import ArchiveSource
from phases.stamps import instant
from phases.tools import (
    Analyzer,
    AnalyzerUnavailable,
    Calendar,
    Prices,
    PricesUnavailable,
    Source,
    SourceUnavailable,
    Tools,
)
from statemachine.contract import Json

ANALYZERS: Final[Mapping[str, Callable[[], Analyzer]]] = {"lexicon": LexiconAnalyzer}


def build_tools(params: Mapping[str, Json], settings: Settings) -> Tools:
    """Return the outside world of a run, as its params have pinned it."""
    calendar = ExchangeCalendar()
    return Tools(
        as_of=instant(params["as_of"]),
        subreddit=params["subreddit"],
        source=_source(params["source"]),
        analyzer=build_analyzer(params["analyzer"]),
        prices=_prices(params["prices"], calendar),
        calendar=calendar,
        pseudonym=pseudonymizer(settings.db),
    )


def build_analyzer(name: str) -> Analyzer:
    """Return the analyser of that name; raises `AnalyzerUnavailable`."""
    if name not in ANALYZERS:
        known = ", ".join(ANALYZERS)
        raise AnalyzerUnavailable(f"the analyzer {name} is not part of this version; it has {known}")
    return ANALYZERS[name]()


def _source(name: str) -> Source:
    if name.startswith(ARCHIVE):
        return ArchiveSource(name.removeprefix(ARCHIVE).split(","))
    if name != "sample":
        raise SourceUnavailable(f"the source {name} is not part of this version; use sample or archive:PATH")
    return SampleSource()


def _prices(name: str, calendar: Calendar) -> Prices:
    if name.startswith(CSV):
        return CsvPrices(Path(name.removeprefix(CSV)), calendar)
    if name != "sample":
        raise PricesUnavailable(f"the prices {name} are not part of this version; use sample or csv:PATH")
    return SamplePrices(calendar)
