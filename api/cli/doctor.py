"""`phaseline doctor`: can this machine run an analysis, and what would a bug report have to say?"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, astuple, dataclass
from importlib.metadata import PackageNotFoundError, requires
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Final, Literal

import click

from api import plugins
from api.choices import source_problem
from api.cli.exits import Exit
from api.cli.options import json_option, settings, settings_flags
from api.cli.text import as_json, put, put_table
from api.model import host_of, model_problem
from api.pipeline import load_pipeline
from api.settings import Settings, SettingsError
from api.version import version
from statemachine.errors import PhaselineError
from statemachine.redaction import redactor
from statemachine.store import RunReader
from statemachine.verify import verify

FIXED_SQLITE: Final = (3, 51, 3)
ENOUGH_BYTES: Final = 200 * 2**20
OTHERS: Final = 0o077
Grade = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    grade: Grade
    said: str


@click.command()
@settings_flags("phases")
@json_option
def doctor(as_json_: bool) -> Exit:
    """Check that this machine can run an analysis.

    Looks at Python, SQLite, the phases, the database, its folder, the model and the plug-ins; exits with 1 if
    it can't. What it writes holds no secret, so that a bug report can have it whole.
    """
    of = settings()
    redact = redactor(of.secrets())
    checked = {name: check(of) for name, check in CHECKS.items()}
    found = [Finding(name, grade, redact(said)) for name, (grade, said) in checked.items()]
    found += [Finding(each.check, each.grade, redact(each.said)) for each in _plugins(of)]
    if as_json_:
        put(as_json([asdict(each) for each in found]))
    else:
        put_table("Doctor", ("check", "result", "what"), map(astuple, found))
    return Exit.FAILED if any(each.grade == "fail" for each in found) else Exit.OK


def _version(_of: Settings) -> tuple[Grade, str]:
    return "ok", f"phaseline {version()} on {platform.platform()}"


def _extras(_of: Settings) -> tuple[Grade, str]:
    """Tell each extra's packages; none of them is needed unless a setting asks for it, which others check."""
    wanted = (re.match(r"""([\w.-]+).*extra == ['"](\w+)""", each) for each in requires("phaseline") or ())
    told = [f"{match[2]}: {match[1]} {_installed(match[1])}" for match in wanted if match]
    return "ok", ", ".join(told) or "none known"


def _installed(package: str) -> str:
    try:
        return version_of(package)
    except PackageNotFoundError:
        return "is not installed"


def _python(_of: Settings) -> tuple[Grade, str]:
    return "ok", f"{sys.version.split()[0]} at {sys.executable}"


def _sqlite(_of: Settings) -> tuple[Grade, str]:
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info >= FIXED_SQLITE:
        return "ok", version
    return "warn", f"{version}; before 3.51.3 two connections may not checkpoint, so only one does here"


def _phases(of: Settings) -> tuple[Grade, str]:
    try:
        registry = load_pipeline(of.phases).registry
    except SettingsError as error:
        return "fail", str(error)
    return "ok", f"{of.phases}: {', '.join(phase.label for phase in registry.phases)}"


def _folder(of: Settings) -> tuple[Grade, str]:
    folder = next(path for path in of.db.resolve().parents if path.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        return "fail", f"{folder} can't be written; choose another place with PHASELINE_DB"
    free = shutil.disk_usage(folder).free
    said = f"{folder} has {free / 2**30:.1f} GiB free"
    return ("ok", said) if free >= ENOUGH_BYTES else ("warn", f"{said}, which may not be enough")


def _database(of: Settings) -> tuple[Grade, str]:
    if not of.db.exists():
        return "ok", f"{of.db} will be made by the first run"
    try:
        reader = RunReader(of.db)
        try:
            violations = verify(reader.conn)
            active = [run.id for run in reader.active()]
            (runs,) = reader.conn.execute("SELECT count(*) FROM analysis_runs").fetchone()
        finally:
            reader.close()
    except (PhaselineError, sqlite3.Error) as error:
        return "fail", str(error)
    if violations:
        return "fail", f"{len(violations)} violations; `phaseline verify` lists them"
    size = f"{of.db.stat().st_size / 2**20:.1f} MiB, {runs} runs"
    return "ok", f"{of.db} is sound: {size}; active runs: {', '.join(map(str, active)) or 'none'}"


def _privacy(of: Settings) -> tuple[Grade, str]:
    files = (path for path in (of.db, Path(f"{of.db}-key")) if path.exists())
    readable = [path for path in files if path.stat().st_mode & OTHERS]
    if readable:
        return "warn", f"others can read {', '.join(map(str, readable))}; chmod 600 them"
    return "ok", "only you can read the database and its key"


def _door(of: Settings) -> tuple[Grade, str]:
    try:
        of.require_safe_bind()
    except SettingsError as error:
        return "fail", str(error)
    return "ok", f"the server would listen on {of.host} port {of.port}{', with a token' if of.token else ''}"


def _reddit(of: Settings) -> tuple[Grade, str]:
    if problem := source_problem("reddit", of):
        return ("fail", problem) if of.source == "reddit" else ("ok", f"not in use: {problem}")
    if of.reddit_user_agent is None:
        return (
            "warn",
            "REDDIT_USER_AGENT is not set; Reddit's rule wants your name in it, such as (by /u/you)",
        )
    return "ok", f"the application {of.reddit_client_id} can be tried; it was not asked"


def _model(of: Settings) -> tuple[Grade, str]:
    if of.analyzer != "llm" and not (of.llm_base_url or of.llm_model):
        return "ok", "no model is set; the embedded analyzer needs none"
    if problem := model_problem(of):
        return "fail" if of.analyzer == "llm" else "warn", problem
    assert of.llm_base_url, "there was no problem"
    key = "with a key" if of.llm_api_key else "without a key"
    cap = f"at most ${of.llm_max_cost_usd:g} a run" if of.llm_max_cost_usd else "no cost cap"
    return "ok", f"{of.llm_model} at {host_of(of.llm_base_url)}, {key}, {cap}; not asked now"


def _prices_of(name: str) -> Callable[[Settings], tuple[Grade, str]]:
    def check(of: Settings) -> tuple[Grade, str]:
        from api.price_sources import readiness  # noqa: PLC0415  # other phases don't need the pipeline

        return readiness(name, of)

    return check


def _calendar(_of: Settings) -> tuple[Grade, str]:
    from phases.calendar import coverage  # noqa: PLC0415  # the same

    return "ok", coverage()


def _plugins(of: Settings) -> Iterator[Finding]:
    """Yield how each plug-in is; a broken one fails the check only where a setting asks for it."""
    in_use = dict(zip(plugins.KINDS, (of.phases, of.source, of.analyzer, of.prices), strict=True))
    scanned = plugins.scan()
    for plugin in scanned.plugins:
        asked_for = in_use[plugin.kind].partition(":")[0] == plugin.name
        problem = plugins.obstacle(plugin)
        grade: Grade = "ok" if problem is None else "fail" if asked_for else "warn"
        said = f"{plugin.package}, {plugin.target}"
        yield Finding(f"{plugin.kind} {plugin.name}", grade, problem or said)
    for said in scanned.unreadable:
        yield Finding("plug-ins", "warn", said)


CHECKS: Final[Mapping[str, Callable[[Settings], tuple[Grade, str]]]] = {
    "version": _version,
    "python": _python,
    "sqlite": _sqlite,
    "extras": _extras,
    "phases": _phases,
    "folder": _folder,
    "database": _database,
    "privacy": _privacy,
    "server": _door,
    "reddit": _reddit,
    "model": _model,
    "yfinance": _prices_of("yfinance"),
    "schwab": _prices_of("schwab"),
    "calendar": _calendar,
}
