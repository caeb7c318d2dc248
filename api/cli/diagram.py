"""`phaseline diagram`."""

from __future__ import annotations

import click

from api.cli.options import RunId, reading, resolved, settings, settings_flags
from api.cli.text import put
from api.drawing import drawn
from api.pipeline import load_pipeline
from statemachine.diagram import FORMATS


@click.command()
@settings_flags("phases")
@click.option(
    "--format", "picture", type=click.Choice(list(FORMATS)), default="ascii", show_default=True, help="How."
)
@click.argument("run_id", metavar="[RUN]", type=RunId(), required=False)
def diagram(picture: str, run_id: int | None) -> None:
    """Draw the states and transitions, with a run's state lit."""
    of = settings()
    registry = load_pipeline(of.phases).registry
    if run_id is None:
        put(drawn(registry, picture).rstrip("\n"))
        return
    with reading(of) as reader:
        run = reader.run(resolved(reader, run_id))
    put(drawn(registry, picture, run).rstrip("\n"))
