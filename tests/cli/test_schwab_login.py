"""Logging in to Schwab, and what the doctor says of the sources of prices."""

from __future__ import annotations

import json
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from api.cli.root import phaseline as root
from api.price_sources import token_file
from api.settings import load
from statemachine.clock import SystemClock
from tests.cli.conftest import Phaseline


@pytest.fixture
def _an_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHWAB_CLIENT_ID", "an-app")
    monkeypatch.setenv("SCHWAB_CLIENT_SECRET", "hush-hush")


def log_in(days_ago: float) -> Path:
    begun = SystemClock().now() - timedelta(days=days_ago)
    tokens = token_file(load())
    token = {"access_token": "access-1", "refresh_token": "refresh-1"}
    tokens.write({"creation_timestamp": int(begun.timestamp()), "token": token})
    return tokens.path


def doctor(phaseline: Phaseline, *flags: str) -> dict[str, Any]:
    code, out, _ = phaseline("doctor", "--json", *flags)
    return {each["check"]: each for each in json.loads(out)} | {"code": code}


def test_without_an_application_a_login_says_what_to_set(phaseline: Phaseline) -> None:
    code, out, said = phaseline("schwab-login")

    assert code == 2
    assert out == ""
    assert "a login wants SCHWAB_CLIENT_ID and SCHWAB_CLIENT_SECRET; set them first" in said


@pytest.mark.usefixtures("_an_app")
@pytest.mark.parametrize(
    "pasted", ["https://127.0.0.1:8182/", "what?", "https://127.0.0.1:8182/?code=1&state=x"]
)
def test_an_address_that_is_no_use_keeps_nothing(pasted: str) -> None:
    """The last one is of another login; the session finds that before it asks anybody."""
    done = CliRunner().invoke(root, ["schwab-login"], input=f"{pasted}\n", standalone_mode=False)

    assert done.exception is not None
    assert "phaseline schwab-login" in str(done.exception) or "holds no code" in str(done.exception)
    assert "https://api.schwabapi.com/v1/oauth/authorize?" in done.output
    assert "hush-hush" not in done.output
    assert not token_file(load()).path.exists()


def test_the_doctor_says_that_nobody_uses_schwab(phaseline: Phaseline) -> None:
    found = doctor(phaseline)

    assert found["schwab"]["grade"] == "ok"
    assert found["schwab"]["said"].startswith("not in use: schwab wants SCHWAB_CLIENT_ID")
    assert found["yfinance"]["said"] == "installed; Yahoo was not asked"
    assert found["calendar"]["said"].startswith("XNYS from 1900 to 2199")


@pytest.mark.usefixtures("_an_app")
@pytest.mark.parametrize(
    ("days_ago", "grade", "said"),
    [
        (None, "fail", "nobody has logged in to Schwab yet; log in with: phaseline schwab-login"),
        (2, "ok", "log in again by "),
        (6.5, "warn", "log in with: phaseline schwab-login"),
        (8, "fail", "the login to Schwab ended at "),
    ],
)
def test_the_doctor_says_until_when_the_login_lasts(
    phaseline: Phaseline, monkeypatch: pytest.MonkeyPatch, days_ago: float | None, grade: str, said: str
) -> None:
    monkeypatch.setenv("PHASELINE_PRICES", "schwab")
    if days_ago is not None:
        path = log_in(days_ago)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    found = doctor(phaseline)

    assert found["schwab"]["grade"] == grade
    assert said in found["schwab"]["said"]
    assert "hush-hush" not in json.dumps(found)
    assert found["code"] == (1 if grade == "fail" else 0)
