"""Write the diagrams of this pipeline's machine, from the one table; `--check` only compares.

    python diagrams/generate.py [--check]

Besides the files beside this script it keeps the Mermaid block of README.md. With `--check` nothing is
written; the exit code is 1 and the stale files are named where one isn't what the table says.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from phases import PHASES
from statemachine.diagram import dot, markdown, mermaid, svg
from statemachine.registry import Registry

ROOT: Final = Path(__file__).resolve().parent.parent
MERMAID_BLOCK: Final = re.compile(r"^```mermaid\n.*?^```$", re.MULTILINE | re.DOTALL)


def contents(root: Path = ROOT) -> Mapping[Path, str]:
    """Return what each file below `root` should say."""
    registry = Registry.of(PHASES)
    labels = {state: phase.label for state, phase in zip(registry.states, registry.phases, strict=True)}
    drawn = mermaid(registry.edges, labels)
    readme = (root / "README.md").read_text(encoding="utf-8")
    return {
        root / "diagrams/machine.mmd": drawn,
        root / "diagrams/machine.dot": dot(registry.edges, labels),
        root / "diagrams/machine.svg": svg(registry.edges, labels),
        root / "diagrams/machine.md": f"# Every state and edge\n\n{markdown(registry.edges, labels)}",
        root / "README.md": MERMAID_BLOCK.sub(lambda _: f"```mermaid\n{drawn}```", readme),
    }


def stale(root: Path = ROOT) -> list[Path]:
    """Return the files below `root` that are missing or not what the table says."""
    return [
        path
        for path, content in contents(root).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != content
    ]


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description="Draw the machine of phases.PHASES from the one table.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is stale")
    only_check = parser.parse_args(arguments).check
    changed = stale(root)
    if changed and only_check:
        names = ", ".join(str(path.relative_to(root)) for path in changed)
        print(f"stale: {names}; run `make diagrams`", file=sys.stderr)
        return 1
    for path in changed:
        path.write_text(contents(root)[path], encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
