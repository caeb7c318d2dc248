"""Starting ourselves again as a child process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from api.cli.options import given_flags
from api.settings import PREFIX

ROOT = Path(__file__).parents[2]
"""What has to be importable; it is not where we run from a checkout."""


def command(*args: str) -> list[str]:
    """Return the command line that runs `phaseline ARGS` with this interpreter."""
    # -P: the current directory may hold modules of the same names.
    return [sys.executable, "-P", "-m", "api.cli", *args]


def environment(**settings: str) -> dict[str, str]:
    """Return the environment for it: the settings given as flags go in here, where secrets are not listed."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    given = {PREFIX + name.upper(): value for name, value in {**given_flags(), **settings}.items()}
    return {**os.environ, "PYTHONPATH": path, **given}
