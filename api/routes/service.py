"""The service itself: alive, ready, measured."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, PlainTextResponse, Response

from api.choices import analyzers, sources
from api.metrics import prometheus
from api.models import Choices, Health, Readiness
from api.routes.common import Shared

router = APIRouter(tags=["service"])


@router.get("/healthz", response_model=Health)
async def get_health() -> dict[str, str]:
    """Say that the process is up; needs no token and touches nothing."""
    return {"status": "ok"}


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
def get_readiness(services: Shared) -> Response:
    """Say whether this process can take work: the database opens, and the server is not stopping."""
    readiness: dict[str, Any] = services.runner.readiness()
    with services.reading() as reader:
        reader.active()
    readiness["ready"] = readiness["ready"] and not services.closing
    return JSONResponse(readiness, 200 if readiness["ready"] else 503)


@router.get("/choices", response_model=Choices)
def list_choices(services: Shared) -> dict[str, Any]:
    """List the sources and analysers of this installation, and what keeps each from being used."""
    of = services.settings
    return {
        "sources": [asdict(each) for each in sources(of)],
        "analyzers": [asdict(each) for each in analyzers(of)],
        "defaults": {
            "subreddit": of.subreddit,
            "source": of.source.partition(":")[0],
            "analyzer": of.analyzer.partition(":")[0],
        },
    }


@router.get("/metrics", response_class=PlainTextResponse)
def get_metrics(services: Shared) -> Response:
    """Return figures in the text format of Prometheus."""
    with services.reading() as reader:
        text = prometheus(
            reader,
            services.history,
            services.runner.readiness(),
            db=services.runner.db,
            streams=services.streams,
        )
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
