"""Which version this is."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """Return the installed version; `0` in a checkout that is not installed."""
    try:
        return metadata.version("phaseline")
    except metadata.PackageNotFoundError:
        return "0"
