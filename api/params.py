"""What a run is told: everything that decides its outcome, pinned when it is created.

A run may go on in another process, days later and with other settings, so it takes its subreddit, source,
analyzer, prices and instant along in `params`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from api import plugins
from api.choices import ARCHIVE, analyzer_problem, source_problem
from api.settings import Settings, instant
from statemachine.clock import stamp
from statemachine.contract import Json

SUFFIXES: Final = (".ndjson", ".jsonl", ".json", ".zst", ".gz")
MAX_PARAMS: Final = 100
RESERVED: Final = ("subreddit", "source", "analyzer", "prices", "options")
CSV: Final = "csv:"
PRICES: Final = ("sample", "yfinance", "schwab")


class BadParam(ValueError):
    """What was asked is well-formed but can't be used; the message names the field and says what to do."""

    def __init__(self, where: str, said: str) -> None:
        super().__init__(f"{where}: {said}")
        self.errors = [{"loc": where.split("."), "msg": said}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the caller asked for; `None` leaves it to the settings."""

    subreddit: str | None = None
    source: str | None = None
    analyzer: str | None = None
    params: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Told to the phases as they are. `as_of` among them is the instant that the run pretends it is."""

    def as_request(self) -> dict[str, Any]:
        """Return what an idempotency key stands for: the request, without what was filled in."""
        return asdict(self)


def pin(asked: Asked, settings: Settings, now: datetime) -> dict[str, Json]:
    """Return the run's params; raise `BadParam` for what can't be used."""
    taken = next((name for name in RESERVED if name in asked.params), None)
    if taken is not None:
        raise BadParam(f"params.{taken}", f"say {taken} beside params, or set it, not inside params")
    if len(asked.params) > MAX_PARAMS:
        raise BadParam("params", f"there are {len(asked.params)} of them; at most {MAX_PARAMS} are taken")
    source = _source(asked.source or settings.source, settings)
    return {
        **asked.params,
        "subreddit": asked.subreddit or settings.subreddit,
        "source": source,
        "analyzer": _analyzer(asked.analyzer or settings.analyzer, settings),
        "prices": _prices(settings.prices),
        "options": _options(settings.options or ("sample" if source == "sample" else "none")),
        "as_of": stamp(_as_of(asked.params.get("as_of")) or settings.as_of or _natural(source, now)),
    }


def _as_of(value: Json) -> datetime | None:
    try:
        at = instant(value)
    except ValueError as error:
        raise BadParam("params.as_of", str(error)) from error
    assert at is None or isinstance(at, datetime), "as `instant` says"
    return at


def _natural(source: str, now: datetime) -> datetime:
    """Return the instant that a source is about: the sample its own, everything else now."""
    if source != "sample":
        return now
    from phases.sample import SAMPLE_AS_OF  # noqa: PLC0415  # the pipeline is imported where it is used

    return SAMPLE_AS_OF


def _source(named: str, settings: Settings) -> str:
    if named.startswith(ARCHIVE):
        paths = [_archive(part) for part in named.removeprefix(ARCHIVE).split(",")]
        _check_archives(paths)
        return ARCHIVE + ",".join(str(path) for path in paths)
    if problem := source_problem(named, settings):
        raise BadParam("source", problem)
    return named


def _archive(named: str) -> Path:
    path = Path(named.strip())
    if not path.name.lower().endswith(SUFFIXES):
        raise BadParam("source", f"{named!r} is no archive; its name must end in {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise BadParam("source", f"there is no file {named!r}")
    return path.resolve()  # the run may go on in a process that was started elsewhere


def _check_archives(paths: list[Path]) -> None:
    from phases.sources.archive import check  # noqa: PLC0415  # the pipeline is imported where it is used
    from phases.tools import SourceUnavailable  # noqa: PLC0415  # the same

    try:
        check(paths)
    except SourceUnavailable as error:
        raise BadParam("source", str(error)) from error


def _analyzer(named: str, settings: Settings) -> str:
    if problem := analyzer_problem(named, settings):
        raise BadParam("analyzer", problem)
    return named


def _prices(named: str) -> str:
    if not named.startswith(CSV):
        if named not in PRICES and (problem := plugins.problem("prices", named)):
            raise BadParam("prices", problem)
        return named
    path = Path(named.removeprefix(CSV))
    if not path.is_file():
        raise BadParam("prices", f"there is no file {str(path)!r}; correct PHASELINE_PRICES")
    return CSV + str(path.resolve())


def _options(named: str) -> str:
    if not named.startswith(CSV):
        return named
    paths = [Path(part.strip()) for part in named.removeprefix(CSV).split(",")]
    for path in paths:
        if not path.exists():
            raise BadParam("options", f"there is no file or folder {str(path)!r}; correct PHASELINE_OPTIONS")
    return CSV + ",".join(str(path.resolve()) for path in paths)
