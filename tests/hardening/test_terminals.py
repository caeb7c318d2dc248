"""Whatever strangers write, a command's output moves no cursor, sets no title, turns no text around."""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path

import pytest

from tests.api.world import AS_OF
from tests.hardening.conftest import Command
from tests.hardening.hostile import ESCAPES, STORABLE

READING = (
    ("show", "last"), ("runs",), ("watch", "last"), ("verify",), ("doctor",), ("diagram", "last"),
    ("export", "runs"), ("export", "events"), ("resume", "last"),
)  # fmt: skip
AS_JSON = (
    ("show", "last", "--json"), ("runs", "--json"), ("watch", "last", "--json"), ("verify", "--json"),
    ("export", "runs", "--format", "ndjson"), ("export", "events", "--format", "ndjson"),
    ("resume", "last", "--json"), ("analyze", "--json"),
)  # fmt: skip
FAIL = json.dumps({"fail": True, "words": STORABLE})


def harmful(said: str) -> set[str]:
    """Return the characters that do something to a terminal, or hide there."""
    named = {"\u202e", "\u2066", "\u200b", "\ufeff"}
    unwanted = {each for each in said if unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"}}
    return (unwanted | named & set(said)) - {"\n", "\t"}


@pytest.fixture
def typed(command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command line as a person at a terminal does."""
    monkeypatch.setenv("TERM", "dumb")  # so that no style of ours is in the output
    monkeypatch.setenv("PHASELINE_PHASES", "hostile:PHASES")

    def ran(*args: str) -> tuple[int, str]:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        return command(*args)

    return ran


def test_the_look_for_harm_finds_each_kind() -> None:
    assert all(harmful(escape) for escape in ESCAPES)


@pytest.mark.parametrize("params", ["{}", FAIL], ids=["completed", "failed"])
def test_a_run_of_hostile_words_is_told_harmlessly(typed: Command, params: str) -> None:
    code, said = typed("analyze", "--params", params)

    assert code == (1 if params == FAIL else 0)
    assert "GME" in said
    assert harmful(said) == set()
    assert not any(line.startswith("run 9 completed") for line in said.splitlines())


@pytest.mark.parametrize("args", READING, ids=" ".join)
def test_a_command_shows_hostile_words_harmlessly(typed: Command, args: tuple[str, ...]) -> None:
    typed("analyze", "--params", FAIL)

    assert harmful(typed(*args)[1]) == set()


@pytest.mark.parametrize("args", AS_JSON, ids=" ".join)
def test_json_is_ascii_and_its_escapes_are_escaped(typed: Command, args: tuple[str, ...]) -> None:
    typed("analyze", "--params", FAIL)

    said = typed(*args)[1]

    assert harmful(said) == set()
    assert any(json.loads(line) is not None for line in said.splitlines() if line.startswith(("{", "[")))


@pytest.mark.slow
def test_hostile_comments_of_an_archive_are_told_harmlessly(typed: Command) -> None:
    row = {"link_id": "t3_p1", "parent_id": "t3_p1", "created_utc": 1_606_820_000, "score": 9}
    words = f"{STORABLE} bought GME calls because earnings will beat"
    lines = [{"id": "p1", "title": STORABLE, "created_utc": 1_606_810_000}]
    lines += [
        {**row, "id": f"c{number}", "author": f"a{number}{STORABLE}", "body": words} for number in range(9)
    ]
    Path("a.ndjson").write_text("\n".join(map(json.dumps, lines)), encoding="ascii")
    flags = ("--phases", "phases:PHASES", "--executor", "threads", "--as-of", AS_OF)

    code, said = typed("analyze", "--source", "archive:a.ndjson", *flags)
    said += "".join(typed("export", what)[1] for what in ("comments", "signals", "positions"))
    said += typed("export", "comments", "--format", "ndjson")[1]

    assert code == 0
    assert "bought GME calls" in said
    assert harmful(said) == set()


def test_annotations_of_hostile_texts_are_ascii(typed: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("in.ndjson").write_text(json.dumps({"text": f"{STORABLE} GME calls"}), encoding="ascii")
    with Path("in.ndjson").open(encoding="ascii") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)

        code, said = typed("annotate", "--executor", "threads")

    assert code == 0
    assert said.isascii()
    assert harmful(said) == set()
