"""docs/traps.md: each test that it names exists, and its table of warnings is what the code can emit."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = (ROOT / "docs/traps.md").read_text(encoding="utf-8")
NAMED: Final = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)

PLACES: Final = {"warn": 0, "_each": 1, "_warn": 2}
"""Functions that are given a warning's type, and as which argument."""
PASSED_ON: Final = {
    "kind", "type", "warning", "watch.warning", "self.watch.warning", "remark.type", "refusal.type",
    "self.name",  # of an analyser, whose conclusion warns by itself
}  # fmt: skip
"""Expressions that pass a type on, whose literals are found where they are first given."""


def rows_of(title: str) -> list[list[str]]:
    part = PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def types_given(node: ast.AST) -> list[ast.expr]:
    """Return what stands where this piece of code gives a warning its type."""
    match node:
        case ast.FunctionDef(name="warning"):
            return [each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value]
        case ast.Call():
            name = ast.unparse(node.func).rpartition(".")[2]
            if name in {"Remark", "Refusal"}:
                return [each.value for each in node.keywords if each.arg == "type"]
            return node.args[PLACES[name] :][:1] if name in PLACES else []
        case ast.Dict():
            fields = {
                ast.unparse(key): value for key, value in zip(node.keys, node.values, strict=True) if key
            }
            return [fields["'type'"]] if {"'type'", "'message'", "'timestamp'"} <= fields.keys() else []
        case _:
            return []


def patterns_of(given: ast.expr) -> list[str]:
    """Return patterns of the types that an expression can be, none where it passes one on."""
    match given:
        case ast.Constant(value=str(text)):
            return [re.escape(text)]
        case ast.JoinedStr(values=parts):
            known = (
                re.escape(str(each.value)) if isinstance(each, ast.Constant) else r"\w+" for each in parts
            )
            return ["".join(known)]
        case ast.IfExp(body=body, orelse=other):
            return patterns_of(body) + patterns_of(other)
        case _:
            assert ast.unparse(given) in PASSED_ON, f"where does the type {ast.unparse(given)} come from?"
            return []


def emitted() -> set[str]:
    paths = [path for room in ("phases", "statemachine", "api") for path in (ROOT / room).rglob("*.py")]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    nodes = (node for tree in trees for node in ast.walk(tree))
    return {pattern for node in nodes for given in types_given(node) for pattern in patterns_of(given)}


def test_the_table_of_warnings_is_what_the_code_can_emit() -> None:
    told = [name for row in rows_of("Warnings") for name in re.findall(r"`(\w+)`", row[0])]
    can_be = emitted()

    assert [each for each in can_be if not any(re.fullmatch(each, name) for name in told)] == []
    assert [name for name in told if not any(re.fullmatch(each, name) for each in can_be)] == []
    assert len(told) == len(set(told))


def test_every_test_that_the_page_names_exists() -> None:
    files = {file: (ROOT / "tests" / file).read_text(encoding="utf-8") for file, _ in NAMED}

    assert NAMED
    assert PAGE.count("::") == len(NAMED) + 1  # the sentence that explains the notation
    assert [(file, name) for file, name in NAMED if f"def test_{name}(" not in files[file]] == []


@pytest.mark.parametrize("title", ["Traps of the field", "Four tiers of errors", "Warnings"])
def test_every_row_has_a_test_or_says_what_is_not_done(title: str) -> None:
    rows = rows_of(title)

    assert rows
    assert [row[0] for row in rows if "::" not in row[-1] and "**not done:**" not in row[-2]] == []
