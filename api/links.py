"""Where a client goes next: the links of the OpenAPI document, by the operation that they lead on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Link = dict[str, Any]


def _to(operation: str, description: str, **parameters: str) -> Link:
    return {"operationId": operation, "parameters": parameters, "description": description}


def _of_run(run_id: str) -> dict[str, Link]:
    """Return what can be asked about a run, whose id stands at `run_id`."""
    return {
        "status": _to("run_status", "where to poll", run_id=run_id),
        "run": _to("get_run", "the whole run", run_id=run_id),
        "events": _to("list_events", "what has happened to it", run_id=run_id),
        "stream": _to("stream_run", "follow it", run_id=run_id),
        "diagram": _to("get_diagram", "draw where it is", run_id=run_id),
        "cancel": _to("cancel_run", "while it is running", run_id=run_id),
        "resume": _to("resume_run", "once it has failed", run_id=run_id),
    }


def _of_signal(signal_id: str, ticker: str) -> dict[str, Link]:
    return {
        "signal": _to("get_signal", "the signal with the parts of its confidence", signal_id=signal_id),
        "comments": _to("list_signal_comments", "what it rests on", signal_id=signal_id),
        "positions": _to("list_positions", "what was bought of its ticker", ticker=ticker),
        "prices": _to("list_prices", "the closes of its ticker", ticker=ticker),
    }


def _of_position(position_id: str, position: str) -> dict[str, Link]:
    """Return what can be asked about a position, whose members stand below the pointer `position`."""
    return {
        "position": _to("get_position", "the position", position_id=position_id),
        "close": _to("close_position", "sell it, while it is open", position_id=position_id),
        "signal": _to("get_signal", "why it was bought", signal_id=f"{position}/signal_id"),
        "portfolio": _to("get_portfolio", "whose it is", portfolio_id=f"{position}/portfolio_id"),
        "prices": _to("list_prices", "the closes of its ticker", ticker=f"{position}/ticker"),
    }


def _next(operation: str) -> dict[str, Link]:
    cursor = "$response.body#/next_cursor"
    return {"next": _to(operation, "the next part, unless next_cursor is null", cursor=cursor)}


_FIRST: Final = "$response.body#/items/0"
_LEADING_ON: Final[Mapping[str, Mapping[str, Link]]] = {
    "analyze": _of_run("$response.body#/run_id"),
    "list_runs": _of_run(f"{_FIRST}/id") | _next("list_runs"),
    "get_run": _of_run("$request.path.run_id"),
    "run_status": _of_run("$request.path.run_id"),
    "list_signals": _of_signal(f"{_FIRST}/id", f"{_FIRST}/ticker") | _next("list_signals"),
    "get_signal": _of_signal("$request.path.signal_id", "$response.body#/ticker"),
    "list_positions": _of_position(f"{_FIRST}/id", _FIRST) | _next("list_positions"),
    "get_position": _of_position("$request.path.position_id", "$response.body#"),
}
LINKS: Final[Mapping[str, Mapping[str, Link]]] = {
    source: {
        name: link
        for name, link in links.items()
        if name == "next" or link["operationId"] != source  # no link from a resource to itself
    }
    for source, links in _LEADING_ON.items()
}
"""Links of an operation's success, by the operation's id; those of a list are of its first item."""
