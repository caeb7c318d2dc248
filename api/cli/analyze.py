"""`phaseline analyze`: a run in this process, from start to report."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, cast

import click

from api.cli.child import command, environment
from api.cli.driving import drive, running, tell_end
from api.cli.exits import BadInput, Exit, Mistake
from api.cli.follow import Status, exit_code
from api.cli.options import json_option, settings, settings_flags
from api.cli.report import found_by, put_report
from api.cli.text import as_json, put, say
from api.params import Asked, pin
from api.settings import Settings
from statemachine.clock import SystemClock
from statemachine.runner import Runner
from statemachine.store import RunReader


@click.command()
@settings_flags("source", "subreddit", "analyzer", "prices", "options", "as_of", "phases", "executor")
@json_option
@click.option(
    "--params", "params_text", metavar="JSON", default="{}", help="An object that is told to the phases."
)
@click.option("--detach", is_flag=True, help="Leave it running in the background and print its number.")
@click.option("--announce", is_flag=True, hidden=True, help="Write the run's number first, and nothing more.")
def analyze(as_json_: bool, params_text: str, detach: bool, announce: bool) -> Exit:
    """Analyse now, without a server, and show what was found.

    What a dead process left behind is finished first. Ctrl-C stops the run at its next check point; it is
    then gone on with by `phaseline resume`, or by the next start.
    """
    of = settings()
    asked = Asked(params=object_of(params_text))
    if detach:
        return _detach(of, params_text, as_json_)
    with running(of, brief=not announce) as runner:
        _finish_first(runner)
        run = runner.start(pin(asked, of, SystemClock().now()))
        if announce:
            put(as_json({"run_id": run.id}))
        status = drive(runner, run)
        tell_end(status)
        if not announce:
            _report(runner, status, as_json_)
    return exit_code(status)


def object_of(text: str) -> dict[str, Any]:
    """Return the object that `--params` writes; raises `BadInput`."""
    try:
        params = json.loads(text)
    except ValueError as error:
        raise BadInput(f"--params is not JSON: {error}") from error
    if not isinstance(params, dict):
        raise BadInput("--params must be a JSON object, such as '{\"depth\": 3}'")
    return cast("dict[str, Any]", params)


def _finish_first(runner: Runner) -> None:
    for run in runner.recover():
        if run.owner is not None:
            say(f"run {run.id} was interrupted; it is finished first")
            tell_end(drive(runner, run))


def _report(runner: Runner, status: Status, as_json_: bool) -> None:
    reader = RunReader(runner.db)
    try:
        found = found_by(reader, status)
    finally:
        reader.close()
    if as_json_:
        put(as_json({**status, **found}))
    elif status["status"] == "completed":
        put_report(status, **found)


def _detach(of: Settings, params_text: str, as_json_: bool) -> Exit:
    """Start the same command in a session of its own, and wait only until it has its run."""
    log = Path(f"{of.db}.log")
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as stderr:
        child = subprocess.Popen(  # noqa: S603  # our own interpreter and our own command
            command("analyze", "--announce", "--params", params_text),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
    assert child.stdout is not None, "it is a pipe"
    announced = child.stdout.readline()
    if not announced:
        child.communicate()
        raise Mistake(f"the run did not start; {log} says why")
    say(f"it goes on in the background; {log} is its log")
    put(announced.decode().strip() if as_json_ else str(json.loads(announced)["run_id"]))
    return Exit.OK
