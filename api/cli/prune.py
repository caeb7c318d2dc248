"""`phaseline prune`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import click

from api.cli.options import json_option, reading, require_table, settings, settings_flags
from api.cli.text import as_json, put, say
from api.settings import Settings
from api.writing import writing
from statemachine.clock import SystemClock

BATCH: Final = 10_000
"""Comments emptied in one transaction, so that a run beside it waits for none of them long."""
BUSY_TIMEOUT_S: Final = 30.0
MAX_DAYS: Final = 36_500


@click.command()
@settings_flags()
@json_option
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(0, MAX_DAYS),
    required=True,
    metavar="DAYS",
    help="Age in days.",
)
@click.option("--yes", is_flag=True, help="Do it; without this it is only said what would be done.")
def prune(as_json_: bool, days: int, yes: bool) -> None:
    """Empty the texts of old comments.

    Bodies and reasoning summaries go for good; annotations, signals, positions and figures stay as they are.
    Inside the file the place is used again, and old bytes may be found there until it is rewritten by VACUUM.
    """
    of = settings()
    before = SystemClock().now() - timedelta(days=days)
    count = _empty(of, before) if yes else _count(of, before)
    if as_json_:
        put(as_json({"comments": count, "before": before.isoformat(), "done": yes}))
    else:
        put(f"{count} comments {'were' if yes else 'would be'} emptied")
    if not yes:
        say("nothing was changed; add --yes to do it")
    elif count:
        say(f"to overwrite the old bytes too, while nothing runs: sqlite3 {of.db} VACUUM")


def _count(of: Settings, before: datetime) -> int:
    from phases.retention import count_old  # noqa: PLC0415  # the pipeline is imported where it is used

    with reading(of) as reader:
        require_table(reader, "comments")
        return count_old(reader.conn, before)


def _empty(of: Settings, before: datetime) -> int:
    from phases.retention import empty_old  # noqa: PLC0415  # the same

    if not _count(of, before):
        return 0
    total = 0
    while True:
        with writing(of.db, BUSY_TIMEOUT_S) as conn:
            emptied = empty_old(conn, before, BATCH)
        total += emptied
        if emptied < BATCH:
            return total
