"""Logging: one line a record, as text or as JSON, with the run's id and phase, and without secrets."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

from api.cli.text import clean
from api.settings import Settings
from statemachine.live import driven
from statemachine.redaction import Redact, redactor
from statemachine.table import CANCEL, FAIL, TIME_OUT

FIELDS: Final = ("run_id", "phase", "attempt", "action")
"""What a record may carry in `extra`, beside its message."""
ENDS: Final = (FAIL, TIME_OUT, CANCEL)
_OWN: Final = "phaseline"


def configure(settings: Settings) -> None:
    """Send every record of this process to stderr, as the settings say; call it once, at start-up."""
    formatters: dict[str, type[Plain | Lines]] = {"plain": Plain, "json": Lines}
    _install(formatters[settings.log_format](redactor(settings.secrets())), settings.log_level)
    if settings.log_level == "INFO":
        for chatty in ("uvicorn", "httpx2"):
            logging.getLogger(chatty).setLevel("WARNING")  # their lines say nothing that ours don't


def configure_briefly(settings: Settings) -> None:
    """Tell a person at a terminal what went wrong, in one line; the history in the database has the rest."""
    handler = _install(Brief(redactor(settings.secrets())), "WARNING")
    # The command says itself how a run ended.
    handler.addFilter(lambda record: getattr(record, "action", "") not in ENDS)


def _install(formatter: logging.Formatter, level: str) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.set_name(_OWN)
    handler.addFilter(_with_its_run)
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if each.get_name() != _OWN]
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    return handler


def _with_its_run(record: logging.LogRecord) -> bool:
    """Say on each line that a phase logs, or a library for it, which run that is."""
    live = driven()
    if live is not None:
        vars(record).update(
            {name: value for name, value in live.logged().items() if not hasattr(record, name)}
        )
    return True


class Plain(logging.Formatter):
    """For people: time, level, message; a traceback below."""

    def __init__(self, redact: Redact) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        text = f"{_stamp(record)} {record.levelname:<7} {_message(record)}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        # Indented, so that no line of a message can pretend to be another record.
        lines = self._redact(text.rstrip()).split("\n")
        return "\n    ".join(map(clean, lines))


class Brief(Plain):
    """The first line of the message only."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        return clean(f"phaseline: {self._redact(_message(record).partition(chr(10))[0])}")


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage()
    run = f"run {getattr(record, 'run_id', '')}"
    return message if not hasattr(record, "run_id") or run in message else f"{run}: {message}"


class Lines(logging.Formatter):
    """For machines: one JSON object a line."""

    def __init__(self, redact: Redact) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        said: dict[str, Any] = {
            "at": _stamp(record),
            "level": record.levelname,
            "logger": record.name,
            "message": self._redact(record.getMessage()),
        }
        said |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            said["traceback"] = self._redact(self.formatException(record.exc_info))
        return json.dumps(said, default=str)


def _stamp(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
