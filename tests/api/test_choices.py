"""What the server offers to start a run with is what it takes, and it tells no secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.api.world import Serve
from tests.plugins.test_plugins import package


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a folder for made-up installed packages on the path."""
    folder = tmp_path / "lib"
    monkeypatch.syspath_prepend(str(folder))
    return folder


def problems(found: dict[str, Any], kind: str) -> dict[str, str | None]:
    return {each["name"]: each["problem"] for each in found[kind]}


def test_every_choice_without_a_problem_is_taken_and_every_other_one_refused_for_that_reason(
    serve: Serve, site: Path
) -> None:
    package(site, "good_feed", "[phaseline.sources]\ngood = good_feed:make\n", "make = list")
    package(site, "torn_feed", "[phaseline.sources]\ntorn = torn_feed:make\n", "raise OSError('no disk')")
    client = serve(max_active_runs=10)
    found = client.get("/choices").json()

    for kind, field in (("sources", "source"), ("analyzers", "analyzer")):
        for name, problem in problems(found, kind).items():
            if name == "archive":  # is nothing without its files
                continue
            answer = client.post("/analyze", json={field: name})
            assert answer.status_code == (202 if problem is None else 422), answer.text
            assert problem is None or problem in answer.text.replace('\\"', '"')
    assert problems(found, "sources")["good"] is None
    assert "OSError: no disk" in (problems(found, "sources")["torn"] or "")


def test_each_choice_says_what_follows_its_name_and_who_offers_it(serve: Serve, site: Path) -> None:
    package(site, "good_feed", "[phaseline.sources]\ngood = good_feed:make\n", "make = list")

    named = {each["name"]: each for each in serve().get("/choices").json()["sources"]}

    assert list(named)[:3] == ["sample", "reddit", "archive"]
    assert (named["archive"]["argument"], named["archive"]["needs_argument"]) == ("PATH[,PATH...]", True)
    assert (named["sample"]["argument"], named["sample"]["package"]) == (None, None)
    assert (named["good"]["argument"], named["good"]["needs_argument"]) == ("ARGUMENT", False)
    assert named["good"]["package"] == "good_feed 1.0"


def test_what_is_missing_for_a_choice_is_said_and_goes_when_it_is_set(serve: Serve) -> None:
    bare = serve().get("/choices").json()
    set_up = serve(
        reddit_client_id="me", reddit_client_secret=SecretStr("hush-hush"), llm_base_url="http://m.example",
        llm_model="small",
    ).get("/choices").json()  # fmt: skip

    assert "REDDIT_CLIENT_ID" in (problems(bare, "sources")["reddit"] or "")
    assert "PHASELINE_LLM_BASE_URL" in (problems(bare, "analyzers")["llm"] or "")
    assert problems(set_up, "sources")["reddit"] is None
    assert problems(set_up, "analyzers")["llm"] is None


def test_the_defaults_are_the_settings_without_what_follows_a_colon(serve: Serve, tmp_path: Path) -> None:
    client = serve(source=f"archive:{tmp_path}/private.zst", subreddit="stocks")

    assert client.get("/choices").json()["defaults"] == {
        "subreddit": "stocks", "source": "archive", "analyzer": "lexicon",
    }  # fmt: skip
    assert "private" not in client.get("/choices").text


def test_a_plugin_that_quotes_a_secret_in_its_error_is_shown_without_it(serve: Serve, site: Path) -> None:
    package(
        site, "loud_feed", "[phaseline.sources]\nloud = loud_feed:make\n",
        "raise OSError('no login with key hush-hush at x?token=AnotherSecret')",
    )  # fmt: skip

    text = serve(llm_api_key=SecretStr("hush-hush")).get("/choices").text

    assert "no login with key ***" in text
    assert "hush" not in text
    assert "AnotherSecret" not in text
