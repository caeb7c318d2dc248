"""The command line. This file stays light: every worker process of `ctx.map` imports it again."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from api.cli.root import run  # noqa: PLC0415  # not in worker processes

    sys.exit(run(sys.argv[1:]))
