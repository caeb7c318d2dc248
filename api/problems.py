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
)

MEDIA_TYPE: Final = "application/problem+json"
_log = logging.getLogger(__name__)


class BadRequest(Exception):
    """A field of a request is well-formed but can't be used; the message names it and says what to do."""

    def __init__(self, where: str, said: str) -> None:
        super().__init__(f"{where}: {said}")
        self.errors = [{"loc": where.split("."), "msg": said}]


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


def _invalid(error: RequestValidationError) -> dict[str, object]:
    return {"errors": [{"loc": list(each["loc"]), "msg": each["msg"]} for each in error.errors()]}


def _transition(error: IllegalTransition) -> dict[str, object]:
    return {"state": error.state, "trigger": error.trigger, "allowed": list(error.allowed)}


ANSWERS: Final[Mapping[type[Exception], Answer]] = {
    RequestValidationError: Answer(422, "validation_error", _invalid),
    BadRequest: Answer(422, "validation_error", lambda error: {"errors": error.errors}),
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
    detail = "the request does not fit" if isinstance(error, RequestValidationError) else str(error)
    return problem(answer.status, answer.code, detail, headers=answer.headers, **dict(answer.members(error)))


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for it"
    code = _CODES.get(error.status_code, "http_error")
    return problem(error.status_code, code, error.detail, headers=error.headers)


async def _database(request: Request, error: Exception) -> Response:
    if isinstance(error, sqlite3.OperationalError) and is_busy(error):
        return await _told(request, StoreBusy("the database is busy; try again in a moment"))
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return await _unexpected(request, error)


async def _unexpected(_request: Request, _error: Exception) -> Response:
    return problem(500, "internal_error", "something went wrong here; the server's log says what")
