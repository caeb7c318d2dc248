"""The project as a whole: its names, its lock files, its package, and what must never be in it."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("statemachine", "phases", "api")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
# Written so that this file doesn't hold what it looks for.
FORBIDDEN = re.compile(
    r"py[p]i\.org|python[h]osted|registry\.npm[j]s|--(extra-)?index[-]url[ =]\S*:|--find[-]links"
    r"|(?<![\w.])/(work|root|home|Users|opt)/[\w.-]"
)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def requirement_name(requirement: str) -> str:
    return re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0].lower()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_resolves_inside_the_repository(room: str) -> None:
    spec = importlib.util.find_spec(room)

    assert spec is not None
    assert spec.origin == str(ROOT / room / "__init__.py")


def test_no_tracked_file_names_a_registry_or_a_path_of_somebodys_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in tracked()
        if (match := FORBIDDEN.search(path.read_text(encoding="utf-8", errors="ignore")))
    ]

    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "https://py" + "pi.org/simple",
        "/ho" + "me/jo/x",
        "see /wo" + "rk/main",
        "--index" + "-url https://a.b",
    ],
)
def test_the_look_for_addresses_and_paths_finds_them(text: str) -> None:
    assert FORBIDDEN.search(text)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_file_pins_by_hash_and_says_nothing_else(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8").strip())

    assert entries
    for entry in entries:
        pin = r"[a-z0-9._-]+==[\w.!+]+( ; [^\\\n]+)?"
        assert re.fullmatch(rf"{pin}( \\\n    --hash=sha256:[0-9a-f]{{64}})+", entry), entry[:80]


@pytest.mark.parametrize("name", ["test", "train", "mutation"])
def test_every_lock_holds_the_run_lock(name: str) -> None:
    run, other = (
        set(re.findall(r"^\S+==\S+", (ROOT / f"requirements/{lock}.lock").read_text("utf-8"), re.MULTILINE))
        for lock in ("run", name)
    )

    assert run <= other


def test_every_dependency_is_locked() -> None:
    locked = set(re.findall(r"^([^=\s]+)==", LOCKS[0].read_text(encoding="utf-8"), re.MULTILINE))

    assert {requirement_name(each) for each in PROJECT["dependencies"]} <= locked


def test_every_dependency_is_imported_and_every_import_is_a_dependency() -> None:
    imported: set[str] = set()
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0])
    foreign = {name for name in imported - set(sys.stdlib_module_names) - set(ROOMS) if name[0] != "_"}

    own = {name.replace("_", "-") for name in foreign}
    needed = {requirement_name(each) for each in PROJECT["dependencies"]}
    extras = {requirement_name(each) for extra in PROJECT["optional-dependencies"].values() for each in extra}
    assert needed <= own
    assert own - needed - extras <= PARTS


PARTS = {
    *("starlette", "anyio", "pydantic-core"),  # of FastAPI and pydantic
    *("prawcore", "requests", "urllib3"),  # of PRAW
    "httpx2",  # of openai
    "opentelemetry",  # the namespace that all of its packages share
}
"""What those are made of and let through."""


def test_the_version_is_said_once_and_the_changelog_knows_it() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert version("phaseline") == PROJECT["version"]
    assert re.search(rf"^## {re.escape(PROJECT['version'])} ", changelog, re.MULTILINE)


@pytest.mark.slow
def test_the_wheel_holds_all_of_the_three_rooms_and_nothing_else(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )

    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        entry_points = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        said = archive.read(entry_points).decode()
    ours = {str(path.relative_to(ROOT)) for path in tracked() if path.relative_to(ROOT).parts[0] in ROOMS}
    assert ours <= packed
    assert {name.split("/")[0] for name in packed} == set(ROOMS)
    assert "phaseline = api.cli:main" in said


@pytest.mark.slow
def test_imports_point_one_way() -> None:
    lint = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert lint.returncode == 0, lint.stdout
