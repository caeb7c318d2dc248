"""The files of the page, as its build has left them in `ui/`: read once, compressed once."""

from __future__ import annotations

import gzip
import mimetypes
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

INDEX: Final = "index.html"
ASSETS: Final = "assets/"
"""Below it a name contains the hash of its content, so that a browser may keep the file for ever."""
FOR_EVER: Final = "public, max-age=31536000, immutable"
ASK_EACH_TIME: Final = "no-cache"


@dataclass(frozen=True)
class PageFile:
    """One file."""

    name: str
    content: bytes

    @cached_property
    def compressed(self) -> bytes:
        """The content, compressed with gzip."""
        return gzip.compress(self.content, 9, mtime=0)

    @cached_property
    def headers(self) -> dict[str, str]:
        """What a browser is told of it."""
        kind = mimetypes.guess_type(self.name)[0] or "application/octet-stream"
        return {
            "content-type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
            # Weak, because it stands for the compressed file too.
            "etag": f'W/"{blake2b(self.content, digest_size=12).hexdigest()}"',
            "cache-control": FOR_EVER if self.name.startswith(ASSETS) else ASK_EACH_TIME,
            "vary": "accept-encoding",
        }


def page_file(path: str) -> PageFile | None:
    """Return the file that stands at a path below `/ui/`; an address inside the page has the index."""
    found = _files()
    last = path.rpartition("/")[2]
    return found.get(path) or (None if "." in last else found[INDEX])


@cache
def _files() -> dict[str, PageFile]:
    return {each.name: each for each in _below(files("api").joinpath("ui"), "")}


def _below(folder: Traversable, prefix: str) -> list[PageFile]:
    found: list[PageFile] = []
    for each in folder.iterdir():
        name = f"{prefix}{each.name}"
        found += _below(each, f"{name}/") if each.is_dir() else [PageFile(name, each.read_bytes())]
    return found
