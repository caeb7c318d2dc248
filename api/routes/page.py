"""The page: static files, open without a token; what they show they ask of the API like everybody else."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import RedirectResponse, Response

from api.compression import takes_gzip
from api.page import page_file
from api.problems import problem

router = APIRouter(include_in_schema=False)

Encodings = Annotated[str, Header(alias="accept-encoding")]
Known = Annotated[str, Header(alias="if-none-match")]


@router.get("/")
@router.get("/ui")
async def to_page() -> Response:
    """Lead to the page."""
    return RedirectResponse("/ui/")


@router.get("/ui/{path:path}")
async def get_page(path: str, encodings: Encodings = "", known: Known = "") -> Response:
    """Return a file of the page, or the page itself for an address inside it."""
    found = page_file(path)
    if found is None:
        return problem(404, "not_found", "the page has no such file; reload it")
    if found.headers["etag"] in known:
        return Response(status_code=304, headers=found.headers)
    if takes_gzip(encodings):
        return Response(found.compressed, headers={**found.headers, "content-encoding": "gzip"})
    return Response(found.content, headers=found.headers)
