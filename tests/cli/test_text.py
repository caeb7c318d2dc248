from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cli.follow import Bar, Lines, exit_code, phases_done
from api.cli.text import as_json, clean, put_table

ANYTHING = st.text(st.characters(exclude_categories=[]))
STATUS = {
    "run_id": 1, "status": "running", "progress_current": 2, "progress_total": 4, "phase_label": "Work",
    "step_current": 5, "step_total": 10, "step_unit": "item", "error_code": None,
}  # fmt: skip


@given(ANYTHING)
def test_nothing_that_moves_a_terminal_survives(text: str) -> None:
    cleaned = clean(text)

    assert not any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in cleaned)
    assert not set(cleaned) & set("\u202e\u2066\u200b\ufeff")


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_harmless_text_is_left_as_it_is(text: str) -> None:
    assert clean(text) == text


@given(ANYTHING, st.integers(1, 50))
def test_a_width_is_kept(text: str, width: int) -> None:
    assert len(clean(text, width)) <= width


@given(st.dictionaries(ANYTHING, ANYTHING))
def test_json_for_terminals_is_ascii_and_means_the_same(value: dict[str, str]) -> None:
    written = as_json(value)

    assert written.isascii()
    assert json.loads(written) == value


def test_a_table_in_a_terminal_shows_markup_as_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")

    put_table("Things", ("name",), [("[red]not red[/red]\x1b[31m",)])

    out = capsys.readouterr().out
    assert "[red]not red[/red]" in out
    assert "\x1b[31m" not in out


def test_progress_never_goes_back_within_a_run() -> None:
    before = phases_done({**STATUS, "progress_current": 2, "step_current": 10})
    after = phases_done({**STATUS, "progress_current": 3, "step_current": None})

    assert (before, after) == (2.0, 2.0)
    assert phases_done({**STATUS, "step_current": 99}) == 2.0
    assert phases_done({**STATUS, "status": "completed"}) == 4.0


def test_the_bar_shows_where_a_run_is(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar() as bar:
        bar.show(STATUS)

    assert "run 1: 2/4 Work" in capsys.readouterr().err


def test_lines_say_each_thing_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()

    for step in (1, 2, 3):
        lines.show({**STATUS, "step_current": step})
    lines.show({**STATUS, "status": "failed"})

    assert capsys.readouterr().err.splitlines() == ["run 1: 2/4 Work", "run 1: failed"]


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (
            [(1, "running"), (4, "running"), (4, "completed")],
            ["1/4 a", "2/4 b", "3/4 c", "4/4 d", "completed"],
        ),
        ([(4, "completed")], ["1/4 a", "2/4 b", "3/4 c", "4/4 d", "completed"]),
        ([(3, "failed")], ["1/4 a", "2/4 b", "3/4 c", "failed"]),
        ([(1, "running"), (1, "running"), (2, "running")], ["1/4 a", "2/4 b"]),
    ],
)
def test_no_phase_goes_unsaid_however_quick(
    capsys: pytest.CaptureFixture[str], shown: list[tuple[int, str]], said: list[str]
) -> None:
    lines = Lines("abcd", 1)

    for position, status in shown:
        label = "abcd"[position - 1]
        lines.show({**STATUS, "progress_current": position, "status": status, "phase_label": label})

    assert capsys.readouterr().err.splitlines() == [f"run 1: {line}" for line in said]


@pytest.mark.parametrize(
    ("status", "error_code", "expected"),
    [
        ("completed", None, 0),
        ("failed", "error", 1),
        ("failed", "timeout", 1),
        ("failed", "cancelled", 3),
        ("running", None, 130),
    ],
)
def test_a_runs_end_has_its_exit_code(status: str, error_code: str | None, expected: int) -> None:
    assert exit_code({**STATUS, "status": status, "error_code": error_code}) == expected
