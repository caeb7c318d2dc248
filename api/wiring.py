"""The composition root: from settings to a runner, and from a run's params to its tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

from api.pipeline import Pipeline
from api.settings import Settings
from statemachine.contract import Clock, Json
from statemachine.driver import ToolsFactory
from statemachine.live import Limits
from statemachine.runner import Runner


def open_runner(
    settings: Settings,
    pipeline: Pipeline,
    clock: Clock | None = None,
    *,
    tools: ToolsFactory | None = None,
    parts: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Runner:
    """Open the database and return what runs the pipeline on it; raises `DatabaseUnusable`.

    Args:
        settings: Where the database is, and how runs are driven.
        pipeline: What they run.
        clock: Where time comes from.
        tools: Makes a run's outside world of its params, where that isn't what the params alone say.
        parts: Further tables, as `Runner` takes them.
    """
    return Runner(
        settings.db,
        pipeline.registry,
        tools=tools or (lambda params: Deferred(lambda: _build_tools(params, settings))),
        limits=Limits(
            soft_s=settings.soft_limit_s,
            hard_s=settings.hard_limit_s,
            abandon_after_s=settings.abandon_after_s,
            stop_grace_s=settings.stop_grace_s,
        ),
        max_active_runs=settings.max_active_runs,
        recovery=settings.recovery,
        max_attempts=settings.max_attempts,
        shutdown=settings.shutdown,
        executor=settings.executor,
        schema={**({pipeline.name: pipeline.schema} if pipeline.schema else {}), **parts},
        clock=clock,
        secrets=settings.secrets(),
    )


class Deferred:
    """Stands for the tools until a phase first asks for one of them.

    Phases that need none (a list of somebody else's) then start without importing the pipeline, and what
    can't be built fails the phase that wanted it, with its message.
    """

    def __init__(self, build: Callable[[], object]) -> None:
        self._build = build

    @cached_property
    def _tools(self) -> object:
        return self._build()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tools, name)


def _build_tools(params: Mapping[str, Json], settings: Settings) -> object:
    from api.toolbox import build_tools  # noqa: PLC0415  # it imports the pipeline, which other phases don't need

    return build_tools(params, settings)
