"""Authors' names are kept under a keyed pseudonym: stable within one database, meaningless without its key.

The key lies beside the database and not in it, so that a copy of the database names nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from statemachine.errors import DatabaseUnusable

KEY_BYTES: Final = 32
HEX_DIGITS: Final = 20


def pseudonymizer(db: Path) -> Callable[[str], str]:
    """Return the function from a name to its pseudonym; the key is made where there is none yet.

    Raises `DatabaseUnusable` where the key can't be read or made.
    """
    return keyed_by(_key(Path(f"{os.path.realpath(db)}-key")))


def keyed_by(key: bytes) -> Callable[[str], str]:
    """Return a keyed hash: a word for each text, which nobody without the key can foresee."""

    def pseudonym(name: str) -> str:
        digest = hmac.new(key, name.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"u_{digest.hexdigest()[:HEX_DIGITS]}"

    return pseudonym


def _key(path: Path) -> bytes:
    try:
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:
        raise DatabaseUnusable(
            f"can't read or make the key of pseudonyms {path}: {error.strerror}"
        ) from error
    if len(key) != KEY_BYTES:
        raise DatabaseUnusable(
            f"the key of pseudonyms {path} has {len(key)} bytes instead of {KEY_BYTES}; "
            "restore it from a backup"
        )
    return key


def _make(path: Path) -> None:
    """Write a new key; where two processes make one, the first wins and nobody sees half of it."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
