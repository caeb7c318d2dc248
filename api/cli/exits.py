"""Exit codes, and which error means which."""

from __future__ import annotations

import traceback
from enum import IntEnum

from api.cli.text import say


class Exit(IntEnum):
    """What the shell is told."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CANCELLED = 3
    NOT_FOUND = 5
    UNREACHABLE = 6
    INTERRUPTED = 130


class Mistake(Exception):
    """The command can't do what was asked; the message is one sentence."""

    code = Exit.FAILED


class NothingThere(Mistake):
    """What was asked for does not exist."""

    code = Exit.NOT_FOUND


class Unreachable(Mistake):
    """No server answers there."""

    code = Exit.UNREACHABLE


class BadInput(Mistake):
    """What was typed, or came in on stdin, can't be used."""

    code = Exit.USAGE


def told(error: Exception) -> Exit | None:
    """Say an expected error on stderr and return its exit code; `None` for an unexpected one.

    What was typed wrongly (settings, flags, PHASES) is 2, what the machine refuses (a database, a port) 1.
    """
    code = _code(error)
    if code is not None:
        _say(str(error) or type(error).__name__)
    return code


def unexpected(error: Exception) -> Exit:
    """Write the traceback of a defect to stderr, without secrets."""
    _say("".join(traceback.format_exception(error)))
    return Exit.FAILED


def _say(text: str) -> None:
    from api.settings import secrets_around  # noqa: PLC0415  # not in every command's start
    from statemachine.redaction import redactor  # noqa: PLC0415  # the same

    for line in redactor(secrets_around())(text).splitlines():
        say(f"phaseline: {line}")


def _code(error: Exception) -> Exit | None:
    if isinstance(error, Mistake):
        return error.code
    # Imported here: they are there already where one of their errors was raised.
    import sqlite3  # noqa: PLC0415  # the reason above

    from api.params import BadParam  # noqa: PLC0415  # the same
    from api.settings import SettingsError  # noqa: PLC0415  # the same
    from statemachine.errors import PhaselineError, RunNotFound  # noqa: PLC0415  # the same

    table: tuple[tuple[type[Exception], Exit], ...] = (
        (SettingsError, Exit.USAGE),
        (BadParam, Exit.USAGE),
        (RunNotFound, Exit.NOT_FOUND),
        (PhaselineError, Exit.FAILED),
        (sqlite3.Error, Exit.FAILED),
    )
    return next((code for kind, code in table if isinstance(error, kind)), None)
