"""Whole runs with a model: a kill, a stop, the key, the command line."""

from __future__ import annotations

import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.cli.root import run
from statemachine.verify import verify
from tests.api.world import own_world
from tests.models.characters import BROKEN, answered, honest, said, sent
from tests.models.server import ModelServer, Request, Response, model_server

ROOT = Path(__file__).parents[2]
KEY = 'canary-0123+4/5"6'
CREATED = 1_606_800_000  # 2020-12-01T05:20:00Z
AS_OF = "2020-12-01T18:00:00Z"
COMMENTS = 23
END_S = 100


@pytest.fixture(autouse=True)
def _own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    own_world(tmp_path, monkeypatch)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)


@pytest.fixture
def archive(tmp_path: Path) -> str:
    post = {"id": "p1", "subreddit": "wallstreetbets", "title": "Moves", "selftext": "", "author": "op",
            "created_utc": CREATED, "score": 5, "num_comments": COMMENTS}  # fmt: skip
    comments = [
        {"id": f"c{number:02}", "subreddit": "wallstreetbets", "body": f"GME calls, {number} of them",
         "author": f"writer{number}", "created_utc": CREATED + number, "score": 2, "link_id": "t3_p1",
         "parent_id": "t3_p1"}
        for number in range(COMMENTS)
    ]  # fmt: skip
    path = tmp_path / "archive.ndjson"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in [post, *comments]))
    return f"archive:{path}"


def environment(server: ModelServer, archive: str) -> dict[str, str]:
    settings = {
        "LLM_BASE_URL": server.base_url,
        "LLM_MODEL": "m-1",
        "LLM_API_KEY": KEY,
        "LLM_INPUT_USD_PER_MTOK": "0.15",
        "LLM_OUTPUT_USD_PER_MTOK": "0.6",
        "ANALYZER": "llm",
        "SOURCE": archive,
        "AS_OF": AS_OF,
        "EXECUTOR": "threads",
    }
    return {f"PHASELINE_{name}": value for name, value in settings.items()}


def start(*args: str, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "api.cli", *args],
        env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def rows(sql: str) -> list[tuple[Any, ...]]:
    conn = sqlite3.connect("file:data/phaseline.db?mode=ro", uri=True)
    try:
        return conn.execute(sql).fetchall()
    finally:
        conn.close()


@pytest.mark.slow
@pytest.mark.parametrize("at", [8, COMMENTS])
def test_a_kill_loses_at_most_five_paid_answers(archive: str, at: int) -> None:
    processes: list[subprocess.Popen[str]] = []

    def deadly(request: Request) -> Response:
        if request.number == at:
            processes[0].kill()
        return honest(request)

    with model_server(deadly) as server:
        settings = environment(server, archive)
        processes.append(start("analyze", **settings))
        processes[0].communicate(timeout=END_S)
        assert processes[0].returncode == -signal.SIGKILL
        kept = rows("SELECT count(*) FROM comments WHERE analyzed_at IS NOT NULL")[0][0]
        asked = len(server.requests)

        recovery = start("recover", **settings)
        recovery.communicate(timeout=END_S)

    assert asked - 5 <= kept <= asked
    assert kept % 5 == 0
    assert recovery.returncode == 0
    assert len(server.requests) <= COMMENTS + 5
    assert rows("SELECT analyzer, count(*) FROM comments GROUP BY 1") == [("llm:m-1/1", COMMENTS)]
    assert verify(Path("data/phaseline.db")) == []


@pytest.mark.slow
def test_an_interrupt_keeps_all_that_was_paid_for(archive: str) -> None:
    processes: list[subprocess.Popen[str]] = []

    def interrupting(request: Request) -> Response:
        if request.number == 8:
            os.kill(processes[0].pid, signal.SIGINT)
        return honest(request)

    with model_server(interrupting) as server:
        settings = environment(server, archive)
        processes.append(start("analyze", **settings))
        processes[0].communicate(timeout=END_S)
        resumed = start("resume", "last", **settings)
        resumed.communicate(timeout=END_S)

    assert processes[0].returncode == 130
    assert resumed.returncode == 0
    assert len(server.requests) == COMMENTS


# --- in this process ---


@pytest.fixture
def typed(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, archive: str) -> Any:
    """Run a command in front of a server; return its exit code and all that it wrote."""

    def ran(server: ModelServer, *args: str, **settings: str) -> tuple[int, str, str]:
        for name, value in {**environment(server, archive), **settings}.items():
            monkeypatch.setenv(name, value)
        capfd.readouterr()
        code = run(args)
        wrote = capfd.readouterr()
        return code, wrote.out, wrote.err

    return ran


def test_a_run_shows_what_its_model_cost(typed: Any) -> None:
    with model_server(honest) as server:
        assert typed(server, "analyze")[0] == 0
        code, out, _ = typed(server, "show", "last", "--json")

    assert code == 0
    model = json.loads(out)["results"]["model"]
    assert (model["calls"], model["input_tokens"], model["output_tokens"]) == (23, 23_000, 2_300)
    assert model["cost_usd"] == pytest.approx(23 * 0.00021)


def echo(status: int) -> Any:
    def answering(request: Request) -> Response:
        told = f"{request.headers['authorization']} and {KEY} and {json.dumps(KEY)}"
        if status == 200:
            return answered({**said("GME", has_reasoning=True), "reasoning_summary": told})
        return sent({"error": {"message": told, "code": told}}, status, headers={"X-Echo": "canary-0123"})

    return answering


@pytest.mark.parametrize("status", [200, 400, 401, 404])
def test_the_key_gets_into_no_log_no_error_and_no_table(typed: Any, status: int) -> None:
    with model_server(echo(status)) as server:
        code, *texts = typed(server, "analyze", PHASELINE_LOG_LEVEL="DEBUG")
        texts += typed(server, "show", "last", "--json")[1:]
        texts += typed(server, "doctor", "--json")[1:]
        texts += typed(server, "config", "show")[1:]

    assert code == (0 if status == 200 else 1)
    assert "canary-0123" in server.requests[0].headers["authorization"]
    assert "canary-0123" not in "".join(texts)
    stored = b"".join(path.read_bytes() for path in Path("data").iterdir())
    assert b"canary-0123" not in stored
    assert rows("SELECT count(*) FROM model_calls")[0][0] > 0


def test_a_refused_key_fails_the_run_with_one_sentence(typed: Any) -> None:
    with model_server(echo(401)) as server:
        code, _, err = typed(server, "analyze")

    host = server.base_url.removeprefix("http://").removesuffix("/v1")
    assert code == 1
    assert f"{host} does not accept the key (HTTP 401); correct LLM_API_KEY, then resume the run" in err
    assert rows("SELECT error_code FROM analysis_runs") == [("error",)]


def test_texts_are_annotated_by_the_model_and_what_it_refuses_by_the_embedded_one(
    typed: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def shy(request: Request) -> Response:
        return BROKEN["refused"] if "AMC" in request.comment else honest(request)

    texts = ["GME calls", "AMC puts", *(f"TSLA {number}" for number in range(6))]
    given = tmp_path / "texts.ndjson"
    given.write_text("".join(f"{json.dumps({'text': text})}\n" for text in texts))
    with model_server(shy) as server, given.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        code, out, err = typed(server, "annotate")

    annotations = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [each["tickers"] for each in annotations[:3]] == [["GME"], ["AMC"], ["TSLA"]]
    assert all({"tickers", "sentiment", "confidence", "analyzer"} <= set(each) for each in annotations)
    assert [each["analyzer"].partition("-")[0] for each in annotations] == [
        "llm:m",
        "lexicon",
        *["llm:m"] * 6,
    ]
    assert "no usable answer to 1 of 8" in err


INCOMPLETE = {
    "PHASELINE_LLM_MODEL": ("", "llm wants PHASELINE_LLM_MODEL; set them first"),
    "PHASELINE_LLM_OUTPUT_USD_PER_MTOK": ("", "llm can count costs only with both prices of the model"),
    "PHASELINE_LLM_API_KEY": ("canary\nkey", "has characters that no HTTP header can carry"),
    "PHASELINE_LLM_BASE_URL": ("http://127.0.0.1:x/v1", "PHASELINE_LLM_BASE_URL is no address"),
}


@pytest.mark.parametrize("name", INCOMPLETE)
def test_settings_that_are_not_complete_refuse_the_run_and_the_doctor_says_why(typed: Any, name: str) -> None:
    value, sentence = INCOMPLETE[name]
    with model_server(honest) as server:
        code, _, err = typed(server, "analyze", **{name: value})
        healthy, found, _ = typed(server, "doctor", "--json", **{name: value})

    assert (code, healthy) == (2, 1)
    assert sentence in err
    (finding,) = [each for each in json.loads(found) if each["check"] == "model"]
    assert finding["grade"] == "fail"
    assert sentence in finding["said"]
    assert "canary" not in err + found


def test_without_the_extra_the_run_is_refused_with_the_command_that_installs_it(
    typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.model.find_spec", lambda _name: None)
    with model_server(honest) as server:
        code, _, err = typed(server, "analyze")

    assert code == 2
    assert 'pip install "phaseline[llm]"' in err


def test_an_extra_that_is_half_installed_is_told_like_one_that_is_missing() -> None:
    code = """
import sys
sys.modules["openai"] = None
from phases.analyzers.llm.endpoint import connector
from phases.analyzers.llm.settings import Address
from phases.tools import AnalyzerUnavailable
try:
    connector(Address(base_url="http://127.0.0.1:9/v1", host="h", model="m"), float)()
except AnalyzerUnavailable as error:
    print(error)
"""
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert process.stdout == 'the analyzer llm needs an extra: pip install "phaseline[llm]"\n'


def test_a_cap_without_prices_refuses_to_start(typed: Any) -> None:
    without = {"PHASELINE_LLM_INPUT_USD_PER_MTOK": "", "PHASELINE_LLM_OUTPUT_USD_PER_MTOK": ""}
    with model_server(honest) as server:
        code, _, err = typed(server, "analyze", PHASELINE_LLM_MAX_COST_USD="1", **without)

    assert code == 2
    assert "set PHASELINE_LLM_INPUT_USD_PER_MTOK and PHASELINE_LLM_OUTPUT_USD_PER_MTOK" in err


def test_the_doctor_says_that_a_model_is_set_up_and_asks_nobody(typed: Any) -> None:
    with model_server(honest) as server:
        code, found, _ = typed(server, "doctor", "--json")

    (finding,) = [each for each in json.loads(found) if each["check"] == "model"]
    assert code == 0
    assert finding["grade"] == "ok"
    assert "m-1 at 127.0.0.1:" in finding["said"]
    assert server.requests == []
