"""Which prices a run reads, and whether they can be read at all. Importing this imports the pipeline."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, cast

from api import plugins
from api.params import CSV, PRICES
from api.settings import Settings
from phases.chains.schwab import SchwabChains
from phases.prices.csv import CsvPrices
from phases.prices.errors import LoginNeeded
from phases.prices.fallback import Fallback
from phases.prices.sample import SamplePrices
from phases.prices.schwab import SchwabPrices
from phases.prices.schwab_client import EXTRA as SCHWAB_EXTRA
from phases.prices.schwab_client import SchwabApp, SchwabSession
from phases.prices.schwab_token import LOGIN, WARN_AHEAD, TokenFile, login_by
from phases.prices.yahoo import EXTRA as YAHOO_EXTRA
from phases.prices.yahoo import YahooPrices, fetch_with_yfinance
from phases.tools import Calendar, Prices, PricesUnavailable
from statemachine.clock import SystemClock

CLOCK: Final = SystemClock()
Grade = Literal["ok", "warn", "fail"]


def build_prices(name: str, settings: Settings, calendar: Calendar) -> Prices:
    """Return the prices of that name; raises `PricesUnavailable` for what can't work."""
    if name.startswith(CSV):
        return CsvPrices(Path(name.removeprefix(CSV)), calendar)
    if name == "sample":
        return SamplePrices(calendar)
    if name not in PRICES:
        return _plugged(name, calendar)
    if problem := price_problem(name, settings):
        raise PricesUnavailable(problem)
    return _schwab(settings, calendar) if name == "schwab" else _yahoo(settings, calendar)


def _plugged(name: str, calendar: Calendar) -> Prices:
    try:
        return cast("Prices", plugins.make("prices", name, calendar))
    except plugins.PluginBroken as error:
        raise PricesUnavailable(str(error)) from error


def build_schwab_chains(settings: Settings) -> SchwabChains:
    """Return Schwab's option chains; raises `PricesUnavailable` for what can't work."""
    if problem := price_problem("schwab", settings):
        raise PricesUnavailable(problem)
    return SchwabChains(_session(settings), _wait, CLOCK.now)


def price_problem(name: str, settings: Settings) -> str | None:
    """Return what keeps these prices from being read, `None` where nothing is known to."""
    if name == "yfinance":
        return None if find_spec("yfinance") else f"yfinance needs an extra: {YAHOO_EXTRA}"
    if name != "schwab":
        return None
    if not find_spec("schwab"):
        return f"schwab needs an extra: {SCHWAB_EXTRA}"
    if not (settings.schwab_client_id and settings.schwab_client_secret):
        return "schwab wants SCHWAB_CLIENT_ID and SCHWAB_CLIENT_SECRET; set them first"
    try:
        by = login_by(token_file(settings).read())
    except LoginNeeded as error:
        return str(error)
    return f"the login to Schwab ended at {by:%Y-%m-%d %H:%M} UTC; {LOGIN}" if by <= CLOCK.now() else None


def readiness(name: str, settings: Settings) -> tuple[Grade, str]:
    """Return how ready one source is, and what to do; nothing is asked of it."""
    in_use = name == settings.prices or (name == "schwab" and settings.options == "schwab")
    if problem := price_problem(name, settings):
        return ("fail", problem) if in_use else ("ok", f"not in use: {problem}")
    if name != "schwab":
        return "ok", "installed; Yahoo was not asked"
    by = login_by(token_file(settings).read())
    said = f"log in again by {by:%Y-%m-%d %H:%M} UTC"
    return ("warn", f"{said}: {LOGIN}") if by - CLOCK.now() <= WARN_AHEAD else ("ok", said)


def schwab_app(settings: Settings) -> SchwabApp:
    """Return what Schwab knows this application by."""
    secret = settings.schwab_client_secret
    return SchwabApp(settings.schwab_client_id or "", secret.get_secret_value() if secret else "")


def token_file(settings: Settings) -> TokenFile:
    """Return where Schwab's token lies: beside the database."""
    return TokenFile(Path(f"{settings.db}-schwab.json"))


def _session(settings: Settings) -> SchwabSession:
    return SchwabSession(schwab_app(settings), token_file(settings))


def _schwab(settings: Settings, calendar: Calendar) -> Prices:
    prices = SchwabPrices(_session(settings), token_file(settings), calendar, _wait, CLOCK.now)
    return Fallback(prices, _yahoo(settings, calendar)) if find_spec("yfinance") else prices


def _yahoo(settings: Settings, calendar: Calendar) -> YahooPrices:
    fetch = fetch_with_yfinance(Path(f"{settings.db}-yfinance"))
    return YahooPrices(calendar, fetch, _wait, CLOCK.now)


def _wait(seconds: float) -> bool:
    return CLOCK.wait(threading.Event(), seconds)
