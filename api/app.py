"""The application: `create_app` puts settings, runner, door and routes together.

`api.app:create_app` is a factory for any ASGI server; `phaseline serve` is the one that ends well (see
`server.py`).
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from api import problems
from api.compression import Compression
from api.lifespan import lifespan
from api.models import RunStatus
from api.openapi import describe
from api.pipeline import Pipeline, load_pipeline
from api.routes import decisions, findings, page, runs, service
from api.security import Door
from api.services import Services
from api.settings import Settings, load
from api.status import add_status_route
from api.traces import traces_of
from api.version import version
from statemachine.clock import SystemClock
from statemachine.contract import Clock
from statemachine.runner import Runner

NO_TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
}
"""Asking for a provider, whether there is one or not, costs each request."""


def create_app(
    settings: Settings | None = None, *, runner: Runner | None = None, clock: Clock | None = None
) -> FastAPI:
    """Return the application; nothing is opened before its start or its first request.

    Args:
        settings: By default those of the environment and the settings file.
        runner: Use this one and leave it open at the end; by default one is made from the settings.
        clock: Where time comes from; the computer's own by default.

    Raises:
        SettingsError: The settings, or the list of phases that they name, can't be used.
    """
    settings = settings or load()
    settings.require_safe_bind()
    pipeline = load_pipeline(settings.phases) if runner is None else Pipeline("runner", runner.registry)
    traces = traces_of(settings)
    services = Services(settings, pipeline, clock or SystemClock(), runner, traces=traces)
    app = FastAPI(
        title="Phaseline",
        summary="Long analyses as durable state machines.",
        version=version(),
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from elsewhere; /openapi.json is all that tools need
        redoc_url=None,
        telemetry=NO_TELEMETRY if traces is None else {**NO_TELEMETRY, **traces.of_requests},
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.services = services
    app.add_middleware(Compression)
    app.add_middleware(Door, settings=settings)  # added last, so it is the outermost
    problems.install(app)
    for routes in (page, service, runs, findings, decisions):
        app.include_router(routes.router)
    add_status_route(app, services, response_model=RunStatus, tags=["runs"])
    describe(app)
    return app
