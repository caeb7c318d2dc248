"""Logging: one line a record, as text or as JSON, with the run's id and phase, and without secrets."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

from api.settings import Settings
from statemachine.redaction import Redact, redactor

FIELDS: Final = ("run_id", "phase", "attempt", "action")
"""What a record may carry in `extra`, beside its message."""
_OWN: Final = "phaseline"


def configure(settings: Settings) -> None:
    """Send every record of this process to stderr; call it once, at start-up."""
    formatters: dict[str, type[Plain | Lines]] = {"plain": Plain, "json": Lines}
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatters[settings.log_format](redactor(settings.secrets())))
    handler.set_name(_OWN)
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if each.get_name() != _OWN]
    root.addHandler(handler)
    root.setLevel(settings.log_level)
    logging.captureWarnings(capture=True)


class Plain(logging.Formatter):
    """For people: time, level, run, message; a traceback below."""

    def __init__(self, redact: Redact) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        run_id = getattr(record, "run_id", None)
        run = "" if run_id is None else f"[run {run_id}] "
        text = f"{_stamp(record)} {record.levelname:<7} {run}{record.getMessage()}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return _one_line_a_record(self._redact(text))


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


def _one_line_a_record(text: str) -> str:
    """Indent all lines but the first, so that a message can't pretend to be another record."""
    return text.replace("\n", "\n    ")
