"""The OpenAPI document: what every operation shares is added in one place.

The examples are answers of a run over the bundled sample, kept in `examples.json` by `tools/examples.py`.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.links import LINKS
from api.models import Problem
from api.problems import MEDIA_TYPE
from api.stream import EventStream

Operation = dict[str, Any]

EVERYWHERE: Final = {
    401: "the token is missing or wrong",
    403: "a foreign Host or Origin",
    500: "something went wrong here",
}
OF_FINDINGS: Final = {404: "there is no such record", 503: "the database is busy or can't be used"}
OF_RUNS: Final = {404: "there is no such run", 503: "the database is busy or can't be used"}
OF_BODIES: Final = {
    400: "cut short, or a quantity that can't be sold",
    413: "larger than 64 KiB",
    415: "not JSON",
}
EXTRA: Final[dict[str, dict[int, str]]] = {
    "analyze": {409: "another run is active", 503: "the database is busy, or there is no thread"},
    "cancel_run": {409: "the run has ended", **OF_RUNS},
    "resume_run": {409: "the run can't be resumed, or another run is active", **OF_RUNS},
    "close_position": {
        404: "there is no such position",
        409: "the position is closed",
        503: "the database is busy or can't be used, or the last price is too old: see Retry-After",
    },
    "get_diagram": {409: "the run was started with other phases", **OF_RUNS},
}
"""Further answers of single operations; the others have those of their tag."""
EVENT: Final = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
    "required": ["data"],
}
"""An event of a stream, as OpenAPI 3.2 describes them."""
OF_TAGS: Final = {"runs": OF_RUNS, "findings": OF_FINDINGS, "decisions": OF_FINDINGS, "service": {}}


def describe(app: FastAPI) -> None:
    """Give `app` its complete document, made when it is first asked for."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the way that FastAPI documents


def _document(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    components = schema.setdefault("components", {})
    components["schemas"]["Problem"] = Problem.model_json_schema()
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{}, {"token": []}]
    examples = json.loads(files("api").joinpath("examples.json").read_bytes())
    for path in schema["paths"].values():
        for method, operation in path.items():
            _show(operation, examples)
            _complete(operation, takes_body=method == "post")
    return schema


def _show(operation: Operation, examples: dict[str, Any]) -> None:
    """Add to the operation's success what it looked like once, and where it leads."""
    name = operation["operationId"]
    success = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
    kind, content = next(iter(success["content"].items()))
    if kind == EventStream.media_type:
        content.pop("schema")
        content["itemSchema"] = EVENT
    if name in examples:
        content["example"] = examples[name]
    if name in LINKS:
        success["links"] = dict(LINKS[name])


def _complete(operation: Operation, *, takes_body: bool) -> None:
    own = EXTRA.get(operation["operationId"], OF_TAGS[operation["tags"][0]])
    told = {**EVERYWHERE, **own, **(OF_BODIES if takes_body else {})}
    responses = operation["responses"]
    if "422" in responses:
        told[422] = "a parameter or the body does not fit"
    for status, description in told.items():
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        responses[str(status)] = {"description": description, "content": content}
