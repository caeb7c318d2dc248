from __future__ import annotations

from pathlib import Path

import pytest

from api.pipeline import load_pipeline
from api.settings import SettingsError


def test_any_importable_list_of_tuples_is_a_pipeline() -> None:
    pipeline = load_pipeline("registries:QUICK")

    assert pipeline.name == "registries"
    assert pipeline.registry.states == ("first_note", "second_note")
    assert pipeline.schema[0].startswith("CREATE TABLE notes")


def test_the_current_directory_is_importable() -> None:
    Path("only_here.py").write_text("def work(conn, ctx): ...\nPHASES = [(1, 'Work', work)]\n")

    assert load_pipeline("only_here:PHASES").schema == ()


def test_our_own_pipeline_loads() -> None:
    pipeline = load_pipeline("phases:PHASES")

    assert len(pipeline.registry.phases) == 7
    assert pipeline.schema


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("nowhere:PHASES", "there is no module nowhere"),
        ("nowhere.deep:PHASES", "there is no module nowhere.deep"),
        ("registries:NOTHING", "the module registries has no NOTHING"),
        ("registries:EMPTY", "the list of phases is empty"),
        ("registries:note", "must be a list"),
        ("broken_syntax:PHASES", "importing broken_syntax raised SyntaxError"),
        (
            "broken_import:PHASES",
            "importing broken_import raised ModuleNotFoundError: No module named 'not_there'",
        ),
        ("broken_schema:PHASES", "SCHEMA must be a list of SQL texts"),
        ("text_schema:PHASES", "SCHEMA must be a list of SQL texts"),
    ],
)
def test_what_is_wrong_with_a_list_is_said_in_one_sentence(spec: str, said: str) -> None:
    Path("broken_syntax.py").write_text("PHASES = [(")
    Path("broken_import.py").write_text("import not_there")
    Path("broken_schema.py").write_text("PHASES = [(1, 'Work', print)]\nSCHEMA = [1]\n")
    Path("text_schema.py").write_text("PHASES = [(1, 'Work', print)]\nSCHEMA = 'CREATE TABLE t (x);'\n")

    with pytest.raises(SettingsError) as error:
        load_pipeline(spec)

    assert str(error.value).startswith(f"PHASES={spec}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
