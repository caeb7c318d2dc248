"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, *, force: bool = False) -> Generator[Path]:
    """Lend a draft beside `path`, empty, that takes its place at the end; on an error it is removed.

    Raises:
        FileExistsError: `path` exists and `force` is not set; also where somebody made it meanwhile.
        OSError: It can't be written.
    """
    if not force and path.exists():
        raise FileExistsError(None, "it exists already", str(path))
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.touch(exist_ok=False)
        yield draft
        _sync(draft)
        if force:
            draft.replace(path)
        else:
            os.link(draft, path)  # unlike a rename it refuses what is there
    finally:
        draft.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
