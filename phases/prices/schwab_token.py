"""Schwab's token in a file of its own: for its owner only, replaced as a whole, refreshed by one at a time.

The file's text is that of schwab-py (`creation_timestamp` and `token`), so a file made by its own tools
works too. The access token in it lasts half an hour and is refreshed; the refresh token lasts seven days from
the login, and nothing but a new login prolongs that.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

from phases.prices.errors import LoginNeeded

LOGIN_LASTS: Final = timedelta(days=7)
"""As Schwab says; schwab-py's documentation warns that it may be shorter or longer."""
WARN_AHEAD: Final = timedelta(days=1)
LOGIN: Final = "log in with: phaseline schwab-login"

_in_this_process: Final = threading.Lock()  # a POSIX lock keeps out other processes only


@dataclass(frozen=True, slots=True)
class TokenFile:
    """Where the token lies."""

    path: Path

    def read(self) -> dict[str, Any]:
        """Return the file's content; raises `LoginNeeded` where there is none, or none that makes sense."""
        try:
            found: Any = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise LoginNeeded(f"nobody has logged in to Schwab yet; {LOGIN}") from None
        except (OSError, ValueError) as error:
            raise LoginNeeded(f"{self.path} can't be read ({type(error).__name__}); {LOGIN}") from None
        if not _makes_sense(found):
            raise LoginNeeded(f"{self.path} holds no token of Schwab; {LOGIN}")
        return dict(found)

    def write(self, content: dict[str, Any]) -> None:
        """Put a new content in the place of the old one, at once and for its owner only."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        finally:
            fresh.unlink(missing_ok=True)

    @contextmanager
    def lock(self) -> Generator[None]:
        """Keep everybody else who refreshes out; the lock ends with its holder's process."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _in_this_process, self.path.with_name(f"{self.path.name}.lock").open("w") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            yield


def login_by(content: dict[str, Any]) -> datetime:
    """Return until when a person has to log in again."""
    return datetime.fromtimestamp(content["creation_timestamp"], UTC) + LOGIN_LASTS


def _makes_sense(content: object) -> bool:
    if not isinstance(content, dict):
        return False
    known = cast("dict[str, object]", content)
    token = known.get("token")
    if not isinstance(token, dict) or not isinstance(known.get("creation_timestamp"), int):
        return False
    parts = cast("dict[str, object]", token)
    return all(isinstance(parts.get(name), str) for name in ("access_token", "refresh_token"))
