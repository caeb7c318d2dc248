from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from api.logs import configure, configure_briefly
from api.settings import Settings


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
