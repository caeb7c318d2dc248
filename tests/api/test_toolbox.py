from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.params import Asked, BadParam, pin
from api.price_sources import token_file
from api.settings import Settings, instant
from api.toolbox import build_analyzer, build_tools
from api.wiring import Deferred
from phases.prices.fallback import Fallback
from phases.tools import AnalyzerUnavailable, PricesUnavailable, SourceUnavailable
from statemachine.clock import SystemClock
from tests.api.world import MakeSettings

PARAMS: dict[str, Any] = {
    "subreddit": "stocks",
    "source": "sample",
    "analyzer": "lexicon",
    "prices": "sample",
    "as_of": "2020-12-01T18:00:00.000Z",
}

NOW = datetime(2020, 12, 1, 18, tzinfo=UTC)


def test_a_run_gets_the_tools_that_its_params_have_pinned(make_settings: MakeSettings) -> None:
    Path("posts.ndjson").write_text("{}\n")
    Path("prices.csv").write_text("symbol,date,open,high,low,close,volume\n")

    tools = build_tools(
        {**PARAMS, "source": "archive:posts.ndjson", "prices": "csv:prices.csv"},
        make_settings(subreddit="other"),
    )

    assert (tools.subreddit, tools.source.name, tools.prices.name) == ("stocks", "archive", "csv")
    assert tools.as_of == instant(PARAMS["as_of"])
    assert tools.pseudonym("somebody") != "somebody"


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"source": "elsewhere"}, SourceUnavailable),
        ({"analyzer": "llm"}, AnalyzerUnavailable),
        ({"prices": "schwab"}, PricesUnavailable),
        ({"options": "schwab"}, PricesUnavailable),
        ({"prices": "csv:nowhere.csv"}, PricesUnavailable),
        ({"options": "crystal"}, PricesUnavailable),
        ({"options": "csv:nowhere"}, PricesUnavailable),
    ],
)
def test_a_tool_that_is_not_part_of_this_version_says_so(
    make_settings: MakeSettings, params: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        build_tools({**PARAMS, **params}, make_settings())


def test_live_prices_are_read_by_their_names_and_yahoo_stands_in_for_schwab(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(schwab_client_id="an-app", schwab_client_secret="hush")
    token = {"access_token": "a", "refresh_token": "r"}
    now_s = int(SystemClock().now().timestamp())
    token_file(settings).write({"creation_timestamp": now_s, "token": token})

    live = build_tools({**PARAMS, "prices": "schwab", "options": "schwab"}, settings)

    assert build_tools({**PARAMS, "prices": "yfinance"}, make_settings()).prices.name == "yfinance"
    assert (live.prices.name, live.chains.name) == ("schwab", "schwab")
    assert isinstance(live.prices, Fallback)


def test_a_login_that_has_ended_is_told_before_anything_is_asked(make_settings: MakeSettings) -> None:
    settings = make_settings(schwab_client_id="an-app", schwab_client_secret="hush")
    token_file(settings).write(
        {"creation_timestamp": 1, "token": {"access_token": "a", "refresh_token": "r"}}
    )

    with pytest.raises(
        PricesUnavailable, match="the login to Schwab ended at 1970-01-08 00:00 UTC; log in with"
    ):
        build_tools({**PARAMS, "prices": "schwab"}, settings)


def test_a_run_that_has_read_reddit_goes_on_without_credentials(make_settings: MakeSettings) -> None:
    tools = build_tools({**PARAMS, "source": "reddit"}, make_settings())

    with pytest.raises(SourceUnavailable, match="REDDIT_CLIENT_ID"):
        next(
            tools.source.read(
                subreddit="x",
                as_of=tools.as_of,
                progress=lambda *_: None,
                remaining_s=lambda: 60.0,
            )
        )


def test_an_unknown_analyzer_names_those_there_are(make_settings: MakeSettings) -> None:
    with pytest.raises(AnalyzerUnavailable, match="lexicon, llm"):
        build_analyzer("crystal", make_settings(), keyed=str)


def test_tools_are_built_when_a_phase_first_asks_and_once() -> None:
    built: list[Path] = []

    def build() -> Path:
        built.append(Path("a/b"))
        return built[-1]

    tools = Deferred(build)
    assert built == []

    assert (tools.name, tools.parent.name) == ("b", "a")
    assert len(built) == 1


def test_prices_of_a_file_are_pinned_by_its_whole_path(tmp_path: Path) -> None:
    Path("prices.csv").write_text("symbol,date,open,high,low,close,volume\n")
    now = instant("2020-12-01T18:00:00Z")

    pinned = pin(Asked(), Settings(prices="csv:prices.csv"), now)  # type: ignore[arg-type]  # an instant it is

    assert pinned["prices"] == f"csv:{tmp_path / 'prices.csv'}"
    with pytest.raises(BadParam, match=r"there is no file 'nowhere.csv'"):
        pin(Asked(), Settings(prices="csv:nowhere.csv"), now)  # type: ignore[arg-type]  # the same


OPTIONS = "#expiry,strike,right,open,high,low,close,volume,open_interest,implied_volatility,delta\n"


@pytest.mark.parametrize(
    ("source", "options", "pinned"),
    [("sample", None, "sample"), ("sample", "none", "none"), ("archive:posts.ndjson", None, "none")],
)
def test_the_sample_has_options_of_its_own_and_archives_have_none(
    source: str, options: str | None, pinned: str
) -> None:
    Path("posts.ndjson").write_text('{"id": "a", "title": "t", "created_utc": 1}\n')
    settings = Settings(source=source, options=options)

    assert pin(Asked(), settings, NOW)["options"] == pinned


def test_options_of_files_are_pinned_by_their_whole_paths(tmp_path: Path) -> None:
    Path("gme_20261120.csv").write_text(OPTIONS)
    Path("more").mkdir()

    pinned = pin(Asked(), Settings(options="csv:gme_20261120.csv,more"), NOW)

    assert pinned["options"] == f"csv:{tmp_path / 'gme_20261120.csv'},{tmp_path / 'more'}"
    with pytest.raises(BadParam, match=r"there is no file or folder 'nowhere'"):
        pin(Asked(), Settings(options="csv:nowhere"), NOW)


@pytest.mark.parametrize(
    ("options", "name"),
    [({}, "none"), ({"options": "sample"}, "sample"), ({"options": "csv:gme_20261120.csv"}, "csv")],
)
def test_a_run_gets_the_chains_that_it_has_pinned_and_an_older_run_none(
    make_settings: MakeSettings, options: dict[str, str], name: str
) -> None:
    Path("gme_20261120.csv").write_text(OPTIONS)

    assert build_tools({**PARAMS, **options}, make_settings()).chains.name == name
