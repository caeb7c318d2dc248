"""No secret gets out: not by a log, an error, an answer, a command's output or the database.

What a caller puts into `params` is no secret: it is stored with the run and shown to whoever may read the
run. SECURITY.md says so.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.logs import configure
from api.settings import PREFIX, SettingsError, load
from tests.api.world import AS_OF, services_of, until_idle
from tests.hardening.canaries import BASE_URL, REFUSED_URL, SETTINGS, everything, leaks
from tests.hardening.conftest import Command
from tests.hardening.leaking import WAYS
from tests.replay.recordings import TOKEN_PATH
from tests.replay.server import Answer, Asked, serving

PATHS = (
    "/runs", "/runs/1", "/runs/1/status", "/runs/1/events", "/runs/1/stream", "/runs/1/diagram", "/machine",
    "/healthz", "/readyz", "/choices", "/metrics", "/openapi.json", "/ui/", "/nothing", "/runs/x",
)  # fmt: skip
COMMANDS = (
    ("config", "show"), ("config", "show", "--json"), ("doctor",), ("doctor", "--json"), ("runs",),
    ("runs", "--json"), ("show", "last"), ("show", "last", "--json"), ("watch", "last", "--json"),
    ("verify",), ("export", "runs"), ("export", "events"), ("export", "events", "--format", "ndjson"),
    ("diagram", "last"), ("resume", "last"), ("analyze", "--json", "--params", '{"way": "message"}'),
)  # fmt: skip
REFUSED = (f"{BASE_URL} and a space", REFUSED_URL, "https://canary20@llm.example/v1")


@pytest.fixture(autouse=True)
def _secrets_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASELINE_PHASES", "leaking:PHASES")
    monkeypatch.setenv("PHASELINE_LLM_BASE_URL", BASE_URL)
    for name, secret in SETTINGS.items():
        monkeypatch.setenv(PREFIX + name, secret)


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(create_app(load()), raise_server_exceptions=False) as client:
        client.headers["authorization"] = f"Bearer {SETTINGS['TOKEN']}"
        yield client


def stored() -> str:
    return "".join(path.read_bytes().decode("latin-1") for path in Path("data").iterdir())


def test_the_look_for_leaks_finds_every_secret() -> None:
    found = "".join(leaks(everything()))

    assert all(f"canary{number:02}" in found for number in range(1, 21) if number != 11)
    assert leaks(everything().replace("canary", ""))


@pytest.mark.parametrize("form", ["plain", "json"])
@pytest.mark.parametrize("way", WAYS)
def test_a_failing_run_of_a_server_lets_no_secret_out(
    client: TestClient, capfd: pytest.CaptureFixture[str], way: str, form: str
) -> None:
    configure(load({"log_format": form}))

    assert client.post("/analyze", json={"params": {"way": way}}).status_code == 202
    until_idle(client)
    answers = {path: client.get(path).text for path in PATHS}

    logged = "".join(capfd.readouterr())
    assert "Leak" in logged
    assert leaks(logged) == []
    assert json.loads(answers["/runs/1/status"])["error_code"] == "error"
    assert {path: found for path, text in answers.items() if (found := leaks(text))} == {}
    services_of(client).close()
    assert leaks(stored()) == []


@pytest.mark.parametrize(
    "headers", [{"authorization": "Bearer canary-guess"}, {"authorization": "Basic canary-guess"}]
)
def test_a_refused_token_is_not_repeated(
    client: TestClient, capfd: pytest.CaptureFixture[str], headers: dict[str, str]
) -> None:
    configure(load())

    answer = client.get("/runs?key=canary-guess", headers=headers)

    assert answer.status_code == 401
    assert leaks(answer.text + "".join(capfd.readouterr())) == []


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_no_command_shows_a_secret(command: Command, args: tuple[str, ...]) -> None:
    assert command("analyze", "--params", '{"way": "chain"}')[0] == 1

    code, said = command(*args)

    assert code in {0, 1}
    assert said
    assert leaks(said) == []


@pytest.mark.parametrize("url", REFUSED)
def test_a_setting_that_is_refused_is_shown_without_its_secrets(command: Command, url: str) -> None:
    code, said = command("config", "show", "--llm-base-url", url)

    assert code == 2
    assert "LLM_BASE_URL" in said.upper().replace("-", "_")
    assert leaks(said) == []


@pytest.mark.parametrize("url", REFUSED)
def test_the_error_of_a_refused_setting_holds_no_secret_for_whoever_prints_it(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({"llm_base_url": url})

    assert leaks(str(refused.value)) == []


def test_phases_that_fail_to_import_let_no_secret_out(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = everything().replace("\n", " ")
    Path("broken_phases.py").write_text(f"raise RuntimeError({text!r})\n")
    monkeypatch.setenv("PHASELINE_PHASES", "broken_phases:PHASES")

    for args in (("doctor",), ("analyze",), ("diagram",)):
        code, said = command(*args)
        assert code in {1, 2}
        assert "broken_phases" in said
        assert leaks(said) == []


def test_an_unexpected_error_of_a_command_is_told_without_secrets(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError(everything())

    monkeypatch.setattr("api.cli.config.origins", fail)

    code, said = command("config", "show")

    assert code == 1
    assert "RuntimeError" in said
    assert leaks(said) == []


def test_what_the_caller_puts_into_params_is_shown_to_whoever_may_read_the_run(client: TestClient) -> None:
    client.post("/analyze", json={"params": {"way": "chain", "note": "no secret"}})
    until_idle(client)

    assert client.get("/runs/1").json()["params"]["note"] == "no secret"
    assert "no secret" not in client.get("/runs/1/status").text


# --- live Reddit ---

TOKEN = "canary21-token"
"""What the real client gets from a login; it is in no setting, so only care keeps it in."""


def reflecting(asked: Asked, *, login_works: bool) -> Answer:
    """Answer with what came in, the worst that a server can say."""
    if asked.path == TOKEN_PATH and login_works:
        return Answer({"access_token": TOKEN, "token_type": "bearer", "expires_in": 3600, "scope": "*"})
    sent = asked.headers["authorization"]
    return Answer({"reason": sent, "error": sent}, 403, {"location": f"/{sent}"})


@pytest.mark.parametrize("login_works", [True, False])
def test_a_failure_of_the_real_reddit_client_lets_no_secret_out(
    capfd: pytest.CaptureFixture[str], *, login_works: bool
) -> None:
    with serving(partial(reflecting, login_works=login_works)) as server:
        settings = load(
            {
                "phases": "phases:PHASES",
                "source": "reddit",
                "reddit_client_id": "an-id",
                "reddit_login_url": server.url,
                "reddit_api_url": server.url,
                "log_level": "DEBUG",
            }
        )
        configure(settings)
        with TestClient(create_app(settings), raise_server_exceptions=False) as client:
            client.headers["authorization"] = f"Bearer {SETTINGS['TOKEN']}"
            client.post("/analyze", json={})
            until_idle(client)
            answers = "".join(client.get(path).text for path in PATHS)
            status = client.get("/runs/1/status").json()

    sent = server.asked[0].headers["authorization"].removeprefix("Basic ")
    told = "".join(capfd.readouterr()) + answers + stored()
    assert SETTINGS["REDDIT_CLIENT_SECRET"] in b64decode(sent).decode()
    assert "(403)" in status["error_message"]
    assert "PRAW" not in status["error_message"]
    assert sent not in told
    assert leaks(told) == []


# --- comments ---

BODY, AUTHOR = "canary body $GME calls", "canary_author"


def row(number: int, **changes: object) -> str:
    return json.dumps(
        {
            "id": f"c{number}",
            "link_id": "t3_p1",
            "parent_id": "t3_p1",
            "author": f"{AUTHOR}{number}",
            "body": f"{BODY} {number}",
            "created_utc": 1_606_820_000 + number,
            "score": 5,
            **changes,
        }
    )


HOSTILE_LINES = [
    json.dumps({"id": "p1", "title": "a post", "author": f"{AUTHOR}_op", "created_utc": 1_606_810_000}),
    *(row(number) for number in range(20)),
    row(30)[:-9],
    json.dumps([BODY, AUTHOR]),
    row(31, created_utc=BODY),
    row(32, score=BODY),
    row(33, id=BODY),
    row(34, parent_id=[AUTHOR]),
    row(35, author=[AUTHOR], body={"canary body": BODY}),
    row(36, body=f"{BODY} \x00\x1b[31m \ud800"),
    row(37, author=f"{AUTHOR}\x00"),
]


@pytest.mark.slow
@pytest.mark.parametrize("log_level", ["DEBUG", "INFO"])
def test_authors_are_never_stored_and_bodies_never_logged(
    capfd: pytest.CaptureFixture[str], log_level: str
) -> None:
    Path("archive.ndjson").write_text("\n".join(HOSTILE_LINES), encoding="utf-8")
    settings = load(
        {"phases": "phases:PHASES", "as_of": AS_OF, "executor": "threads", "log_level": log_level}
    )
    configure(settings)

    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        client.headers["authorization"] = f"Bearer {SETTINGS['TOKEN']}"
        started = client.post("/analyze", json={"source": "archive:archive.ndjson"})
        until_idle(client)
        answers = "".join(client.get(path).text for path in PATHS)
        status = client.get("/runs/1/status").json()

    logged = "".join(capfd.readouterr())
    assert started.status_code == 202
    assert status["status"] == "completed", status["error_message"]
    assert leaks(logged) == []
    assert leaks(answers) == []
    assert BODY in stored()  # the comments were read; their text is what signals rest on
    assert AUTHOR not in stored()
