"""The bundled sample: conversations and prices made up for this project, deterministic.

`reddit.ndjson` and `prices.csv` are written by `python -m phases.sample.build` from the texts beside them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

from phases.sources.archive import ArchiveSource

SAMPLE_AS_OF: Final = datetime(2025, 3, 12, 18, 0, tzinfo=UTC)
"""The instant that the sample is about: a Wednesday, 14:00 in New York."""
SAMPLE_LATER: Final = datetime(2025, 3, 26, 18, 0, tzinfo=UTC)
"""Two weeks on: a run as of here finds new comments, and prices that close what the first one opened."""


class SampleSource(ArchiveSource):
    """The sample's posts and comments, read like any archive."""

    name = "sample"

    def __init__(self) -> None:
        super().__init__([Path(str(files("phases.sample"))) / "reddit.ndjson"])
