"""Write the diagrams of this pipeline's machine, from the one table; `--check` only compares.

    python diagrams/generate.py [--check]

With `--check` nothing is written; the exit code is 1 and the stale files are named where a file beside
this script isn't what the table says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from phases import PHASES
from statemachine.diagram import dot, markdown, mermaid, svg
from statemachine.registry import Registry

FOLDER: Final = Path(__file__).parent


def contents() -> Mapping[str, str]:
    """Return what each file should say."""
    registry = Registry.of(PHASES)
    labels = {state: phase.label for state, phase in zip(registry.states, registry.phases, strict=True)}
    return {
        "machine.mmd": mermaid(registry.edges, labels),
        "machine.dot": dot(registry.edges, labels),
        "machine.svg": svg(registry.edges, labels),
        "machine.md": f"# Every state and edge\n\n{markdown(registry.edges, labels)}",
    }


def stale(folder: Path) -> list[str]:
    """Return the names of the files in `folder` that are missing or not what the table says."""
    return [
        name
        for name, content in contents().items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != content
    ]


def write(folder: Path) -> None:
    """Write every file into `folder`."""
    for name, content in contents().items():
        (folder / name).write_text(content, encoding="utf-8", newline="\n")


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description="Draw the machine of phases.PHASES from the one table.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is stale")
    changed = stale(folder)
    if not parser.parse_args(arguments).check:
        write(folder)
    elif changed:
        print(f"stale: {', '.join(changed)}; run `make diagrams`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
