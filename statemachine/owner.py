"""Who drives a run: a process, whose death the operating system shows at once.

Every process takes one byte of the file `<database>-owner` with a POSIX record lock and writes the byte's
offset, its *token*, into the rows of its runs. The kernel frees the byte when the process dies, however it
dies, so "is that owner alive?" is one system call: no clock, no heartbeat, no process id that is used again.

Record locks and not `flock`: a forked worker inherits an `flock` and would keep a dead owner looking alive.
Their price is a known trap, handled here: closing *any* descriptor of the file drops all of the process's
locks on it. So one process opens each such file once and closes it with its last token.
"""

from __future__ import annotations

import fcntl
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class _LockFile:
    fd: int
    tokens: set[int] = field(default_factory=set[int])


_files: dict[tuple[int, int], _LockFile] = {}
_guard = threading.Lock()


def _forget_after_fork() -> None:
    # The child holds none of its parent's locks.
    global _guard  # noqa: PLW0603  # the parent may have held it at the moment of the fork
    _guard = threading.Lock()
    _files.clear()


os.register_at_fork(after_in_child=_forget_after_fork)


class Owner:
    """This process as an owner of runs of one database. Close it to let its runs go."""

    def __init__(self, db: Path, *, token: int | None = None) -> None:
        """Take a byte of the lock file; `token` is its offset, by default a random one."""
        path = Path(f"{os.path.realpath(db)}-owner")
        self._offset = int.from_bytes(os.urandom(8)) >> 2 if token is None else token
        with _guard:
            self._key, self._file = _opened(path)
            fcntl.lockf(self._file.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._offset)
            self._file.tokens.add(self._offset)

    @property
    def token(self) -> str:
        """What stands in the column `owner` of this process's runs."""
        return f"{self._offset:x}"

    def is_alive(self, token: str | None) -> bool:
        """Return whether the process behind `token` still lives; `None` is nobody."""
        if token is None:
            return False
        try:
            offset = int(token, 16)
        except ValueError:
            return False
        with _guard:
            if offset in self._file.tokens:  # asking the kernel for our own lock would drop it
                return True
            try:
                # A shared lock, so that two processes that ask at once don't take each other for the owner.
                fcntl.lockf(self._file.fd, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, offset)
            except OSError:
                return True
            fcntl.lockf(self._file.fd, fcntl.LOCK_UN, 1, offset)
            return False

    def close(self) -> None:
        """Let the byte go; for everybody else this owner is dead from now on."""
        with _guard:
            if self._offset not in self._file.tokens:
                return
            self._file.tokens.discard(self._offset)
            fcntl.lockf(self._file.fd, fcntl.LOCK_UN, 1, self._offset)
            if not self._file.tokens:
                _files.pop(self._key, None)
                os.close(self._file.fd)


def _opened(path: Path) -> tuple[tuple[int, int], _LockFile]:
    try:
        found = path.stat()
    except FileNotFoundError:
        found = None
    if found is not None and (found.st_dev, found.st_ino) in _files:
        key = (found.st_dev, found.st_ino)
        return key, _files[key]
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    made = os.fstat(fd)
    key = (made.st_dev, made.st_ino)
    return key, _files.setdefault(key, _LockFile(fd))
