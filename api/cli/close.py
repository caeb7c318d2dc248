"""`phaseline close`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from api import findings
from api.cli.exits import BadInput, Mistake, NothingThere
from api.cli.options import MAX_ID, json_option, reading, require_table, settings, settings_flags
from api.cli.text import as_json, clean, put
from api.closing import MAX_REASON_CHARS, BadQuantity, CloseRefused, NoSuchPosition, Sale
from api.closing import close as sell
from statemachine.clock import SystemClock

MISTAKES: Final[Mapping[type[CloseRefused], type[Mistake]]] = {
    BadQuantity: BadInput,
    NoSuchPosition: NothingThere,
}
"""What a refusal is on the command line, where it isn't just a failure."""


@click.command()
@settings_flags()
@json_option
@click.argument("position_id", metavar="POSITION", type=click.IntRange(1, MAX_ID))
@click.option("--reason", required=True, help="Why; it is kept with the sale.")
@click.option(
    "--quantity", type=float, default=1.0, show_default=True, help="How much of what is left, a share of one."
)
def close(as_json_: bool, position_id: int, reason: str, quantity: float) -> None:
    """Sell an open position, or a part of it, at its stored price.

    That price is good until the exchange next opens; after that an analysis has to look at prices anew.
    """
    of = settings()
    if not 0 < len(reason.strip()) <= MAX_REASON_CHARS:
        raise BadInput(f"the reason must have 1 to {MAX_REASON_CHARS} characters")
    with reading(of) as reader:
        require_table(reader, "positions")
    try:
        sale = sell(of.db, position_id, reason=reason.strip(), quantity=quantity, clock=SystemClock())
    except CloseRefused as error:
        raise MISTAKES.get(type(error), Mistake)(str(error)) from error
    with reading(of) as reader:
        position = findings.position(reader, position_id)
    _tell(position, sale, as_json_)


def _tell(position: dict[str, Any], sale: Sale, as_json_: bool) -> None:
    exited = position["position_exits"][-1]
    if as_json_:
        put(as_json({"position": position, "exit": exited, "price_at": sale.price_at}))
        return
    units = exited["shares_exited"] or exited["contracts_exited"]
    ticker, price, gained = position["ticker"], exited["exit_price"], exited["realized_pnl"]
    put(clean(f"sold {units} {ticker} at {price:.2f} (of {sale.price_at}): {gained:+.2f} USD"))
