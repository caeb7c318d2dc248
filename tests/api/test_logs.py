from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.logs import configure, configure_briefly
from api.settings import Settings
from tests.api.world import MakeSettings, Serve, services_of, until_idle


@pytest.fixture(autouse=True)
def _leave_the_root_logger_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)


def test_json_lines_carry_the_run_and_its_phase(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(log_format="json"))

    logging.getLogger("phaseline.run").warning("slow", extra={"run_id": 3, "phase": "work"})

    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["message"], line["run_id"], line["phase"]) == ("WARNING", "slow", 3, "work")


@pytest.mark.parametrize("form", ["plain", "json"])
def test_no_secret_is_logged_not_even_in_a_traceback(capsys: pytest.CaptureFixture[str], form: str) -> None:
    configure(Settings(log_format=form, token="hunter2", llm_api_key="k-123456"))

    try:
        int("hunter2 at https://x.example/?key=SECRET123")
    except ValueError:
        logging.getLogger("anything").exception("it broke with k-123456")

    said = capsys.readouterr().err
    assert "it broke" in said
    assert not any(secret in said for secret in ("hunter2", "k-123456", "SECRET123"))


def test_a_message_can_not_pretend_to_be_another_record(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings())

    logging.getLogger("anything").warning("one\n2026-01-01T00:00:00.000Z ERROR   two\x1b[31m")

    lines = capsys.readouterr().err.splitlines()
    assert lines[1].startswith("    ")
    assert "\x1b" not in lines[1]


def test_a_brief_log_is_one_line_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    configure_briefly(Settings())

    logging.getLogger("phaseline.run").error("first\nsecond", extra={"run_id": 4})
    logging.getLogger("phaseline.run").info("not worth a word")

    assert capsys.readouterr().err == "phaseline: run 4: first\n"


def test_configuring_twice_says_everything_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings())
    configure(Settings())

    logging.getLogger("anything").warning("once")

    assert capsys.readouterr().err.count("once") == 1


def lines_of(
    serve: Serve, capsys: pytest.CaptureFixture[str], phases: str, **body: Any
) -> list[dict[str, Any]]:
    """What a server logs, as JSON lines, while one run goes to its end."""
    client = serve(phases)
    configure(Settings(log_format="json", log_level="DEBUG"))
    client.post("/analyze")
    until_idle(client)
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_every_line_about_a_run_says_which_one_its_phase_and_its_attempt(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(serve, capsys, "TALKING")
    of_the_run = [line for line in lines if line["logger"] in {"phaseline.run", "somebody.else"}]

    assert [(line["logger"], line["phase"]) for line in of_the_run] == [
        ("somebody.else", "first_word"),
        ("somebody.else", "last_word"),
        ("phaseline.run", "last_word"),
    ]
    assert all((line["run_id"], line["attempt"]) == (1, 1) for line in of_the_run)
    assert of_the_run[-1]["action"] == "fail"


def test_what_another_thread_logs_is_of_no_run(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    lines_of(serve, capsys, "TALKING")

    logging.getLogger("anything").warning("after it")

    assert "run_id" not in json.loads(capsys.readouterr().err)


@pytest.mark.slow
def test_no_line_has_the_text_of_a_comment(
    serve: Serve, capsys: pytest.CaptureFixture[str], make_settings: MakeSettings
) -> None:
    settings = make_settings(phases="X", source="sample").model_copy(
        update={"phases": "phases:PHASES", "as_of": None, "executor": "threads"}
    )
    configure(Settings(log_format="json", log_level="DEBUG"))
    with TestClient(create_app(settings)) as client:
        client.post("/analyze")
        until_idle(client)
        with services_of(client).reading() as reader:
            bodies = [body for (body,) in reader.conn.execute("SELECT body FROM comments WHERE body <> ''")]

    said = capsys.readouterr().err
    messages = [json.loads(line)["message"] for line in said.splitlines()]

    assert len(bodies) > 100
    assert messages
    assert [body for body in bodies if len(body) > 12 and any(body in message for message in messages)] == []
