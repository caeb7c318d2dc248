"""How many small mistakes in `statemachine/` nobody would notice: `python -m tools.mutation --sample 150`.

mutmut makes the mutants: a number, a text, an operator or an argument of a function changed. A mutant is
noticed by the type checker (strict mypy, part of `make check`) or by a test: first those of
`tests/statemachine`, then the faults, the model and the API. The type checker judges all of them at once; the
tests are tried on a random sample of the rest, each in a process of its own, because all of them would take
many hours. Prints the survivors with what was changed as they come, then the share of all mutants that is
noticed with its 95 % interval (Wilson's, of the sample).

Wants `pip install --require-hashes -r requirements/mutation.lock`. The pictures (`diagram/`) are left out:
they are compared as files. The longest tests are left out too, so a survivor may be noticed elsewhere.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random  # noqa: TID251  # a sample that can be drawn again by its seed
from shutil import copy, copytree, ignore_patterns
from typing import Final

from mutmut.mutation.file_mutation import mutate_file_contents

ROOT: Final = Path(__file__).parents[1]
ENGINE: Final = "statemachine"
SUITES: Final = (("tests/statemachine",), ("tests/faults", "tests/model", "tests/api"))
"""The quickest first: the second is tried on what survives the first."""
LEFT_OUT: Final = (
    "tests/faults/test_mutants.py",  # it looks for the unchanged text
    "tests/statemachine/test_diagram.py",
    "tests/statemachine/test_lifecycle_machine.py",
    "tests/statemachine/test_store.py::test_processes_that_make_the_file_at_the_same_moment_make_it_once",
    "tests/statemachine/test_workers.py::test_a_phase_whose_workers_keep_dying_fails_its_run",
    "tests/statemachine/test_workers.py::test_the_death_of_a_worker",
    "tests/statemachine/test_workers.py::test_work_that_kills_every_worker_is_given_up",
)
"""The others take longest; each is some tests among a thousand."""
SQL: Final = re.compile(r"(?i)(SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA|BEGIN|COMMIT|ROLLBACK)\b[^']*")
OF_THE_MAKING: Final = frozenset({"no-redef", "has-type"})
"""What mypy says of many copies of one method side by side, the unchanged one too."""
TRIED_S: Final = 300
"""A mutant that takes longer hangs, and is noticed."""
Z: Final = 1.96


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed function: its name among the copies, and the unchanged text beside its own."""

    file: str
    name: str
    before: str
    after: str
    lines: range

    @property
    def is_the_same_program(self) -> bool:
        """Whether only the letters of an SQL statement are others, capital or small; SQL doesn't care."""
        return _in_small_letters(self.before) == _in_small_letters(self.after)

    @property
    def full_name(self) -> str:
        """What the copies listen to in `MUTANT_UNDER_TEST`."""
        return f"{ENGINE}.{Path(self.file).stem}.{self.name}"

    def change(self) -> str:
        """Return the changed lines."""
        lines = difflib.unified_diff(self.before.split("\n"), self.after.split("\n"), n=0, lineterm="")
        said = [
            line for line in lines if line[0] in "+-" and "mutmut" not in line and len(line) > len("+++ ")
        ]
        return "\n".join(f"    {line}" for line in said)


class _SmallSql(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        """Write a statement without quoted text in small letters."""
        is_sql = isinstance(node.value, str) and SQL.fullmatch(node.value)
        return ast.Constant(str(node.value).lower()) if is_sql else node


def _in_small_letters(function: str) -> str:
    (node,) = ast.parse(function).body
    assert isinstance(node, ast.FunctionDef)
    node.name = ""
    return ast.unparse(_SmallSql().visit(node))


def plant(root: Path) -> list[Mutant]:
    """Put every mutant into a copy of the engine beside the unchanged functions, and return them.

    One that only spells SQL in other letters is no mutant.
    """
    mutants: list[Mutant] = []
    for path in sorted((root / ENGINE).glob("*.py")):
        path.write_text(mutate_file_contents(path.name, path.read_text("utf-8")).code, "utf-8")
        functions = {
            node.name: node
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.FunctionDef)
        }
        for name, node in functions.items():
            if re.search(r"__mutmut_\d+$", name):
                origin = functions[re.sub(r"_\d+$", "_orig", name)]
                span = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                mutants.append(Mutant(path.name, name, ast.unparse(origin), ast.unparse(node), span))
    return [mutant for mutant in mutants if not mutant.is_the_same_program]


def refused_by_types(root: Path, mutants: Sequence[Mutant]) -> set[Mutant]:
    """Return the mutants that strict mypy finds something wrong with."""
    asked = [
        sys.executable,
        "-m",
        "mypy",
        ENGINE,
        "--output",
        "json",
        "--disable-error-code",
        "unused-ignore",
    ]
    ended = subprocess.run(asked, cwd=root, check=False, capture_output=True, text=True)  # noqa: S603  # our own
    wrong: dict[str, set[int]] = {}
    for found in map(json.loads, ended.stdout.splitlines()):
        if found["severity"] == "error" and found["code"] not in OF_THE_MAKING:
            wrong.setdefault(Path(found["file"]).name, set()).add(found["line"])
    return {mutant for mutant in mutants if not wrong.get(mutant.file, set()).isdisjoint(mutant.lines)}


def survives(root: Path, mutant: Mutant | None) -> bool:
    """Return whether all tests pass with a mutant, or with none."""
    return all(pass_with(root, mutant, suite) for suite in SUITES)


def pass_with(root: Path, mutant: Mutant | None, suite: Sequence[str]) -> bool:
    """Return whether the tests of some folders pass with a mutant, or with none."""
    asked = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=no"]
    asked += ["--hypothesis-profile=mutants", *(f"--deselect={each}" for each in LEFT_OUT), *suite]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment["MUTANT_UNDER_TEST"] = "" if mutant is None else mutant.full_name
    try:
        ended = subprocess.run(  # noqa: S603  # our own tests
            asked, cwd=root, check=False, capture_output=True, env=environment, timeout=TRIED_S
        )
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode == 0


def interval(hits: int, of: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share.

    >>> [round(each, 3) for each in interval(90, 100)]
    [0.826, 0.945]
    """
    share = hits / of
    middle = (share + Z * Z / (2 * of)) / (1 + Z * Z / of)
    half = Z / (1 + Z * Z / of) * math.sqrt(share * (1 - share) / of + Z * Z / (4 * of * of))
    return middle - half, middle + half


def copied(root: Path) -> None:
    """Copy what the tests of the engine need."""
    for name in (ENGINE, "tests", "phases", "api", "diagrams", "docs"):
        copytree(ROOT / name, root / name, ignore=ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        copy(ROOT / name, root)


def tried(root: Path, sample: Sequence[Mutant], jobs: int) -> Iterator[tuple[Mutant, bool]]:
    """Yield each mutant of a sample and whether it survives, and say on standard error how far this is."""
    with ThreadPoolExecutor(jobs) as pool:
        found = pool.map(lambda mutant: survives(root, mutant), sample)
        for number, (mutant, survived) in enumerate(zip(sample, found, strict=True), start=1):
            sys.stderr.write(f"\r{number} of {len(sample)} tried")
            yield mutant, survived
    sys.stderr.write("\n")


def report(mutants: int, typed: int, found: Iterable[tuple[Mutant, bool]]) -> Iterator[str]:
    """Yield each survivor when it is known, and at the end the figures."""
    yield f"{mutants} mutants; the type checker refuses {typed}"
    noticed = survivors = 0
    for mutant, survived in found:
        noticed += not survived
        survivors += survived
        if survived:
            yield f"survives: {mutant.full_name}\n{mutant.change()}"
    of = noticed + survivors
    low, high = interval(noticed, of)
    whole = [(typed + share * (mutants - typed)) / mutants for share in (noticed / of, low, high)]
    yield f"of the rest {of} were tried, {noticed} noticed by a test"
    yield "noticed of all: {:.1%} ({:.1%} to {:.1%})".format(*whole)


def main() -> int:
    """Try a sample; return 1 where the unchanged engine fails its tests."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sample", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mutants-") as made:
        root = Path(made)
        copied(root)
        mutants = plant(root)
        typed = refused_by_types(root, mutants)
        if not survives(root, None):
            sys.stderr.write("the unchanged engine fails its tests in the copy; run pytest there first\n")
            return 1
        rest = [mutant for mutant in mutants if mutant not in typed]
        sample = Random(asked.seed).sample(rest, min(asked.sample, len(rest)))  # noqa: S311  # no secret
        for line in report(len(mutants), len(typed), tried(root, sample, asked.jobs)):
            print(line, flush=True)  # noqa: T201  # a survivor is read while the others are tried
    return 0


if __name__ == "__main__":
    sys.exit(main())
