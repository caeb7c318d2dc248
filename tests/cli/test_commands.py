from __future__ import annotations

import csv
import io
import json
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from api.cli.exits import Unreachable
from api.cli.root import COMMANDS
from api.cli.watch import TRIES, Patient
from api.settings import Settings

if TYPE_CHECKING:
    from tests.cli.conftest import Phaseline

DB = Path("data/phaseline.db")
NO_DATABASE = "not a database, but long enough to have a header of a hundred bytes " * 3
CONTRACT = (
    "serve", "demo", "analyze", "watch", "runs", "show", "cancel", "resume", "recover", "annotate",
    "diagram", "verify", "doctor", "export", "config", "predictions", "override", "close", "prune",
    "schwab-login", "completion", "explore", "mcp",
)  # fmt: skip


def test_help_names_every_command_of_the_contract(phaseline: Phaseline) -> None:
    code, out, _ = phaseline("--help")

    assert code == 0
    assert all(f"  {name} " in out for name in CONTRACT)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_commands_say(phaseline: Phaseline, name: str) -> None:
    code, out, _ = phaseline(name, "--help")

    assert code == 0
    assert COMMANDS[name][1] in " ".join(out.split())


def test_every_setting_is_a_flag_of_the_same_name(phaseline: Phaseline) -> None:
    _, out, _ = phaseline("config", "show", "--help")

    assert all(f"--{name.replace('_', '-')} " in out for name in Settings.model_fields)


def test_analyze_runs_to_the_end_and_reports(phaseline: Phaseline) -> None:
    code, out, err = phaseline("analyze")

    assert code == 0
    assert out == "run 1 completed: notes 2\n"
    assert err.splitlines() == ["run 1: 1/2 First note", "run 1: 2/2 Second note", "run 1: completed"]


def test_analyze_as_json_is_one_object(phaseline: Phaseline) -> None:
    _, out, _ = phaseline("analyze", "--json", "--params", '{"depth": 3}')
    _, shown, _ = phaseline("show", "last", "--json")

    assert json.loads(out)["status"] == "completed"
    assert json.loads(shown)["params"]["depth"] == 3


def test_a_failed_run_is_one_sentence_and_exit_1(phaseline: Phaseline) -> None:
    code, out, err = phaseline("analyze", "--phases", "registries:BROKEN")

    assert (code, out) == (1, "")
    assert "run 1 failed in 'Break down' (error): it broke" in err
    assert "Traceback" not in err
    assert "SECRET123" not in err


def test_reading_before_there_is_anything_is_exit_5(phaseline: Phaseline) -> None:
    for args in (
        ("runs",),
        ("show", "1"),
        ("show", "last"),
        ("verify",),
        ("export", "runs"),
        ("watch", "last"),
    ):
        code, out, err = phaseline(*args)
        assert (code, out) == (5, "")
        assert "there is no database" in err
    assert not DB.exists()


def test_runs_are_lines_with_tabs_where_no_terminal_is(phaseline: Phaseline) -> None:
    phaseline("analyze")
    phaseline("analyze", "--phases", "registries:BROKEN")

    _, out, err = phaseline("runs")
    _, filtered, _ = phaseline("runs", "--status", "failed", "--json")

    lines = [line.split("\t") for line in out.splitlines()]
    assert err == ""
    assert lines[0] == ["run", "status", "phase", "started", "error"]
    assert [line[:2] for line in lines[1:]] == [["2", "failed"], ["1", "completed"]]
    assert [run["id"] for run in json.loads(filtered)] == [2]


def test_show_tells_the_facts_the_history_and_the_warnings(phaseline: Phaseline) -> None:
    phaseline("analyze", "--phases", "registries:BROKEN")

    code, out, _ = phaseline("show", "1")

    assert code == 0
    assert "error_code\terror" in out
    assert "fail\tbreak_down\tfailed\tRuntimeError" in out
    assert "warning unwell: it is going to break" in out


@pytest.mark.parametrize(
    "args", [("show", "9"), ("watch", "9"), ("cancel", "9"), ("resume", "9"), ("verify", "9")]
)
def test_a_run_that_is_not_there_is_exit_5(phaseline: Phaseline, args: tuple[str, ...]) -> None:
    phaseline("analyze")

    code, out, err = phaseline(*args)

    assert (code, out) == (5, "")
    assert err == "phaseline: there is no run 9; `phaseline runs` lists them\n"


@pytest.mark.parametrize(
    "args",
    [
        ("nothing",),
        ("show",),
        ("show", "x"),
        ("show", "0"),
        ("show", "9999999999999999999999"),
        ("runs", "--limit", "0"),
        ("runs", "--status", "odd"),
        ("analyze", "--params", "{"),
        ("analyze", "--params", "[]"),
        ("analyze", "--params", '{"source": "sample"}'),
        ("analyze", "--source", "archive:nowhere.ndjson"),
        ("analyze", "--phases", "nowhere:PHASES"),
        ("analyze", "--hard-limit-s", "-1"),
        ("runs", "--config", "nowhere.toml"),
        ("watch", "1", "--server", "not a url"),
        ("export", "nothing"),
        ("serve", "--host", "0.0.0.0"),
    ],
)
def test_a_mistake_of_the_user_is_one_sentence_and_exit_2(
    phaseline: Phaseline, args: tuple[str, ...]
) -> None:
    code, out, err = phaseline(*args)

    assert (code, out) == (2, "")
    assert err.startswith("phaseline")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("args", [("analyze",), ("runs",), ("verify",), ("serve", "--port", "0")])
def test_a_file_that_is_no_database_is_one_sentence_and_exit_1(
    phaseline: Phaseline, args: tuple[str, ...]
) -> None:
    Path("notes.txt").write_text(NO_DATABASE)

    code, out, err = phaseline(*args, "--db", "notes.txt")

    assert (code, out) == (1, "")
    assert "notes.txt" in err
    assert len(err.splitlines()) == 1


def test_a_database_of_a_newer_version_is_left_alone(phaseline: Phaseline) -> None:
    phaseline("analyze")
    with closing(sqlite3.connect(DB)) as conn, conn:
        conn.execute("UPDATE schema_versions SET version = 99 WHERE part = 'engine'")

    code, _, err = phaseline("analyze")

    assert code == 1
    assert "newer version" in err


def test_a_database_of_somebody_else_has_no_runs(phaseline: Phaseline) -> None:
    with closing(sqlite3.connect("other.db")) as conn:
        conn.execute("CREATE TABLE t (x)")

    code, _, err = phaseline("runs", "--db", "other.db")

    assert code == 5
    assert "holds no runs" in err


def test_a_port_in_use_is_one_sentence_and_exit_1(phaseline: Phaseline) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, out, err = phaseline("serve", "--port", str(taken.getsockname()[1]))

    assert (code, out) == (1, "")
    assert "can't listen on 127.0.0.1" in err
    assert len(err.splitlines()) == 1


def test_resume_goes_on_with_a_failed_run(phaseline: Phaseline) -> None:
    phaseline("analyze", "--phases", "registries:BROKEN")

    code, out, err = phaseline("resume", "last", "--phases", "registries:BROKEN")

    assert (code, out) == (1, "run 1 failed\n")
    assert "run 1: 2/2 Break down" in err


def test_a_run_that_has_ended_can_not_be_cancelled(phaseline: Phaseline) -> None:
    phaseline("analyze")

    code, _, err = phaseline("cancel", "last")

    assert code == 1
    assert "can't cancel run 1" in err


def test_watching_a_run_that_has_ended_says_how(phaseline: Phaseline) -> None:
    phaseline("analyze")

    code, out, _ = phaseline("watch", "last")

    assert (code, out) == (0, "run 1 completed\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_asks_us_for_completions(phaseline: Phaseline, shell: str) -> None:
    code, out, _ = phaseline("completion", shell)

    assert code == 0
    assert f"_PHASELINE_COMPLETE={shell}_complete" in out


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("phaseline wa", ["plain,watch"]),
        ("phaseline watch l", ["plain,last"]),
        ("phaseline watch --ser", ["plain,--server"]),
        ("phaseline completion z", ["plain,zsh"]),
    ],
)
def test_a_shell_is_offered_commands_flags_and_words(
    phaseline: Phaseline,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    offered: list[str],
) -> None:
    for name, value in (
        ("_PHASELINE_COMPLETE", "bash_complete"),
        ("COMP_WORDS", words),
        ("COMP_CWORD", str(words.count(" "))),
    ):
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit) as ended:
        phaseline()

    assert ended.value.code == 0
    assert capsys.readouterr().out.split() == offered


def test_who_watches_waits_for_a_server_that_has_answered_before(capsys: pytest.CaptureFixture[str]) -> None:
    away = Unreachable("nobody there")
    answers: list[Any] = [{"n": 1}, away, away, {"n": 2}, *[away] * TRIES]

    def ask() -> Any:
        answer = answers.pop(0)
        if answer is away:
            raise away
        return answer

    waits: list[None] = []
    look = Patient(ask, lambda: waits.append(None))

    assert [look(), look()] == [{"n": 1}, {"n": 2}]
    assert len(waits) == 2
    assert capsys.readouterr().err.count("waiting for it") == 1
    with pytest.raises(Unreachable):
        look()
    assert answers == []


def test_a_server_that_does_not_answer_is_exit_6(phaseline: Phaseline) -> None:
    code, out, err = phaseline("watch", "1", "--server", "http://127.0.0.1:1")

    assert (code, out) == (6, "")
    assert "no phaseline server answers at http://127.0.0.1:1" in err


@pytest.mark.parametrize(
    ("form", "sign"),
    [("ascii", "First note"), ("mermaid", "stateDiagram-v2"), ("dot", "digraph"), ("svg", "<svg")],
)
def test_the_machine_is_drawn_with_and_without_a_run(phaseline: Phaseline, form: str, sign: str) -> None:
    phaseline("analyze")

    _, bare, _ = phaseline("diagram", "--format", form)
    code, lit, _ = phaseline("diagram", "last", "--format", form)

    assert code == 0
    assert sign in bare
    assert sign in lit
    assert bare != lit


def test_verify_is_content_with_a_sound_database_and_names_what_is_wrong(phaseline: Phaseline) -> None:
    named = ("--db", "runs.sqlite")
    phaseline("analyze", *named)
    assert phaseline("verify", "last", *named)[:2] == (0, "everything is as it should be\n")

    with closing(sqlite3.connect("runs.sqlite")) as conn, conn:
        conn.execute("DROP TRIGGER events_are_append_only_1")
        conn.execute("UPDATE run_events SET dest = 'elsewhere' WHERE seq = 2")
    code, out, _ = phaseline("verify", "--json", *named)

    assert code == 1
    assert 1 in [violation["run_id"] for violation in json.loads(out)]


def test_the_doctor_finds_a_healthy_machine(phaseline: Phaseline) -> None:
    phaseline("analyze")

    code, out, _ = phaseline("doctor", "--json")

    findings = {finding["check"]: finding["grade"] for finding in json.loads(out)}
    assert code == 0
    assert set(findings) == {
        "version",
        "extras",
        "python",
        "sqlite",
        "phases",
        "folder",
        "database",
        "privacy",
        "server",
        "reddit",
        "model",
        "yfinance",
        "schwab",
        "calendar",
    }
    assert "fail" not in findings.values()


def test_the_doctor_finds_what_is_wrong(phaseline: Phaseline) -> None:
    Path("notes.txt").write_text(NO_DATABASE)
    Path("notes.txt").chmod(0o644)

    code, out, _ = phaseline(
        "doctor", "--db", "notes.txt", "--phases", "nowhere:X", "--host", "0.0.0.0", "--json"
    )

    findings = {finding["check"]: finding["grade"] for finding in json.loads(out)}
    assert code == 1
    assert (findings["phases"], findings["database"], findings["server"]) == ("fail", "fail", "fail")
    assert findings["privacy"] == "warn"


def test_config_shows_each_value_where_it_comes_from_and_no_secret(
    phaseline: Phaseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHASELINE_TOKEN", "hunter2")
    Path("phaseline.toml").write_text("port = 9000\n")

    _, out, _ = phaseline("config", "show", "--max-attempts", "5", "--json")
    _, lines, _ = phaseline("config", "show")

    shown = json.loads(out)
    assert shown["token"] == {"value": "********", "from": "env"}
    assert shown["port"] == {"value": 9000, "from": "toml"}
    assert shown["max_attempts"] == {"value": 5, "from": "flag"}
    assert shown["recovery"] == {"value": "resume", "from": "default"}
    assert set(shown) == set(Settings.model_fields)
    assert "hunter2" not in out + lines


def test_export_writes_rows_for_spreadsheets_and_programs(phaseline: Phaseline) -> None:
    phaseline("analyze")

    _, table, _ = phaseline("export", "runs")
    _, lines, _ = phaseline("export", "events", "--format", "ndjson")
    code, out, _ = phaseline("export", "runs", "--output", "runs.csv")

    assert [row["status"] for row in csv.DictReader(io.StringIO(table))] == ["completed"]
    assert [json.loads(line)["trigger"] for line in lines.splitlines()] == ["start", "advance", "advance"]
    assert (code, out) == (0, "")
    assert Path("runs.csv").read_text() == table


def test_an_export_can_not_become_a_formula(phaseline: Phaseline) -> None:
    phaseline("analyze")
    with closing(sqlite3.connect(DB)) as conn, conn:
        conn.execute("CREATE TABLE signals (id INTEGER, ticker TEXT)")
        conn.execute("INSERT INTO signals VALUES (-1, '=HYPERLINK(\"http://evil.example\")')")

    _, table, _ = phaseline("export", "signals")
    _, lines, _ = phaseline("export", "signals", "--format", "ndjson")

    assert list(csv.reader(io.StringIO(table)))[1] == ["-1", '\'=HYPERLINK("http://evil.example")']
    assert json.loads(lines)["ticker"].startswith("=")


def test_an_export_of_what_is_not_there_is_exit_5(phaseline: Phaseline) -> None:
    phaseline("analyze")

    assert phaseline("export", "signals")[0] == 5


def test_a_file_that_can_not_be_written_is_one_sentence(phaseline: Phaseline) -> None:
    phaseline("analyze")

    code, _, err = phaseline("export", "runs", "--output", "nowhere/runs.csv")

    assert code == 1
    assert err == "phaseline: can't write nowhere/runs.csv: No such file or directory\n"


def test_recover_has_nothing_to_do_where_nobody_died(phaseline: Phaseline) -> None:
    phaseline("analyze")

    assert phaseline("recover") == (0, "", "there is nothing to recover\n")
