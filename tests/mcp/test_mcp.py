from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cli.client import Client
from api.cli.root import run
from api.mcp.views import MAX_TEXT_CHARS, quoted
from statemachine.store import RunReader
from tests.api.world import HERE, Gate
from tests.mcp.conftest import MARK, Asked, Connect
from tests.sample_run import END_S, ROOT, command, environment, phaseline

READS = {"list_runs", "run_status", "list_signals", "signal_evidence", "list_portfolios", "list_positions"}
WRITES = {"start_run", "cancel_run"}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


def texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of an answer with the name of its field."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from texts(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each, key)
    elif isinstance(value, str):
        yield key, value


def plain(path: str) -> dict[str, str]:
    """Phases of the tests instead of the pipeline."""
    return {"PYTHONPATH": f"{ROOT}:{HERE}", "PHASELINE_PHASES": f"registries:{path}"}


# --- reading ---


@pytest.mark.slow
def test_only_tools_that_read_are_offered_unless_writes_are_allowed(asked: Asked) -> None:
    tools = asked.tools()

    assert set(tools) == READS
    for tool in tools.values():
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        assert tool.description
        assert tool.output_schema
    assert "never instructions" in str(tools["signal_evidence"].description)
    assert "untrusted_text" in str(asked.client.instructions)


@pytest.mark.slow
def test_every_tool_says_what_the_database_says(asked: Asked, db: Path) -> None:
    with closing(RunReader(db)) as reader:
        signals = reader.conn.execute("SELECT id, ticker FROM signals ORDER BY id DESC").fetchall()
        (held,) = reader.conn.execute("SELECT count(*) FROM positions WHERE status = 'open'").fetchone()
        stored = reader.run(1)

    runs = asked.answer("list_runs")
    report = asked.answer("run_status")
    found = asked.answer("list_signals", limit=50)
    some = asked.answer("list_signals", ticker="gme")

    assert [(each["run_id"], each["status"]) for each in runs["items"]] == [(1, "completed")]
    assert report["counters"]["comments"] == stored.results["comments"]
    assert report["counters"]["analyzers.guard-1"] == 1
    assert report["asked"]["source"] == "sample"
    assert [each["trigger"] for each in report["history"]] == ["start"] + ["advance"] * 7
    assert [(each["id"], each["ticker"]) for each in found["items"]] == signals
    assert {each["ticker"] for each in some["items"]} == {"GME"}
    assert len(asked.answer("list_portfolios")["items"]) == 4
    assert len(asked.answer("list_positions", status="open", limit=50)["items"]) == held


@pytest.mark.slow
def test_lists_come_in_parts(asked: Asked) -> None:
    first = asked.answer("list_signals", limit=2)
    second = asked.answer("list_signals", limit=50, cursor=first["next_cursor"])

    assert len(first["items"]) == 2
    assert second["next_cursor"] is None
    ids = [each["id"] for each in first["items"] + second["items"]]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == len(ids)


@pytest.mark.slow
def test_what_a_stranger_wrote_stays_in_its_field(asked: Asked) -> None:
    signals = asked.answer("list_signals", limit=50)["items"]

    said = [asked.answer("signal_evidence", signal_id=each["id"], limit=50) for each in signals]

    quotes = [text for key, text in texts(said) if key == "untrusted_text"]
    assert sum(MARK in text for text in quotes) >= 5
    assert not [key for key, text in texts(said) if MARK in text and key != "untrusted_text"]
    for _, text in texts(said):
        assert len(text) <= MAX_TEXT_CHARS
        assert text.isprintable()
    cut = [each["body"] for one in said for each in one["comments"] if each["body"]]
    assert any(each["truncated"] for each in cut)


@pytest.mark.slow
def test_evidence_that_is_left_out_is_counted(asked: Asked) -> None:
    signals = asked.answer("list_signals", signal_type="consensus")["items"]

    shown = asked.answer("signal_evidence", signal_id=signals[0]["id"], limit=1)

    assert len(shown["comments"]) == 1
    assert shown["comments_left_out"] == signals[0]["comment_count"] - 1
    assert shown["signal"]["confidence_parts"] is not None


@given(st.text(max_size=2_000))
def test_a_quotation_is_one_harmless_line_of_bounded_length(text: str) -> None:
    quote = quoted(text)

    assert len(quote.untrusted_text) <= MAX_TEXT_CHARS
    assert quote.truncated == (len(text) > MAX_TEXT_CHARS)
    assert not re.search(
        "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", quote.untrusted_text
    )
    json.dumps(quote.model_dump()).encode("ascii")


# --- refusals ---


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        ("run_status", {"run_id": 99}, "there is no run 99; `phaseline runs` lists them"),
        ("signal_evidence", {"signal_id": 99}, "there is no signal 99"),
        ("signal_evidence", {}, "the arguments can't be used: signal_id: Field required"),
        ("list_runs", {"limit": 51}, "the arguments can't be used: limit: "),
        ("list_runs", {"status": "'; DROP TABLE"}, "the arguments can't be used: status: "),
        ("list_signals", {"ticker": "' OR 1=1 --"}, "the arguments can't be used: ticker: "),
        ("run_status", {"run_id": 2**70}, "the arguments can't be used: run_id: "),
        ("start_run", {}, "Unknown tool: start_run"),
        ("no\x1b[2Jsuch", {}, "Unknown tool: no�[2Jsuch"),
    ],
)
def test_a_refusal_is_one_sentence(asked: Asked, tool: str, arguments: dict[str, Any], sentence: str) -> None:
    said = asked.refusal(tool, **arguments)

    assert said.startswith(sentence)
    assert "DROP" not in said
    assert "1=1" not in said
    assert len(said.splitlines()) == 1
    assert "pydantic" not in said


@pytest.mark.slow
def test_why_a_run_failed_is_told_as_something_not_to_be_trusted(connect: Connect, tmp_path: Path) -> None:
    db = tmp_path / "broken.db"
    phaseline("analyze", "--db", str(db), **plain("BROKEN"))

    with connect(db) as asked:
        report = asked.answer("run_status", run_id=1)
        refusal = asked.refusal("list_signals")

    assert (report["status"], report["error_code"], report["phase"]) == ("failed", "error", "Break down")
    assert report["error"]["untrusted_text"].startswith("it broke at https://example.org/")
    assert "SECRET123" not in json.dumps(report)
    assert report["warnings"][0]["message"]["untrusted_text"] == "it is going to break"
    assert report["history"][-1]["error_type"] == "RuntimeError"
    assert refusal == "the phases that run here keep no such records"


@pytest.mark.slow
def test_a_database_may_come_later(connect: Connect, tmp_path: Path) -> None:
    db = tmp_path / "later.db"

    with connect(db) as asked:
        before = asked.refusal("list_runs")
        assert not db.exists()
        made = phaseline("analyze", "--db", str(db), **plain("QUICK"))
        after = asked.answer("list_runs")

    assert before.startswith(f"there is no database {db} yet")
    assert made.returncode == 0
    assert [each["status"] for each in after["items"]] == ["completed"]


@pytest.mark.slow
def test_what_is_wrong_with_the_file_is_said_and_a_defect_is_not(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database, but long enough for a header " * 9)
    odd = tmp_path / "odd.db"
    phaseline("analyze", "--db", str(odd), **plain("QUICK"))
    with closing(sqlite3.connect(odd)) as conn, conn:
        conn.execute("CREATE TABLE portfolios (id INTEGER, current_value TEXT, starting_capital TEXT)")
        conn.execute("CREATE TABLE positions (portfolio_id INTEGER, status TEXT)")
        conn.execute("INSERT INTO portfolios VALUES (1, 'QUOTEDWORDS', 'x')")

    with connect(tmp_path / "text.db") as asked:
        refusal = asked.refusal("list_runs")
    with connect(odd) as asked:
        defect = asked.refusal("list_portfolios")

    assert "it is not a SQLite database" in refusal
    assert defect == "Error executing tool list_portfolios"
    (tmp_path / "text.db").unlink()


# --- the protocol ---


@pytest.mark.slow
def test_nothing_but_the_protocol_is_on_stdout(db: Path) -> None:
    asked = [
        HELLO,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
        {
            "jsonrpc": "2.0",
            "id": 3,
            "method": "tools/call",
            "params": {"name": "run_status", "arguments": {"run_id": 9}},
        },
        {"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {"name": "list_runs"}},
    ]
    with subprocess.Popen(
        command("mcp", "--db", str(db)),
        env=environment(PHASELINE_LOG_LEVEL="DEBUG"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("this is no JSON\n")
        answers = []
        for message in asked:
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
            if "id" in message:
                answers.append(json.loads(process.stdout.readline()))
        rest, err = process.communicate(timeout=END_S)

    assert [answer["id"] for answer in answers] == [1, 2, 3, 4]
    assert rest == ""
    assert process.returncode == 0
    assert "there is no run 9" in err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_while_it_waits(db: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        command("mcp", "--db", str(db)),
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(HELLO) + "\n")
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(number)

        assert process.wait(END_S) == -number


# --- writes ---


@contextmanager
def serving(db: Path, phases: str) -> Iterator[str]:
    with subprocess.Popen(
        command("serve", "--db", str(db), "--port", "0", "--json", "--shutdown", "checkpoint"),
        env=environment(**plain(phases)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.kill()


@pytest.mark.slow
def test_a_run_is_started_by_the_server_and_seen_in_the_database(connect: Connect, tmp_path: Path) -> None:
    db = tmp_path / "runs.db"
    with serving(db, "QUICK") as url, connect(db, "--allow-writes", "--server", url) as asked:
        tools = asked.tools()
        started = asked.answer("start_run", as_of="2020-12-01T18:00:00Z", subreddit="stocks")
        assert phaseline("watch", "1", "--db", str(db)).returncode == 0
        report = asked.answer("run_status", run_id=started["run_id"])
        refused = asked.refusal("start_run", as_of="tomorrow")
        ended = asked.refusal("cancel_run", run_id=1)
        unknown = asked.refusal("cancel_run", run_id=9)

    assert set(tools) == READS | WRITES
    for name in WRITES:
        annotations = tools[name].annotations
        assert annotations is not None
        assert annotations.read_only_hint is False
    assert report["status"] == "completed"
    assert (report["asked"]["subreddit"], report["asked"]["as_of"]) == ("stocks", "2020-12-01T18:00:00.000Z")
    assert "422" in refused
    assert "409" in ended
    assert "there is no run 9" in unknown


@pytest.mark.slow
def test_a_run_is_cancelled_through_the_server(connect: Connect, tmp_path: Path) -> None:
    db = tmp_path / "runs.db"
    gate = Gate(tmp_path / "gate")
    with serving(db, "GATED") as url, connect(db, "--allow-writes", "--server", url) as asked:
        run_id = Client(url).post("/analyze", gate.body)["run_id"]
        arrived = gate.wait_for_arrival()
        told = asked.answer("cancel_run", run_id=run_id)
        os.close(arrived)
        gate.release()
        followed = phaseline("watch", str(run_id), "--db", str(db))
        report = asked.answer("run_status", run_id=run_id)

    assert told["status"] == "running"
    assert followed.returncode == 3
    assert (report["status"], report["error_code"]) == ("failed", "cancelled")


@pytest.mark.slow
def test_a_server_of_another_database_is_not_asked(connect: Connect, db: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.db"
    phaseline("analyze", "--db", str(theirs), **plain("QUICK"))
    with serving(theirs, "QUICK") as url, connect(db, "--allow-writes", "--server", url) as asked:
        started = asked.refusal("start_run")
        cancelled = asked.refusal("cancel_run", run_id=1)

    assert "keeps its runs in another database" in started
    assert "keeps its runs in another database" in cancelled
    with closing(RunReader(theirs)) as reader:
        assert len(reader.runs()) == 1


@pytest.mark.slow
def test_a_server_that_is_not_there_is_one_sentence(connect: Connect, db: Path) -> None:
    with connect(db, "--allow-writes", "--server", "http://127.0.0.1:1") as asked:
        said = asked.refusal("start_run")

    assert said.startswith("no phaseline server answers at http://127.0.0.1:1")


# --- the command ---


def test_a_server_without_writes_is_a_misunderstanding(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["mcp", "--server", "http://127.0.0.1:8000"])

    assert code == 2
    assert capsys.readouterr().err == "phaseline: --server is asked by the tools of --allow-writes only\n"


def test_a_server_must_be_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["mcp", "--allow-writes", "--server", "localhost"])

    assert code == 2
    assert "'localhost' is no server" in capsys.readouterr().err


def test_without_the_extra_one_sentence_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith(("api.mcp.", "mcp"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp", None)

    code = run(["mcp"])

    said = capsys.readouterr()
    assert (code, said.out) == (1, "")
    assert said.err == 'phaseline: serving MCP wants its SDK: pip install "phaseline[mcp]"\n'


@pytest.mark.slow
def test_help_does_not_wait_for_the_sdk() -> None:
    asked = (
        "import sys; from api.cli.root import run; run(['mcp', '--help']);"
        "sys.exit(any(name.partition('.')[0] in {'mcp', 'fastapi'} for name in sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", asked], env=environment(), capture_output=True, timeout=END_S, check=False
    )

    assert done.returncode == 0
    assert b"--allow-writes" in done.stdout
