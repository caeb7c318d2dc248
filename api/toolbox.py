"""The pipeline's tools, built from a run's params. Importing this imports the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from secrets import SystemRandom
from typing import Final, cast

from api import plugins
from api.choices import ARCHIVE
from api.model import hider, host_of, model_problem
from api.params import CSV
from api.price_sources import build_prices, build_schwab_chains
from api.pseudonym import pseudonymizer
from api.settings import Settings
from api.version import version
from phases.analyzers.lexicon import LexiconAnalyzer
from phases.analyzers.llm.analyzer import LlmAnalyzer
from phases.analyzers.llm.endpoint import connector
from phases.analyzers.llm.pricing import Prices as ModelPrices
from phases.analyzers.llm.settings import Address, ModelSettings
from phases.calendar import ExchangeCalendar
from phases.chains.csv import CsvChains
from phases.chains.sample import SampleChains
from phases.model_calls import NANO_PER_USD
from phases.sample import SampleSource
from phases.sources.archive import ArchiveSource
from phases.sources.reddit import RedditSource
from phases.sources.reddit_app import RedditApp, default_user_agent
from phases.stamps import instant
from phases.tools import (
    Analyzer,
    AnalyzerUnavailable,
    Calendar,
    NoChains,
    OptionChains,
    PricesUnavailable,
    Source,
    SourceUnavailable,
    Tools,
)
from statemachine.clock import SystemClock
from statemachine.contract import Json

Keyed = Callable[[str], str]
"""A keyed hash, from a text to a word that nobody without the key can foresee."""
CHAINS: Final[Mapping[str, Callable[[Calendar], OptionChains]]] = {
    "none": lambda _calendar: NoChains(),
    "sample": SampleChains,
}


def build_tools(params: Mapping[str, Json], settings: Settings) -> Tools:
    """Return the outside world of a run, as its params have pinned it."""
    calendar = ExchangeCalendar()
    return Tools(
        as_of=instant(params["as_of"]),
        subreddit=params["subreddit"],
        source=_source(params["source"], settings),
        analyzer=build_analyzer(params["analyzer"], settings, keyed=pseudonymizer(settings.db)),
        prices=build_prices(params["prices"], settings, calendar),
        chains=_chains(params.get("options", "none"), settings, calendar),
        calendar=calendar,
        pseudonym=pseudonymizer(settings.db),
    )


def build_analyzer(name: str, settings: Settings, *, keyed: Keyed) -> Analyzer:
    """Return the analyser of that name; raises `AnalyzerUnavailable`."""
    if name == "llm":
        return _model(settings, keyed)
    if name == "lexicon":
        return LexiconAnalyzer()
    try:
        return cast("Analyzer", plugins.make("analyzers", name))
    except plugins.PluginBroken as error:
        raise AnalyzerUnavailable(f"{error}; Phaseline itself has lexicon, llm") from error


def _model(of: Settings, keyed: Keyed) -> Analyzer:
    if problem := model_problem(of):
        raise AnalyzerUnavailable(problem)
    assert of.llm_base_url is not None, "there was no problem"
    assert of.llm_model is not None, "the same"
    address = Address(
        base_url=of.llm_base_url,
        host=host_of(of.llm_base_url),
        model=of.llm_model,
        key=of.llm_api_key.get_secret_value() if of.llm_api_key else None,
    )
    most = of.llm_max_cost_usd
    settings = ModelSettings(
        address=address,
        fence=lambda content_hash: keyed(f"fence {content_hash}"),
        hide=hider(of),
        prices=_model_prices(of),
        max_cost_nano_usd=None if most is None else int(Decimal(str(most)) * NANO_PER_USD),
        max_output_tokens=of.llm_max_output_tokens,
        timeout_s=of.llm_timeout_s,
    )
    return LlmAnalyzer(settings, connector(address, SystemClock().monotonic))


def _model_prices(of: Settings) -> ModelPrices | None:
    if of.llm_input_usd_per_mtok is None or of.llm_output_usd_per_mtok is None:
        return None
    return ModelPrices(
        input_usd_per_mtok=Decimal(str(of.llm_input_usd_per_mtok)),
        output_usd_per_mtok=Decimal(str(of.llm_output_usd_per_mtok)),
    )


def _source(name: str, settings: Settings) -> Source:
    if name.startswith(ARCHIVE):
        return ArchiveSource(name.removeprefix(ARCHIVE).split(","))
    if name == "reddit":
        return _reddit(settings)
    if name == "sample":
        return SampleSource()
    try:
        return cast("Source", plugins.make("sources", name))
    except plugins.PluginBroken as error:
        raise SourceUnavailable(f"{error}; Phaseline itself has sample, archive:PATH, reddit") from error


def _reddit(settings: Settings) -> RedditSource:
    client_id, secret = settings.reddit_client_id or "", settings.reddit_client_secret
    app = RedditApp(
        client_id=client_id,
        client_secret=secret.get_secret_value() if secret is not None else "",
        user_agent=settings.reddit_user_agent or default_user_agent(client_id, version()),
        login_url=settings.reddit_login_url,
        api_url=settings.reddit_api_url,
    )
    return RedditSource(app, SystemClock(), SystemRandom().random, keep=Path(f"{settings.db}-reddit"))


def _chains(name: str, settings: Settings, calendar: Calendar) -> OptionChains:
    if name.startswith(CSV):
        return CsvChains([Path(path) for path in name.removeprefix(CSV).split(",")], calendar)
    if name == "schwab":
        return build_schwab_chains(settings)
    if name not in CHAINS:
        raise PricesUnavailable(
            f"the options {name} are not part of this version; use {', '.join(CHAINS)} or csv:PATH"
        )
    return CHAINS[name](calendar)
