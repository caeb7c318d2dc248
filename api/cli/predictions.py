"""`phaseline predictions` and `phaseline override`."""

from __future__ import annotations

from typing import Any, Final, cast, get_args

import click

from api import findings
from api.cli.exits import NothingThere
from api.cli.options import MAX_ID, json_option, reading, require_table, settings, settings_flags
from api.cli.text import as_json, put, put_table
from api.models import Verdict
from api.writing import writing
from statemachine.clock import SystemClock

COLUMNS: Final = ("prediction", "comment", "ticker", "option", "entry", "last", "status", "return", "verdict")
STATUSES: Final = ("unpriced", "tracking", "resolved")
TAKE_BACK: Final = "none"


@click.command()
@settings_flags()
@json_option
@click.option("--status", type=click.Choice(STATUSES), help="Only these.")
@click.option("--ticker", help="Only of this share.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many."
)
def predictions(as_json_: bool, status: str | None, ticker: str | None, limit: int) -> None:
    """List what comments predicted, newest first."""
    filters = {"status =": status, "ticker =": ticker.upper() if ticker else None}
    with reading(settings()) as reader:
        require_table(reader, "predictions")
        found = findings.predictions(reader, filters, cursor=None, limit=limit)
    if as_json_:
        put(as_json(found))
    else:
        put_table("Predictions", COLUMNS, map(_row, found))


def _row(found: dict[str, Any]) -> tuple[object, ...]:
    gain, said = found["simulated_return_pct"], found["hitl_override"]
    market = {None: None, True: "correct", False: "incorrect"}[found["is_correct"]]
    return (
        found["id"],
        found["comment_id"],
        found["ticker"],
        found["contract_symbol"] or found["option_type"],
        found["entry_premium"],
        found["current_premium"],
        found["status"],
        None if gain is None else f"{gain:+.1%}",
        f"{said} (a person's)" if said else market,
    )


@click.command()
@settings_flags()
@click.argument("prediction_id", metavar="PREDICTION", type=click.IntRange(1, MAX_ID))
@click.argument("verdict", type=click.Choice([*get_args(Verdict), TAKE_BACK]))
def override(prediction_id: int, verdict: str) -> None:
    """Say whether a prediction was right; a person's verdict counts instead of the market's.

    An excluded one counts for nobody; `none` takes a verdict back.
    """
    from phases.scoring.overrides import override as write  # noqa: PLC0415  # the pipeline is imported where it is used

    of = settings()
    with reading(of) as reader:
        require_table(reader, "predictions")
    said = None if verdict == TAKE_BACK else cast("Verdict", verdict)
    with writing(of.db) as conn:
        if not write(conn, prediction_id, said, SystemClock().now()):
            raise NothingThere(f"there is no prediction {prediction_id}")
    put(f"prediction {prediction_id}: {verdict}")
