"""What a run may be asked to read from and be read by, and what keeps each of them from being used.

Whoever starts a run checks against this, and whoever offers a choice lists it: there is no second list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from api import plugins
from api.model import model_problem
from api.settings import Settings
from statemachine.redaction import redactor

SOURCES: Final = {
    "sample": "bundled and made up, takes seconds",
    "reddit": "live, read-only",
}
"""Our own sources that are asked for by their name alone, and what each is."""
ANALYZERS: Final = {
    "lexicon": "embedded, offline",
    "llm": "a model at any OpenAI-compatible server",
}
ARCHIVE: Final = "archive:"
PATHS: Final = "PATH[,PATH...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A source or an analyser that can be named in a request."""

    name: str
    summary: str
    """What it is, in a few words."""
    argument: str | None = None
    """What follows its name after a colon; `None` where nothing does."""
    needs_argument: bool = False
    package: str | None = None
    """Name and version of the package that offers it; `None` for our own."""
    problem: str | None = None
    """Why it can't be used and what to do; `None` where nothing is known to be in the way."""


def source_problem(name: str, settings: Settings) -> str | None:
    """Return what keeps the source of that name from being read; nothing is asked of it."""
    if name == "reddit":
        return _reddit_problem(settings)
    return None if name in SOURCES else plugins.problem("sources", name)


def analyzer_problem(name: str, settings: Settings) -> str | None:
    """Return what keeps the analyser of that name from answering; nothing is asked of it."""
    if name == "llm":
        return model_problem(settings)
    return None if name in ANALYZERS else plugins.problem("analyzers", name)


def sources(settings: Settings) -> list[Choice]:
    """Return every source that this installation has."""
    ours = [
        Choice(name=name, summary=said, problem=source_problem(name, settings))
        for name, said in SOURCES.items()
    ]
    archive = Choice(
        name=ARCHIVE.rstrip(":"),
        summary="posts and comments as NDJSON, .zst or .gz, in files that the server can read",
        argument=PATHS,
        needs_argument=True,
    )
    return _without_secrets([*ours, archive, *_plugged("sources")], settings)


def analyzers(settings: Settings) -> list[Choice]:
    """Return every analyser that this installation has."""
    ours = [
        Choice(name=name, summary=said, problem=analyzer_problem(name, settings))
        for name, said in ANALYZERS.items()
    ]
    return _without_secrets([*ours, *_plugged("analyzers")], settings)


def _reddit_problem(settings: Settings) -> str | None:
    from phases.sources.reddit_app import check  # noqa: PLC0415  # the pipeline is imported where it is used
    from phases.tools import SourceUnavailable  # noqa: PLC0415  # the same

    try:
        check(settings.reddit_client_id, settings.reddit_client_secret is not None)
    except SourceUnavailable as error:
        return str(error)
    return None


def _plugged(kind: plugins.Kind) -> Iterator[Choice]:
    for plugin in plugins.scan().plugins:
        if plugin.kind == kind:
            yield Choice(
                name=plugin.name,
                summary=f"of {plugin.package}",
                argument="ARGUMENT",
                package=plugin.package,
                problem=plugins.obstacle(plugin),
            )


def _without_secrets(found: list[Choice], settings: Settings) -> list[Choice]:
    """Redact the reasons: those of plug-ins quote errors of somebody else's code."""
    redact = redactor(settings.secrets())
    return [each if each.problem is None else replace(each, problem=redact(each.problem)) for each in found]
