"""Commands as processes of their own: signals, children, a terminal's end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from api.cli.client import Client
from statemachine.store import Run, RunReader
from tests.api.world import HERE, Gate

ROOT = HERE.parents[1]
END_S = 60
DB = Path("data/phaseline.db")
DEMO_DB = Path("data/demo.db")


class Shell:
    """Starts commands in a folder and ends what is left of them."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def start(self, *args: str, **settings: str) -> subprocess.Popen[str]:
        path = os.pathsep.join((str(ROOT), str(HERE)))
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "api.cli", *args],
            env={**os.environ, "PYTHONPATH": path, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._stack.push(process)
        self._stack.callback(process.kill)
        return process

    def run(self, *args: str, given: str = "", **settings: str) -> tuple[int, str, str]:
        process = self.start(*args, **settings)
        out, err = process.communicate(given, END_S)
        return process.returncode, out, err


@pytest.fixture
def shell() -> Iterator[Shell]:
    with ExitStack() as stack:
        yield Shell(stack)


def stored(run_id: int = 1) -> Run:
    reader = RunReader(DB)
    try:
        return reader.run(run_id)
    finally:
        reader.close()


def params(gate: Gate) -> tuple[str, str]:
    return "--params", json.dumps(gate.body["params"])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_analysis_stops_at_its_check_point_and_is_resumed(
    shell: Shell, gate: Gate, number: signal.Signals
) -> None:
    process = shell.start("analyze", "--phases", "registries:GATED", *params(gate))
    arrived = gate.wait_for_arrival()
    assert process.stderr is not None
    process.send_signal(number)
    while "stopping at the next check point" not in process.stderr.readline():
        continue
    os.close(arrived)

    assert process.wait(END_S) == 130
    assert (stored().status, stored().state, stored().owner) == ("running", "gate", None)

    gate.release()
    code, out, _ = shell.run("resume", "last", "--phases", "registries:GATED")
    assert (code, out) == (0, "run 1 completed\n")
    assert stored().attempt == 1


@pytest.mark.slow
def test_a_second_interrupt_leaves_at_once_and_nothing_is_lost(shell: Shell, gate: Gate) -> None:
    process = shell.start("analyze", "--phases", "registries:GATED", *params(gate))
    arrived = gate.wait_for_arrival()
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    while "stopping at the next check point" not in process.stderr.readline():
        continue
    process.send_signal(signal.SIGINT)

    assert process.wait(END_S) == 130
    os.close(arrived)
    gate.release()
    assert shell.run("recover", "--phases", "registries:GATED")[:2] == (0, "run 1 completed\n")


@pytest.mark.slow
def test_a_run_is_cancelled_from_another_process(shell: Shell, gate: Gate) -> None:
    process = shell.start("analyze", "--phases", "registries:GATED", *params(gate))
    arrived = gate.wait_for_arrival()

    code, _, err = shell.run("cancel", "last", "--phases", "registries:GATED")
    os.close(arrived)

    assert (code, err) == (0, "run 1 is asked to stop\n")
    assert process.wait(END_S) == 3
    assert stored().error_code == "cancelled"


@pytest.mark.slow
def test_a_second_analysis_is_refused_while_one_is_active(shell: Shell, gate: Gate) -> None:
    shell.start("analyze", "--phases", "registries:GATED", *params(gate))
    arrived = gate.wait_for_arrival()

    code, out, err = shell.run("analyze", "--phases", "registries:GATED")
    os.close(arrived)

    assert (code, out) == (1, "")
    assert "run 1 is still active" in err


@pytest.mark.slow
def test_an_analysis_first_finishes_what_a_killed_one_left(shell: Shell, gate: Gate) -> None:
    process = shell.start("analyze", "--phases", "registries:GATED", *params(gate))
    arrived = gate.wait_for_arrival()
    process.kill()
    process.wait(END_S)
    os.close(arrived)
    gate.release()

    code, out, err = shell.run("analyze", "--phases", "registries:GATED", *params(gate))

    assert code == 0
    assert "run 1 was interrupted; it is finished first" in err
    assert out.startswith("run 2 completed")
    assert (stored(1).status, stored(1).attempt) == ("completed", 1)


@pytest.mark.slow
def test_a_detached_analysis_goes_on_after_its_command_has_ended(shell: Shell, gate: Gate) -> None:
    command = shell.start("analyze", "--detach", "--phases", "registries:GATED", *params(gate))
    out, err = command.communicate(timeout=END_S)
    arrived = gate.wait_for_arrival()
    with pytest.raises(ProcessLookupError):  # nobody is left in the terminal's process group to be hung up on
        os.killpg(command.pid, signal.SIGHUP)
    watcher = shell.start("watch", "last")
    os.close(arrived)

    assert (command.returncode, out) == (0, "1\n")
    assert "background" in err
    assert watcher.wait(END_S) == 0
    assert stored().status == "completed"


@pytest.mark.slow
def test_a_detached_analysis_that_can_not_start_says_where_to_look(shell: Shell) -> None:
    code, out, err = shell.run("analyze", "--detach", "--phases", "nowhere:PHASES")

    assert (code, out) == (1, "")
    assert "data/phaseline.db.log says why" in err
    assert "there is no module nowhere" in Path("data/phaseline.db.log").read_text()


@pytest.mark.slow
def test_a_run_is_watched_through_a_server_that_wants_its_token(shell: Shell, gate: Gate) -> None:
    token = {"PHASELINE_TOKEN": "s3cret", "PHASELINE_PHASES": "registries:GATED"}
    server = shell.start("serve", "--port", "0", "--json", **token)
    assert server.stdout is not None
    url = json.loads(server.stdout.readline())["url"]
    assert shell.run("watch", "last", "--server", url, **token)[0] == 5
    shell.run("analyze", *params(gate), **{**token, "PHASELINE_PHASES": "registries:QUICK"})

    assert shell.run("watch", "last", "--server", url, **token)[:2] == (0, "run 1 completed\n")
    code, _, err = shell.run("watch", "last", "--server", url)
    assert code == 1
    assert "401" in err


@pytest.mark.slow
def test_who_watches_sees_the_end_though_the_server_is_killed_in_the_middle(shell: Shell, gate: Gate) -> None:
    gated = {"PHASELINE_PHASES": "registries:GATED"}
    server = shell.start("serve", "--port", "0", "--json", **gated)
    assert server.stdout is not None
    url = json.loads(server.stdout.readline())["url"]
    Client(url).post("/analyze", gate.body)
    arrived = gate.wait_for_arrival()
    watcher = shell.start("watch", "1", "--server", url)
    assert watcher.stderr is not None
    assert watcher.stderr.readline() == "run 1: 2/3 Gate\n"

    server.kill()
    server.wait()
    os.close(arrived)
    assert "waiting for it" in watcher.stderr.readline()
    shell.start("serve", "--port", url.rpartition(":")[2], **gated)
    gate.let_go()
    out, _ = watcher.communicate(timeout=END_S)

    assert (watcher.returncode, out) == (0, "run 1 completed\n")


@pytest.mark.slow
def test_a_pipe_that_closes_early_is_worth_no_words(shell: Shell) -> None:
    shell.run("analyze")
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "api.cli", "show", "last"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)

    assert process.communicate(timeout=END_S)[1] == ""
    assert process.returncode == 1


@pytest.mark.slow
def test_annotate_writes_a_line_for_each_line_in_order(shell: Shell) -> None:
    texts = ["GME calls, to the moon", "selling everything, $TSLA puts", "nice weather"]
    given = "".join(json.dumps({"text": text}) + "\n" for text in texts)

    code, out, err = shell.run("annotate", given=given)

    said = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [one["tickers"] for one in said] == [["GME"], ["TSLA"], []]
    assert all({"tickers", "sentiment", "confidence", "analyzer"} <= set(one) for one in said)
    assert not Path("data").exists()


@pytest.mark.slow
@pytest.mark.parametrize("line", ["{", "[]", '"text"', '{"text": 1}', "\xff"])
def test_annotate_names_the_line_that_it_can_not_read(shell: Shell, line: str) -> None:
    code, _, err = shell.run("annotate", "--executor", "threads", given=f'{{"text": "GME"}}\n{line}\n')

    assert code == 2
    assert err.startswith("phaseline: line 2 is not")


@pytest.mark.slow
def test_the_demo_shows_signals_with_evidence_and_positions(shell: Shell) -> None:
    DEMO_DB.parent.mkdir()
    DEMO_DB.write_text("of an earlier demo")

    code, out, err = shell.run("demo", PHASELINE_PHASES="", PHASELINE_AS_OF="")

    assert code == 0, err
    assert "path: fetching_reddit -> prioritizing_comments -> " in out
    assert "run 1 completed" in out
    assert "\n1 warning: 1 of the comments give a model orders" in out
    assert "\tquality\tbullish\t" in out
    assert "\tstocks quality\t" in out
    assert "run 1: 1/7 Fetching Reddit" in err
    assert DEMO_DB.read_bytes().startswith(b"SQLite")


@pytest.mark.slow
def test_help_is_quick_because_it_imports_next_to_nothing() -> None:
    heavy = "{'pydantic', 'fastapi', 'rich', 'sqlite3', 'transitions', 'phases', 'statemachine'}"
    script = f"import sys; from api.cli.root import run; run(['--help']); print({heavy} & set(sys.modules))"

    said = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        text=True,
    )

    assert said.stdout.endswith("set()\n")


@pytest.mark.slow
def test_a_worker_process_that_imports_the_command_line_imports_nothing_else() -> None:
    script = "import sys; import api.cli.__main__; print('click' in sys.modules)"

    said = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        text=True,
    )

    assert said.stdout == "False\n"
