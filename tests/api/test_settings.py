from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.app import create_app
from api.settings import Settings, SettingsError, instant, is_loopback, load, origins

CONTRACT = {
    "db": Path("data/phaseline.db"),
    "phases": "phases:PHASES",
    "soft_limit_s": 1800,
    "hard_limit_s": 3600,
    "abandon_after_s": 900,
    "stop_grace_s": 60,
    "max_active_runs": 1,
    "recovery": "resume",
    "max_attempts": 3,
    "shutdown": "finish",
    "host": "127.0.0.1",
    "port": 8000,
    "token": None,
    "source": "sample",
    "subreddit": "wallstreetbets",
    "analyzer": "lexicon",
    "prices": "sample",
    "options": None,
    "executor": "processes",
    "as_of": None,
}


def test_the_defaults_are_those_of_the_contract() -> None:
    assert {name: getattr(load(), name) for name in CONTRACT} == CONTRACT


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("phaseline.toml").write_text('port = 1\nsubreddit = "file"\nanalyzer = "llm"\n')
    monkeypatch.setenv("PHASELINE_PORT", "2")
    monkeypatch.setenv("PHASELINE_SUBREDDIT", "environment")
    flags = {"port": "3"}

    found = load(flags)

    assert (found.port, found.subreddit, found.analyzer, found.source) == (3, "environment", "llm", "sample")
    assert origins(flags) == {"port": "flag", "subreddit": "env", "analyzer": "toml"}


def test_the_settings_file_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.toml").write_text("PORT = 1\n")
    (tmp_path / "two.toml").write_text("port = 2\n")

    assert load({"config": "one.toml"}).port == 1
    monkeypatch.setenv("PHASELINE_CONFIG", "two.toml")
    assert load().port == 2
    assert load({"config": "one.toml"}).port == 1


def test_reddits_own_names_are_read_too_and_ours_are_stronger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDDIT_CLIENT_ID", "theirs")
    assert load().reddit_client_id == "theirs"

    monkeypatch.setenv("PHASELINE_REDDIT_CLIENT_ID", "ours")
    assert load().reddit_client_id == "ours"


def test_where_reddit_is_has_to_be_said_with_our_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDDIT_API_URL", "https://elsewhere.example")
    assert load().reddit_api_url == "https://oauth.reddit.com"

    monkeypatch.setenv("PHASELINE_REDDIT_API_URL", "https://elsewhere.example/")
    assert load().reddit_api_url == "https://elsewhere.example"


@pytest.mark.parametrize("name", ["reddit_api_url", "reddit_login_url"])
def test_the_applications_secret_is_sent_in_the_open_to_this_machine_only(name: str) -> None:
    assert load({name: "http://127.0.0.1:9"})
    with pytest.raises(SettingsError, match="must begin with https://"):
        load({name: "http://reddit.example"})


@pytest.mark.parametrize("agent", ["short", "two\nlines of it", "naïve agent"])
def test_a_user_agent_has_to_fit_a_header(agent: str) -> None:
    with pytest.raises(SettingsError, match="reddit-user-agent"):
        load({"reddit_user_agent": agent})


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASELINE_TOKEN", "")

    assert load().token is None


def test_allowed_hosts_are_a_list_with_commas() -> None:
    assert load({"allowed_hosts": "a.example, b.example:80"}).allowed_hosts == ("a.example", "b.example:80")


BAD = {
    "soft_limit_s": ("0", "-1", "nan", "inf", "1e99", "x", True),
    "hard_limit_s": ("0", "-1", "nan", "inf", "1e99", "x"),
    "abandon_after_s": ("-1", "nan", "inf", "x"),
    "stop_grace_s": ("-1", "nan", "inf", "x"),
    "max_active_runs": ("0", "-1", "1.5", "1001", "x"),
    "max_attempts": ("-1", "1001", "x"),
    "port": ("-1", "65536", "x"),
    "recovery": ("maybe",),
    "shutdown": ("never",),
    "executor": ("cluster",),
    "analyzer": ("crystal",),
    "phases": ("phases", ":PHASES", "a b:c", "os:system()"),
    "source": ("sampel", "archive:", "archive:a,,b", "reddit:x", "archive:a\nb"),
    "prices": ("csv:", "yahoo"),
    "options": ("csv:", "csv:a,,b", "lean"),
    "subreddit": ("a", "a" * 22, "r/x", "stocks\n"),
    "as_of": ("yesterday", "2020-12-01", "2020-12-01T18:00:00", "1606845600"),
    "host": ("", "a b", "x/y"),
    "token": ("with space", "naïve", "line\nfeed"),
    "llm_base_url": ("ftp://x", "example.org", "https:///v1", "https://me:pass@example.org/v1"),
    "traces": ("127.0.0.1:4318", "http://token@127.0.0.1:4318"),
    "llm_max_cost_usd": ("0", "-1", "nan"),
    "allowed_hosts": (",",),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in BAD for value in BAD[name]])
def test_a_value_out_of_bounds_is_refused_in_a_sentence_that_names_the_flag(name: str, value: object) -> None:
    with pytest.raises(SettingsError) as error:
        load({name: value})

    assert f"--{name.replace('_', '-')}" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_secret_is_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASELINE_TOKEN", "hunter two")

    with pytest.raises(SettingsError) as error:
        load()

    assert "hunter" not in str(error.value)
    assert "hunter2" not in repr(load({"token": "hunter2"}))


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("PHASELINE_SOFT_LIMIT", "PHASELINE_SOFT_LIMIT_S"),
        ("PHASELINE_POORT", "PHASELINE_PORT"),
        ("PHASELINE_TOKENS", "PHASELINE_TOKEN"),
    ],
)
def test_an_unknown_variable_is_an_error_that_names_the_closest_one(
    monkeypatch: pytest.MonkeyPatch, variable: str, meant: str
) -> None:
    monkeypatch.setenv(variable, "1")

    with pytest.raises(SettingsError, match=f"{variable}; did you mean {meant}\\?"):
        load()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "unknown setting prot in the settings file; did you mean port?"),
        ("port = ", "is not TOML"),
        ("port = 'x'", "port in the settings file"),
        ("[server]\nport = 1", "unknown setting server in the settings file"),
        ("max_attempts = true", "max_attempts in the settings file: no setting is a boolean"),
    ],
)
def test_a_wrong_file_is_an_error(text: str, said: str) -> None:
    Path("phaseline.toml").write_text(text)

    with pytest.raises(SettingsError) as error:
        load()

    assert said in str(error.value)


def test_a_named_file_that_is_missing_is_an_error() -> None:
    with pytest.raises(SettingsError, match=r"can't read the settings file nowhere.toml"):
        load({"config": "nowhere.toml"})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "box.lan"])
def test_a_server_open_to_others_needs_a_token(host: str) -> None:
    with pytest.raises(SettingsError, match="TOKEN"):
        create_app(Settings(host=host, phases="registries:QUICK"))

    create_app(Settings(host=host, token="s3cret", phases="registries:QUICK"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_loopback(host: str) -> None:
    assert is_loopback(host)


FIRST, LAST = datetime(2, 1, 1), datetime(9998, 1, 1)  # noqa: DTZ001  # Hypothesis adds the zone
ZONES = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)


@given(st.datetimes(FIRST, LAST, timezones=ZONES))
def test_an_instant_survives_its_text(at: datetime) -> None:
    assert instant(at.isoformat()) == at


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_whatever_is_no_instant_is_refused_and_nothing_worse(value: object) -> None:
    try:
        at = instant(value)
    except ValueError:
        return
    assert at is None or isinstance(at, datetime)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_an_instant_before_the_first_or_after_the_last_year_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        load({"as_of": text})


@given(st.floats(allow_nan=True))
def test_a_limit_is_a_positive_number_of_seconds_or_an_error(seconds: float) -> None:
    try:
        limit = load({"hard_limit_s": repr(seconds)}).hard_limit_s
    except SettingsError:
        assert not math.isfinite(seconds) or not 0 < seconds <= 366 * 86400
    else:
        assert limit == seconds
