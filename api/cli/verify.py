"""`phaseline verify`."""

from __future__ import annotations

import dataclasses

import click

from api.cli.exits import Exit
from api.cli.options import RunId, json_option, reading, resolved, settings, settings_flags
from api.cli.text import as_json, clean, put
from statemachine.verify import verify as violations


@click.command()
@settings_flags()
@json_option
@click.argument("run_id", metavar="[RUN]", type=RunId(), required=False)
def verify(as_json_: bool, run_id: int | None) -> Exit:
    """Check that the database keeps every promise.

    Above all, each run's history folded through the one table must give its row.
    """
    with reading(settings()) as reader:
        found = violations(reader.conn, None if run_id is None else resolved(reader, run_id))
    if as_json_:
        put(as_json([dataclasses.asdict(each) for each in found]))
    else:
        for each in found:
            where = "database" if each.run_id is None else f"run {each.run_id}"
            put(clean(f"{where}: {each.invariant}: {each.message}"))
        put(f"{len(found)} violations" if found else "everything is as it should be")
    return Exit.FAILED if found else Exit.OK
