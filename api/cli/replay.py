"""`phaseline replay`: an archive played day by day, and `phaseline replay report`: what came of it."""

from __future__ import annotations

import json
import random  # noqa: TID251  # made here with its seed, and passed in
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from api.choices import ARCHIVE
from api.cli.analyze import object_of
from api.cli.days import Days
from api.cli.driving import drive, running, tell_end
from api.cli.exits import BadInput, Exit, Mistake, NothingThere
from api.cli.follow import Status, exit_code
from api.cli.options import given_flags, json_option, settings, settings_flags
from api.cli.text import put, say
from api.files import replacing
from api.params import Asked, pin
from api.replay.ledger import BadRule, Ledger, NotThisReplay, refuse_ordinary
from api.replay.outcome import read_outcome
from api.replay.page import markdown
from api.replay.picture import equity
from api.replay.plan import OPENING, Moment, Plan, moments
from api.replay.player import Player, Toolmaker, open_replay, workplace
from api.replay.slices import SlicedArchive, cut
from api.settings import Settings, origins
from phases.calendar import ExchangeCalendar, OutsideCalendar
from phases.fetch_reddit import lookback
from phases.sources.archive import ArchiveSource
from phases.stamps import stamp
from phases.tools import SourceUnavailable
from statemachine.clock import SystemClock
from statemachine.store import Run

ReturnT = TypeVar("ReturnT")
DB: Final = Path("data/replay.db")
LIVE: Final = ("reddit", "yfinance", "schwab")
"""What can't be asked how things stood on a day of the past."""


class Clock(click.ParamType[time]):
    """A time of day, as 15:45."""

    name = "HH:MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> time:
        """Return the time."""
        try:
            return value if isinstance(value, time) else datetime.strptime(value, "%H:%M").time()  # noqa: DTZ007  # a time of day in New York
        except ValueError:
            self.fail(f"{value!r} is no time of day; write it as 15:45", param, ctx)


output_option = click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder for the report: report.md, equity.svg and report.json.",
)
seed_option = click.option(
    "--seed", type=int, default=7, show_default=True, help="Where the bootstrap's chance begins."
)
DAY: Final = click.DateTime(formats=["%Y-%m-%d"])


@click.group(invoke_without_command=True)
@settings_flags("source", "subreddit", "analyzer", "prices", "options", "executor")
@click.option("--from", "start", type=DAY, metavar="DAY", help="First day, as 2021-01-19.")
@click.option("--to", "end", type=DAY, metavar="DAY", help="Last day.")
@click.option(
    "--at",
    type=Clock(),
    multiple=True,
    help="When to look on each trading day, New York time; may be repeated. By default 09:30, the opening.",
)
@click.option("--benchmark", metavar="SYMBOL", default="SPY", show_default=True, help="What to compare with.")
@click.option("--set", "rules", metavar="RULE=VALUE", multiple=True, help="Change a rule of the pipeline.")
@click.option(
    "--params", "params_text", metavar="JSON", default="{}", help="An object that is told to the phases."
)
@output_option
@seed_option
@json_option
def replay(output: Path | None, seed: int, as_json_: bool, **asked: Any) -> Exit | None:
    """Play an archive day by day, as of each day, and report what came of it.

    Each trading day is one ordinary run, or more, in a database of the replay's own (data/replay.db). Nothing
    later than its instant is read. The same command goes on where an earlier one was stopped or killed.
    """
    if click.get_current_context().invoked_subcommand:
        return None
    if asked["start"] is None or asked["end"] is None:
        raise click.UsageError("say which days: --from 2021-01-19 --to 2021-02-05")
    of = replay_settings()
    plan = _plan(of, **asked)
    ahead = _moments(plan)
    stopped = _told(lambda: _played(of, plan, ahead))
    if stopped is None:
        return _put_outcome(of.db, output, seed, as_json_=as_json_)
    tell_end(stopped)
    say("the same command goes on from there")
    return exit_code(stopped)


def replay_settings() -> Settings:
    """Return the settings, with the replay's own database where none is named."""
    of = settings()
    return of if "db" in origins(given_flags()) else of.model_copy(update={"db": DB})


def _plan(
    of: Settings,
    *,
    start: datetime,
    end: datetime,
    at: tuple[time, ...],
    benchmark: str,
    rules: Sequence[str],
    params_text: str,
) -> Plan:
    """Return what was asked for; every file of it is looked at now."""
    if named := next((name for name in (of.source, of.prices, of.options) if name in LIVE), None):
        raise BadInput(f"{named} can't be asked how things were on a day of the past; use archive: and csv:")
    params = object_of(params_text)
    told = pin(Asked(params=params), of, SystemClock().now())
    _check_lookback(params)
    return Plan(
        start=start.date(),
        end=end.date(),
        at=at or (OPENING,),
        subreddit=told["subreddit"],
        source=told["source"],
        source_bytes=sum(path.stat().st_size for path in _files(told["source"])),
        analyzer=told["analyzer"],
        prices=told["prices"],
        options=told["options"],
        benchmark=benchmark.upper(),
        params=params,
        rules=dict(_rule(text) for text in rules),
    )


def _check_lookback(params: Mapping[str, Any]) -> None:
    try:
        lookback(params)
    except ValueError as error:
        raise BadInput(f"--params: {error}") from error


def _files(source: str) -> list[Path]:
    return [Path(path) for path in source.removeprefix(ARCHIVE).split(",")] if ARCHIVE in source else []


def _rule(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"--set {text}: write it as RULE=VALUE, such as quality_min_users=3")
    return name.strip(), value.strip()


def _moments(plan: Plan) -> Sequence[Moment]:
    if plan.end < plan.start:
        raise BadInput(f"--to {plan.end} is before --from {plan.start}")
    try:
        found = moments(plan, ExchangeCalendar())
    except OutsideCalendar as error:
        raise BadInput(str(error)) from error
    if not found:
        raise BadInput(f"the exchange is closed on every day from {plan.start} to {plan.end}")
    return found


def _played(of: Settings, plan: Plan, ahead: Sequence[Moment]) -> Status | None:
    """Play what is not done yet; return the status of the run that did not complete, if there is one."""
    clock, tools = SystemClock(), Toolmaker(of)
    with workplace(of.db) as folder:
        refuse_ordinary(of.db)
        with running(of, open_it=partial(open_replay, tools=tools)) as runner, Ledger(of.db) as ledger:
            ledger.begin(plan, clock.now())
            waiting = [moment for moment in ahead if not ledger.is_noted(moment)]
            if len(waiting) < len(ahead):
                say(f"{len(ahead) - len(waiting)} of {len(ahead)} runs are done already")
            player = Player(plan=plan, settings=of, clock=clock, runner=runner, ledger=ledger, tools=tools)
            with Days(len(waiting)) as show:
                if waiting and _files(plan.source):
                    tools.source = _sliced(plan, folder, waiting[0], show)
                return _watched(player, waiting, show)


def _sliced(plan: Plan, folder: Path, first: Moment, show: Days) -> SlicedArchive:
    """Read the archive once; raises `SourceUnavailable`."""
    slices = cut(ArchiveSource(_files(plan.source)), plan.subreddit, folder, show.read)
    began = slices.first_comment
    if began is None or began > first.as_of:
        has = f"its first one is of {stamp(began)}" if began else "it has none at all"
        raise BadInput(f"the archive has no comment of r/{plan.subreddit} before {stamp(first.as_of)}; {has}")
    return SlicedArchive(slices, lookback(plan.params))


def _watched(player: Player, waiting: Sequence[Moment], show: Days) -> Status | None:
    def driven(moment: Moment, run: Run) -> Status:
        show.at(moment)
        return drive(player.runner, run, show)

    for _, status in player.play(waiting, driven):
        if status["status"] != "completed":
            return status
        show.done(status)
    return None


def _told(call: Callable[[], ReturnT]) -> ReturnT:
    """Call, and turn what is wrong with the database, the archive or a rule into one sentence."""
    try:
        return call()
    except (NotThisReplay, SourceUnavailable) as error:
        raise Mistake(str(error)) from error
    except BadRule as error:
        raise BadInput(f"--set: {error}") from error


@replay.command()
@settings_flags()
@output_option
@seed_option
@json_option
def report(output: Path | None, seed: int, as_json_: bool) -> Exit:
    """Report what came of a replay, also of one that is under way."""
    return _put_outcome(replay_settings().db, output, seed, as_json_=as_json_)


def _put_outcome(db: Path, output: Path | None, seed: int, *, as_json_: bool) -> Exit:
    """Write the report: to a folder, or to stdout as Markdown or JSON."""
    if not db.exists():
        raise NothingThere(f"there is no replay {db} yet; `phaseline replay --from DAY --to DAY` makes it")
    chance = random.Random(seed)  # noqa: S311  # a bootstrap is no secret
    outcome = _told(lambda: read_outcome(db, ExchangeCalendar(), chance, seed))
    texts = {
        "report.md": markdown(outcome),
        "equity.svg": equity(outcome),
        "report.json": json.dumps(outcome.as_json(), indent=1) + "\n",
    }
    if output is not None:
        _write(output, texts)
    if as_json_ or output is None:
        put(texts["report.json" if as_json_ else "report.md"].rstrip())
    return Exit.OK


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            with replacing(folder / name, force=True) as draft:
                draft.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Mistake(f"can't write the report to {folder}: {error.strerror}") from error
    say(f"the report is in {folder}")
