"""`phaseline config`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import click
from pydantic import SecretStr

from api.cli.options import given_flags, json_option, settings, settings_flags
from api.cli.text import as_json, put, put_table
from api.settings import Settings, origins
from statemachine.clock import stamp
from statemachine.redaction import Redact, redactor

MASK = "********"


@click.group()
def config() -> None:
    """Show the settings and where each comes from."""


@config.command("show")
@settings_flags(*Settings.model_fields)
@json_option
def show(as_json_: bool) -> None:
    """Write each setting, its value and where it comes from: flag, env, toml or default."""
    of = settings()
    places = origins(given_flags())
    redact = redactor(of.secrets())
    values = {name: _value(getattr(of, name), redact) for name in Settings.model_fields}
    rows = [(name, value, places.get(name, "default")) for name, value in values.items()]
    if as_json_:
        put(as_json({name: {"value": value, "from": place} for name, value, place in rows}))
    else:
        put_table("Settings", ("setting", "value", "from"), rows)


def _value(value: Any, redact: Redact) -> Any:
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, tuple):
        return ",".join(cast("tuple[str, ...]", value))
    if isinstance(value, datetime):
        return stamp(value)
    # An address may hold a key or a password.
    return value if value is None or isinstance(value, int | float) else redact(str(value))
