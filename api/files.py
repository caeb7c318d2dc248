"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path, *, force: bool = False) -> Generator[BinaryIO]:
    """Open a draft beside `path` that takes its place at the end; on an error it is removed.

    Raises:
        FileExistsError: `path` exists and `force` is not set; also when somebody makes it meanwhile.
        OSError: It can't be written.
    """
    if not force and path.exists():
        raise FileExistsError(None, "it exists already", str(path))
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if force:
            draft.replace(path)
        else:
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
