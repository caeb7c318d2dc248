"""The OpenAPI document: what it shows is so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from api.app import create_app
from api.links import LINKS
from api.settings import Settings
from tools.examples import examples

DOCUMENT = create_app(Settings(db=Path("unused.db"))).openapi()
OPERATIONS = {
    operation["operationId"]: operation for path in DOCUMENT["paths"].values() for operation in path.values()
}


def success(operation_id: str) -> dict[str, Any]:
    """Return what is told of the answer that one hopes for."""
    responses: dict[str, dict[str, Any]] = OPERATIONS[operation_id]["responses"]
    return next(answer for status, answer in responses.items() if status.startswith("2"))


def names_in(value: Any) -> Any:
    """Return the names of members, without what they say."""
    if isinstance(value, list):
        return [names_in(each) for each in value]
    return {name: names_in(each) for name, each in value.items()} if isinstance(value, dict) else None


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_what_an_answer_may_look_like_fits_its_schema(operation_id: str) -> None:
    content = next(iter(success(operation_id)["content"].values()))
    schema = content.get("schema", {"type": "string"})  # an event stream describes its events, not the text

    assert "example" in content, "run `python tools/examples.py`"
    assert '"items": []' not in json.dumps(content["example"]), "a list without items shows nothing"
    jsonschema_rs.validate({**schema, "components": DOCUMENT["components"]}, content["example"])


@pytest.mark.slow
def test_the_examples_are_what_a_run_over_the_sample_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    made = examples()
    shown = {name: next(iter(success(name)["content"].values()))["example"] for name in OPERATIONS}

    assert names_in(shown) == names_in(made), "run `python tools/examples.py`, then `python tools/openapi.py`"


@pytest.mark.parametrize(
    ("source", "name"), [(source, name) for source, links in LINKS.items() for name in links]
)
def test_a_link_names_an_operation_its_parameters_and_members_of_the_answer(source: str, name: str) -> None:
    link = success(source)["links"][name]
    parameters = {each["name"]: each for each in OPERATIONS[link["operationId"]].get("parameters", [])}
    shown = next(iter(success(source)["content"].values()))["example"]

    assert re.fullmatch(r"[a-z_]+", name)
    assert set(link["parameters"]) <= set(parameters)
    assert {each for each in parameters if parameters[each]["required"]} <= set(link["parameters"])
    for expression in link["parameters"].values():
        if expression.startswith("$response.body#/"):
            assert member(shown, expression.removeprefix("$response.body#/")) is not ...


def member(value: Any, pointer: str) -> Any:
    """Return what stands at a pointer, or `...` where there is nothing."""
    for step in pointer.split("/"):
        value = value[0] if isinstance(value, list) else value.get(step, ...)
    return value
