"""Somebody else's package, built as a wheel and installed for real, found by its entry points."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from api import plugins

ROOT = Path(__file__).parents[2]
EXAMPLE = Path(__file__).parent / "example"
AS_OF = "2025-03-12T18:00:00Z"
END_S = 60


def ran(*args: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PHASELINE_")}
    return subprocess.run(
        [sys.executable, *args],
        cwd=cwd,
        env=clean | settings,
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example's wheel installed into it."""
    return install(EXAMPLE, tmp_path_factory.mktemp("site"))


def install(project: Path, folder: Path) -> Path:
    """Build a project's wheel, install it below `folder`, and return where; no network is asked."""
    built = ran("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist"), cwd=project)
    assert built.returncode == 0, built.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    pip = ("-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--no-deps")
    installed = ran(*pip, "--target", str(folder / "lib"), str(wheel), cwd=folder)
    assert installed.returncode == 0, installed.stderr
    return folder / "lib"


class Shell:
    def __init__(self, site: Path, cwd: Path) -> None:
        self._site, self._cwd = site, cwd

    def __call__(self, *args: str, **settings: str) -> tuple[int, str, str]:
        path = os.pathsep.join((str(self._site), str(ROOT)))
        done = ran(
            "-P", "-m", "api.cli", *args, cwd=self._cwd, PYTHONPATH=path, PHASELINE_AS_OF=AS_OF, **settings
        )
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def phaseline(site: Path, tmp_path: Path) -> Shell:
    return Shell(site, tmp_path)


@pytest.mark.slow
def test_a_run_takes_source_analyzer_and_prices_from_plugins(phaseline: Shell, tmp_path: Path) -> None:
    (tmp_path / "said.txt").write_text("BUY $GME NOW\nI keep my $GME\n$AMC TO THE MOON\n")
    chosen = ("--source", "lines:said.txt", "--analyzer", "shouting", "--prices", "flat:20")

    code, out, said = phaseline("analyze", "--json", *chosen)

    assert code == 0, said
    status: dict[str, Any] = json.loads(out)
    assert status["results"]["comments_analyzed"] == 3
    _, comments, _ = phaseline("export", "comments", "--format", "ndjson")
    assert comments.count('"shouting-1"') == 3


@pytest.mark.slow
def test_a_plugins_phases_run_with_their_own_tables(phaseline: Shell) -> None:
    code, out, said = phaseline("analyze", "--json", "--phases", "greeting")

    assert code == 0, said
    assert json.loads(out)["results"] == {"greetings": 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--source", "line"), "sample, archive:PATH[,PATH...] and reddit or, by plug-ins, lines, unplugged"),
        (("--analyzer", "whisper"), "lexicon and llm or, by plug-ins, shouting"),
        (("--prices", "round:1"), "sample, csv:PATH, yfinance and schwab or, by plug-ins, flat, hollow"),
        (("--phases", "farewell"), "module:attribute or, by plug-ins, greeting"),
    ],
)
def test_a_name_that_nobody_offers_is_refused_with_the_list_of_those_there_are(
    phaseline: Shell, flags: tuple[str, str], sentence: str
) -> None:
    code, out, said = phaseline("analyze", *flags)

    assert (code, out) == (2, "")
    assert sentence in said
    assert len(said.splitlines()) == 1


@pytest.mark.slow
def test_a_broken_plugin_is_named_by_the_doctor_and_to_who_asks_for_it(phaseline: Shell) -> None:
    code, out, _ = phaseline("doctor", "--json")
    found = {each["check"]: each for each in json.loads(out)}

    asked_code, _, asked = phaseline("analyze", "--source", "unplugged")
    doctor_code, _, _ = phaseline("doctor", "--source", "unplugged")

    assert (code, asked_code, doctor_code) == (0, 2, 1)
    assert found["sources lines"]["said"] == "phaseline-example 1.2.0, phaseline_example.lines:LinesSource"
    assert found["sources unplugged"]["grade"] == "warn"
    assert "phaseline-example 1.2.0 is broken" in found["sources unplugged"]["said"]
    assert asked.startswith("phaseline: source: the source unplugged of phaseline-example 1.2.0 is broken")
    assert len(asked.splitlines()) == 1


@pytest.mark.slow
def test_what_a_plugin_makes_is_looked_at_before_it_is_used(phaseline: Shell) -> None:
    code, _, said = phaseline("analyze", "--prices", "hollow")

    assert code == 1
    assert "what phaseline_example.flat:hollow makes has no name, quote, bars" in said


@pytest.mark.slow
def test_the_example_of_the_document_is_a_package_that_works(tmp_path: Path) -> None:
    text = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    for name, language in (("diary.py", "python"), ("pyproject.toml", "toml")):
        (block,) = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        (tmp_path / name).write_text(block)
    (tmp_path / "diary.txt").write_text("Loading up on $GME calls\n")
    phaseline = Shell(install(tmp_path, tmp_path), tmp_path)

    code, out, said = phaseline("analyze", "--json", "--source", "diary:diary.txt")
    missing_code, _, missing = phaseline("analyze", "--source", "diary:elsewhere.txt")

    assert code == 0, said
    assert json.loads(out)["results"]["comments_analyzed"] == 1
    assert missing_code == 1
    assert "there is no diary elsewhere.txt; say diary:PATH" in missing


def package(folder: Path, name: str, entry_points: str, code: str = "") -> None:
    """Lay down an installed package, as an installer leaves it."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    (folder / f"{name}.py").write_text(code)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "lib"
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_a_list_of_entry_points_that_can_not_be_read_hides_no_other_package(path: Path) -> None:
    package(path, "torn_one", "[phaseline.sources]\nno equals sign\n")
    package(path, "whole_one", "[phaseline.sources]\nwhole = whole_one:make\n", "make = list")

    scanned = plugins.scan()

    assert "whole" in plugins.names("sources")
    assert [said for said in scanned.unreadable if said.startswith("torn_one 1.0: ")]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("raise RuntimeError('first line\\nsecond line')", "raised RuntimeError: first line"),
        ("import sys; sys.exit('enough')", "raised SystemExit: enough"),
        ("def make(: pass", "raised SyntaxError"),
        ("make = 7", "is not callable"),
        ("", "raised AttributeError"),
    ],
)
def test_whatever_a_plugin_does_while_it_is_loaded_is_one_sentence(path: Path, code: str, why: str) -> None:
    name = f"breaks_{abs(hash(code))}"
    package(path, name, f"[phaseline.sources]\nbreaks = {name}:make\n", code)

    problem = plugins.problem("sources", "breaks:at once")

    assert problem is not None
    assert f"the source breaks of {name} 1.0 is broken" in problem
    assert why in problem
    assert "\n" not in problem


def test_a_name_that_two_packages_offer_is_refused(path: Path) -> None:
    package(path, "one_feed", "[phaseline.sources]\nfeed = one_feed:make\n")
    package(path, "other_feed", "[phaseline.sources]\nfeed = other_feed:make\n")

    with pytest.raises(plugins.PluginBroken, match=r"one_feed 1\.0 and other_feed 1\.0 both offer"):
        plugins.find("sources", "feed")
