"""`phaseline schwab-login`."""

from __future__ import annotations

import click

from api.cli.exits import BadInput, Exit, Mistake
from api.cli.options import settings, settings_flags
from api.cli.text import put, say
from statemachine.clock import SystemClock


@click.command("schwab-login")
@settings_flags("schwab_callback_url")
def schwab_login() -> Exit:
    """Log in to Schwab, which lasts seven days.

    Shows an address for the browser, and asks for the one that the browser ends at. The token is kept beside
    the database, for you alone.
    """
    from api.price_sources import schwab_app, token_file  # noqa: PLC0415  # it imports the pipeline
    from phases.prices.schwab_client import begin_login, end_login  # noqa: PLC0415  # the same
    from phases.prices.schwab_token import login_by  # noqa: PLC0415  # the same
    from phases.tools import PricesUnavailable  # noqa: PLC0415  # the same

    of = settings()
    app, tokens = schwab_app(of), token_file(of)
    if not (app.client_id and app.client_secret):
        raise BadInput("a login wants SCHWAB_CLIENT_ID and SCHWAB_CLIENT_SECRET; set them first")
    try:
        login = begin_login(app, of.schwab_callback_url)
        say(f"open this address, log in, and copy the address that the browser ends at:\n{login.address}")
        received = click.prompt("address", err=True, hide_input=True)
        end_login(login, received, tokens, int(SystemClock().now().timestamp()))
    except PricesUnavailable as error:
        raise Mistake(str(error)) from error
    put(f"logged in until {login_by(tokens.read()):%Y-%m-%d %H:%M} UTC")
    return Exit.OK
