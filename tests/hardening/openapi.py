"""Requests made up from our own OpenAPI document, right and wrong ones, and what is asked of every answer.

`python -m tests.hardening.openapi --cases 10000` asks so many and tells what came back; the same ones each
time, so that a failure is of a change. It ends with 1 where an answer was not as documented.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app
from api.settings import Settings
from tests.api.world import until_idle

CHECKS: Final[list[Any]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
load_all_checks()

SCHEMA = schemathesis.openapi.from_dict(create_app(Settings(db=Path("unused.db"))).openapi())
OPERATIONS = {
    f"{operation.method.upper()} {operation.path}": operation
    for operation in (result.ok() for result in SCHEMA.get_all_operations())
}

BY_ID = {operation.definition.raw["operationId"]: operation for operation in OPERATIONS.values()}
STARTS: Final = ("POST /analyze", "GET /runs", "GET /signals", "GET /positions")
"""Where links begin that need no parameters."""


def _takes_anything(operation: Any) -> bool:
    """Return whether there is something to get wrong."""
    return bool(operation.body) or any(True for _ in operation.iter_parameters())


KINDS: Final = [
    (name, mode)
    for name, operation in OPERATIONS.items()
    for mode in GenerationMode
    if mode == GenerationMode.POSITIVE or _takes_anything(operation)
]
"""Each operation, asked rightly and, where that can be, wrongly."""


@contextmanager
def serving() -> Iterator[TestClient]:
    """Serve the real pipeline, whose sample was analysed once, so that there is something to answer."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        of = Settings(db=Path(folder) / "runs.db", executor="threads", max_active_runs=3)
        with TestClient(create_app(of), raise_server_exceptions=False) as client:
            client.post("/analyze")
            until_idle(client)
            assert client.get("/signals").json()["items"]
            yield client


def ask(client: TestClient, name: str, mode: GenerationMode, cases: int) -> Counter[int]:
    """Ask up to `cases` requests of one kind; raise at an answer that is not as documented.

    Returns:
        How many answers had which status.
    """
    answers = Counter[int]()

    @settings(
        max_examples=cases,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[name].as_strategy(generation_mode=mode))
    def one(case: schemathesis.Case) -> None:
        answer = _answer(client, case)
        answers[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    one()
    return answers


def _answer(client: TestClient, case: schemathesis.Case) -> Any:
    sent = case.as_transport_kwargs(base_url="http://testserver")
    sent.pop("cookies")
    sent["content"] = sent.pop("data", None)
    return client.request(**sent)


def follow_links(client: TestClient) -> dict[tuple[str, str], int]:
    """Follow each link of the document once, from what needs no parameters on; raise as `ask` does.

    Returns:
        The status to which each link led, by operation and name. A link to nowhere (the part after the last
        one) is not followed.
    """
    led: dict[tuple[str, str], int] = {}
    waiting: list[tuple[tuple[str, str] | None, Any]] = [(None, OPERATIONS[name].Case()) for name in STARTS]
    for came_by, case in waiting:  # it grows meanwhile
        answer = _answer(client, case)
        case.validate_response(answer, checks=CHECKS)
        if came_by is not None:
            led[came_by] = answer.status_code
        known = {link for link, _ in waiting}
        waiting += [(link, next_) for link, next_ in _links(case, answer) if link not in known]
    return led


def _links(case: schemathesis.Case, answer: Any) -> Iterator[tuple[tuple[str, str], Any]]:
    operation = case.operation.definition.raw
    for name, link in operation["responses"][str(answer.status_code)].get("links", {}).items():
        target = BY_ID[link["operationId"]]
        values = {to: _value(said, case, answer) for to, said in link["parameters"].items()}
        if None not in values.values():
            of_path = {each.name for each in target.path_parameters}
            yield (
                (operation["operationId"], name),
                target.Case(
                    path_parameters={to: value for to, value in values.items() if to in of_path},
                    query={to: value for to, value in values.items() if to not in of_path},
                    **({"body": {"reason": "the link led here"}} if target.body else {}),
                ),
            )


def _value(expression: str, case: schemathesis.Case, answer: Any) -> Any:
    """Return what a runtime expression of OpenAPI stands for."""
    if expression.startswith("$request.path."):
        return case.path_parameters[expression.removeprefix("$request.path.")]
    value = answer.json()
    for step in expression.removeprefix("$response.body#/").split("/"):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def main() -> int:
    """Ask as many requests as are wanted, of each kind alike; those that take nothing are soon exhausted."""
    parser = argparse.ArgumentParser(prog="python -m tests.hardening.openapi", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="at least so many (default: %(default)s)")
    wanted = parser.parse_args().cases
    answers, failures = Counter[int](), 0
    kinds = [kind for kind in KINDS if _takes_anything(OPERATIONS[kind[0]])]
    with serving() as client:
        for name, mode in KINDS:
            try:
                answers += ask(client, name, mode, -(-wanted // len(kinds)))
            except Exception as error:  # noqa: BLE001  # told, and the others are tried all the same
                failures += 1
                sys.stdout.write(f"{mode.value} {name}: {type(error).__name__}: {error}\n")
        led = follow_links(client)
    told = ", ".join(f"{status}: {count:,}" for status, count in sorted(answers.items()))
    sys.stdout.write(f"{answers.total():,} requests of {len(KINDS)} kinds ({told}); ")
    sys.stdout.write(
        f"{len(led)} links followed; {failures} kinds with an answer that is not as documented\n"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
