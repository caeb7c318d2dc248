"""`phaseline cancel`, `resume` and `recover`."""

from __future__ import annotations

import click

from api.cli.driving import drive, running, tell_end
from api.cli.exits import Exit
from api.cli.follow import Status, exit_code
from api.cli.options import json_option, reading, resolved, run_argument, settings, settings_flags
from api.cli.text import as_json, put, say
from api.status import status_of_run


@click.command()
@settings_flags("phases")
@json_option
@run_argument
def cancel(as_json_: bool, run_id: int) -> Exit:
    """Ask for a run to be cancelled.

    Whoever drives it stops at its next check point; a run that nobody drives is cancelled at once.
    """
    of = settings()
    with reading(of) as reader:
        wanted = resolved(reader, run_id)
    with running(of) as runner:
        run = runner.cancel(wanted)
        status = status_of_run(run, runner.live(run.id))
    if as_json_:
        put(as_json(status))
    else:
        say(f"run {run.id} is {'cancelled' if run.status == 'failed' else 'asked to stop'}")
    return Exit.OK


@click.command()
@settings_flags("phases", "executor")
@json_option
@run_argument
def resume(as_json_: bool, run_id: int) -> Exit:
    """Go on from the phase in which a run failed.

    So it does with a run that was stopped. Phases that it has passed are not run again; it is followed to its
    end.
    """
    of = settings()
    with reading(of) as reader:
        wanted = resolved(reader, run_id)
    with running(of) as runner:
        status = drive(runner, runner.resume(wanted))
    return _told([status], as_json_)


@click.command()
@settings_flags("phases", "executor", "recovery", "max_attempts")
@json_option
def recover(as_json_: bool) -> Exit:
    """Drive what dead processes left behind to its end."""
    with running(settings()) as runner:
        taken = runner.recover()
        ended = [drive(runner, run) for run in taken]
    if not taken:
        say("there is nothing to recover")
    return _told(ended, as_json_)


def _told(ended: list[Status], as_json_: bool) -> Exit:
    for status in ended:
        tell_end(status)
        if as_json_:
            put(as_json(status))
        else:
            put(f"run {status['run_id']} {status['status']}")
    return max((exit_code(status) for status in ended), default=Exit.OK)
