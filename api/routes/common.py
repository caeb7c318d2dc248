"""What the routes' signatures are made of."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query
from starlette.requests import Request

from api.services import Services
from api.status import MAX_ID


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Shared = Annotated[Services, Depends(_services)]
"""The application's services."""

RunId = Annotated[int, Path(alias="run_id", ge=1, le=MAX_ID)]
Id = Annotated[int, Path(ge=1, le=MAX_ID)]
Cursor = Annotated[int | None, Query(ge=0, le=MAX_ID, description="`next_cursor` of the part before")]
Limit = Annotated[int, Query(ge=1, le=500, description="most items of this part")]
