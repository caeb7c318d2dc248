"""Errors as RFC 9457 `application/problem+json`: one table from exceptions to answers."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.closing import AlreadyClosed, BadQuantity, NoPrice, NoSuchPosition
from api.headers import SECURITY_HEADERS
from api.params import BadParam
from statemachine.connection import is_busy
from statemachine.errors import (
    AlreadyRunning,
    DatabaseUnusable,
    ForeignRegistry,
    IllegalTransition,
    KeyReused,
    RunNotFound,
    RunOwned,
    StoreBusy,
    ThreadUnavailable,
)

MEDIA_TYPE: Final = "application/problem+json"
_log = logging.getLogger(__name__)


class NotFound(Exception):
    """What was asked for does not exist; the message says what it was."""


class Unavailable(Exception):
    """The server can't do this for now; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How an exception is told."""

    status: int
    code: str
    members: Callable[[Any], Mapping[str, object]] = lambda _: {}
    """Further members of the problem, from the exception."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


_SOON: Final = {"retry-after": "2"}
_AFTER_A_RUN: Final = {"retry-after": "60"}


def _invalid(error: RequestValidationError) -> dict[str, object]:
    return {"errors": [{"loc": list(each["loc"]), "msg": each["msg"]} for each in error.errors()]}


def _transition(error: IllegalTransition) -> dict[str, object]:
    return {"state": error.state, "trigger": error.trigger, "allowed": list(error.allowed)}


ANSWERS: Final[Mapping[type[Exception], Answer]] = {
    RequestValidationError: Answer(422, "validation_error", _invalid),
    BadParam: Answer(422, "validation_error", lambda error: {"errors": error.errors}),
    NotFound: Answer(404, "not_found"),
    RunNotFound: Answer(404, "not_found"),
    AlreadyRunning: Answer(
        409, "analysis_already_running", lambda error: {"active_run_id": error.active_run_id}
    ),
    IllegalTransition: Answer(409, "illegal_transition", _transition),
    ForeignRegistry: Answer(409, "foreign_registry"),
    RunOwned: Answer(409, "run_owned"),
    KeyReused: Answer(422, "idempotency_key_reused"),
    StoreBusy: Answer(503, "store_busy", headers=_SOON),
    DatabaseUnusable: Answer(503, "database_unusable", headers=_SOON),
    ThreadUnavailable: Answer(503, "no_thread", headers=_SOON),
    BadQuantity: Answer(400, "bad_quantity"),
    NoSuchPosition: Answer(404, "not_found"),
    AlreadyClosed: Answer(409, "position_closed"),
    NoPrice: Answer(503, "no_price", headers=_AFTER_A_RUN),
    Unavailable: Answer(503, "unavailable", headers=_SOON),
}
_CODES: Final = {404: "not_found", 405: "method_not_allowed", 400: "bad_request"}


def problem(
    status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: object
) -> Response:
    """Return a problem as a response."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    return Response(orjson.dumps(body | members), status, dict(headers or {}), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make `app` answer every exception from the table."""
    for kind in ANSWERS:
        app.add_exception_handler(kind, _told)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(sqlite3.OperationalError, _database)
    app.add_exception_handler(Exception, _unexpected)


async def _told(_request: Request, error: Exception) -> Response:
    answer = next(ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS)
    members = dict(answer.members(error))
    return problem(answer.status, answer.code, _detail(error), headers=answer.headers, **members)


def _detail(error: Exception) -> str:
    if not isinstance(error, RequestValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for it"
    path = request.url.path[:200]
    said = {
        404: f"there is nothing at {path}; /openapi.json lists what there is",
        405: f"{path} does not take {request.method}; the header Allow says what it takes",
    }
    detail = said.get(error.status_code, error.detail)
    code = _CODES.get(error.status_code, "http_error")
    return problem(error.status_code, code, detail, headers=error.headers)


async def _database(request: Request, error: Exception) -> Response:
    if isinstance(error, sqlite3.OperationalError) and is_busy(error):
        return await _told(request, StoreBusy("the database is busy; try again in a moment"))
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return await _unexpected(request, error)


async def _unexpected(_request: Request, _error: Exception) -> Response:
    said = "something went wrong here; the server's log says what"
    # Starlette answers this outside of all middleware, the one that adds the headers included.
    return problem(500, "internal_error", said, headers=SECURITY_HEADERS)
