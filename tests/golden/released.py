"""The scripts of released tables. Add a line with each release, never change one."""

from __future__ import annotations

from typing import Final

from phases import SCHEMA as PHASES_SCHEMA

RELEASED: Final[dict[str, tuple[str, ...]]] = {
    "engine": ("ec157eeae91af709b81b95d9c877a0ce8eaf7d924d901f83959c876ed7b1d6f4",),
    "phases": (),
}
"""SHA-256 of each version's script, oldest first. The pipeline's tables are free until the first release."""


def released_pipeline() -> dict[str, tuple[str, ...]]:
    """Return the pipeline's tables as far as they are released, as a part for `Runner`."""
    scripts = tuple(PHASES_SCHEMA[: len(RELEASED["phases"])])
    return {"phases": scripts} if scripts else {}
