"""Phases that fail in every way that a secret has been seen to get out by."""

from __future__ import annotations

import logging
import sqlite3
import warnings
from typing import Any

from tests.hardening.canaries import everything

_log = logging.getLogger("somebody.elses.library")


def _message() -> None:
    raise RuntimeError(everything())


def _chain() -> None:
    try:
        _message()
    except RuntimeError as error:
        raise LookupError("the message is harmless, the cause is not") from error


def _note() -> None:
    error = ValueError("harmless")
    error.add_note(everything())
    raise error


def _group() -> None:
    raise ExceptionGroup("several", [OSError(everything()), *map(KeyError, everything().splitlines())])


def _type() -> None:
    raise type("Leak", (Exception,), {"__str__": lambda _self: everything()})


def _exit() -> None:
    raise SystemExit(everything())


def _log_and_warn() -> None:
    _log.warning("asking %s", everything())
    _log.error("failed", exc_info=ConnectionError(everything()))
    warnings.warn(everything(), UserWarning, stacklevel=1)
    raise TimeoutError


WAYS = {
    "message": _message,
    "chain": _chain,
    "note": _note,
    "group": _group,
    "type": _type,
    "exit": _exit,
    "log": _log_and_warn,
}


def work(conn: sqlite3.Connection, ctx: Any) -> None:
    """Succeed."""


def leak(conn: sqlite3.Connection, ctx: Any) -> None:
    """Fail in the way that the params name."""
    WAYS[ctx.params["way"]]()


PHASES = [(1, "Work", work), (2, "Leak", leak)]
