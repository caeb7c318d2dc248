"""What the documents say exists: files, commands, settings, pictures; and their examples run."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
import tomllib
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

import click
import pytest

from api.cli.root import phaseline
from api.settings import PREFIX, Settings
from diagrams import generate
from phases import PHASES, SCHEMA
from statemachine.registry import Registry
from statemachine.runner import Runner
from statemachine.store import RunReader

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "diagrams").glob("*.md")),
]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
README = (ROOT / "README.md").read_text(encoding="utf-8")

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)


def code_of(document: Path) -> str:
    """Everything in a document that is set as code."""
    text = document.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```\w*\n.*?^```|`[^`\n]+`", text, re.MULTILINE | re.DOTALL))


def section(title: str) -> str:
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def command(name: str) -> click.Command | None:
    return phaseline.get_command(click.Context(phaseline), name)


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")

    targets = re.findall(r"\]\(([^)#\s]+)|(?:src|href)=\"([^\"#]+)\"", text)
    local = [target for pair in targets for target in pair if target and "://" not in target]

    assert [target for target in local if not (document.parent / target).exists()] == []


@each_document
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    named = re.findall(r"(?:^\$ |`)make ((?:[a-z]+ ?)+)", code_of(document), re.MULTILINE)

    assert {target for words in named for target in words.split()} <= targets


@each_document
def test_every_command_that_is_named_exists_with_its_flags(document: Path) -> None:
    for name, rest in re.findall(r"\bphaseline ([a-z][a-z-]*)([^\n`#|&]*)", code_of(document)):
        found = command(name)
        assert found is not None, name
        known = {option for parameter in found.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z][\w-]*", rest)) <= known


@each_document
def test_every_environment_variable_that_is_named_is_a_setting(document: Path) -> None:
    named = set(re.findall(rf"{PREFIX}([A-Z_]+[A-Z])", document.read_text(encoding="utf-8")))

    assert named <= {name.upper() for name in Settings.model_fields}


def default_of(name: str) -> str:
    value: Any = Settings.model_fields[name].default
    if isinstance(value, tuple):
        return ", ".join(f"`{each}`" for each in value)
    return "" if value is None else f"`{value}`"


def meaning_of(name: str) -> str:
    field = Settings.model_fields[name]
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    untold = [f"`{choice}`" for choice in choices if choice not in str(field.description)]
    return f"{field.description}: {' or '.join(untold)}" if untold else str(field.description)


def test_the_table_of_settings_is_the_settings() -> None:
    rows = [
        f"| `{name.upper()}` | {default_of(name)} | {meaning_of(name)} |" for name in Settings.model_fields
    ]

    assert [line for line in section("Settings").splitlines() if line.startswith("| `")] == rows


def test_the_tables_of_packages_are_the_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + [each for packages in extras.values() for each in packages]

    said = section("What it is built on")
    rows = [line for line in said.splitlines() if line.startswith("|")]
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]

    assert sorted(named) == sorted(re.split(r"[\s<>=!~;\[]", each)[0] for each in wanted)
    assert [row.split("|")[1].strip() for row in rows if row.split("|")[1].strip() in extras] == list(extras)


def test_the_diagrams_are_fresh() -> None:
    assert generate.main(["--check"]) == 0


def test_a_stale_diagram_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(ROOT / "diagrams", tmp_path / "diagrams")
    shutil.copy(ROOT / "README.md", tmp_path)
    (tmp_path / "diagrams/machine.svg").write_text("<svg/>")
    (tmp_path / "README.md").write_text(README.replace("[*] -->", "[*] -> "))

    checked = generate.main(["--check"], tmp_path)
    said = capsys.readouterr().err
    written = generate.main([], tmp_path)

    assert (checked, written) == (1, 0)
    assert said == "stale: diagrams/machine.svg, README.md; run `make diagrams`\n"
    assert generate.main(["--check"], tmp_path) == 0
    assert (tmp_path / "README.md").read_text() == README


def example(document: str, marker: str, tmp_path: Path) -> ModuleType:
    """Import the Python block of a document that contains `marker`."""
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = re.findall(r"^( *)```python\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    (indent, code), *_ = [block for block in blocks if marker in block[1]]
    path = tmp_path / "example.py"
    path.write_text("".join(line.removeprefix(indent) for line in code.splitlines(keepends=True)))
    spec = importlib.util.spec_from_file_location("example", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["example"] = module
    spec.loader.exec_module(module)
    return module


def test_the_phases_of_the_readme_go_on_after_their_last_check_point(tmp_path: Path) -> None:
    mine: Any = example("README.md", "def report(", tmp_path)
    computed: list[int] = []

    def interrupted_square(n: int) -> int:
        computed.append(n)
        if len(computed) == 35:
            raise ConnectionError
        return n * n

    mine.slow_square = interrupted_square
    runner = Runner(tmp_path / "mine.db", Registry.of(mine.PHASES), executor="threads")
    run = runner.create({})

    failed = runner.step(run.id)
    runner.resume(run.id)
    runner.wait()
    runner.close()
    with closing(RunReader(tmp_path / "mine.db")) as reader:
        ended = reader.run(run.id)

    assert failed.state == "failed"
    assert computed == [*range(35), *range(30, 100)]
    assert (ended.state, ended.results) == ("completed", {"total": 328350})


def test_the_phase_of_the_contributing_guide_joins_the_pipeline(tmp_path: Path) -> None:
    added = example("CONTRIBUTING.md", "def rank_tickers(", tmp_path)
    registry = Registry.of([*PHASES, (8, "Ranking tickers", added.rank_tickers)])
    only = Registry.of([(8, "Ranking tickers", added.rank_tickers)])
    runner = Runner(tmp_path / "r.db", only, executor="threads", schema={"phases": SCHEMA})
    run = runner.create({})

    ended = runner.step(run.id)
    runner.close()

    assert registry.states[-1] == "ranking_tickers"
    assert ended.state == "completed"
    assert [warning["type"] for warning in ended.warnings or []] == ["no_tickers"]
