"""Options that several commands share: every setting as a flag, `--json`, and a RUN."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from api.cli.exits import NothingThere
from api.settings import Settings, load
from statemachine.store import RunReader

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
FLAGS: Final = "phaseline.flags"
LAST: Final = "last"
MAX_ID: Final = 2**63 - 1
DIGITS: Final = len(str(MAX_ID))

json_option = click.option("--json", "as_json_", is_flag=True, help="Write JSON to stdout.")


def settings_flags(*shown: str, but: Collection[str] = ()) -> Callable[[FunctionT], FunctionT]:
    """Take every setting as a flag; help shows those that matter to the command.

    Args:
        shown: Those that matter.
        but: Those whose flags mean something else in this command.
    """

    def decorate(function: FunctionT) -> FunctionT:
        for name, field in reversed(Settings.model_fields.items()):
            if name in but:
                continue
            function = click.option(
                f"--{name.replace('_', '-')}",
                name,
                metavar="VALUE",
                expose_value=False,
                callback=_remember,
                hidden=name not in {*shown, "db", "config"},
                help=f"Setting: {field.description}.",
            )(function)
        return function

    return decorate


def _remember(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta.setdefault(FLAGS, {})[param.name] = value


def given_flags() -> dict[str, str]:
    """Return the settings that the command line gives."""
    flags: dict[str, str] = click.get_current_context().meta.get(FLAGS, {})
    return flags


def settings() -> Settings:
    """Return the settings, flags included; raises `SettingsError`."""
    return load(given_flags())


class RunId(click.ParamType[int]):
    """A run's number, or `last`; 0 stands for the latter until the database is open."""

    name = "run"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        if value == LAST or isinstance(value, int):
            return 0 if value == LAST else int(value)
        text = str(value)
        if not (text.isascii() and text.isdecimal() and len(text) <= DIGITS and 0 < int(text) <= MAX_ID):
            self.fail(f"{text[:40]!r} is no run; say its number, or {LAST}", param, ctx)
        return int(text)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002  # click's signature
        param: click.Parameter,  # noqa: ARG002  # the same
        incomplete: str,
    ) -> list[CompletionItem[Any]]:
        """Complete the one word there is."""
        return [CompletionItem(LAST)] if LAST.startswith(incomplete) else []


run_argument = click.argument("run_id", metavar="RUN", type=RunId())


@contextmanager
def reading(of: Settings) -> Generator[RunReader]:
    """Open the database for reading; raises `NothingThere` where there is none yet."""
    if not of.db.exists():
        raise NothingThere(f"there is no database {of.db} yet; `phaseline analyze` makes it")
    reader = RunReader(of.db)
    try:
        if reader.conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'analysis_runs'").fetchone() is None:
            raise NothingThere(f"the database {of.db} holds no runs; `phaseline analyze` makes the first")
        yield reader
    finally:
        reader.close()


def require_table(reader: RunReader, name: str) -> None:
    """Raise `NothingThere` where the phases that ran here keep no such records."""
    if reader.conn.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone() is None:
        raise NothingThere(f"there are no {name} in this database; the phases that ran here keep none")


def resolved(reader: RunReader, run_id: int) -> int:
    """Return the id of an existing run, the newest one for `last`; raises `RunNotFound`, `NothingThere`."""
    if run_id:
        return reader.run(run_id).id
    newest = reader.runs(limit=1)
    if not newest:
        raise NothingThere("there are no runs yet; `phaseline analyze` starts one")
    return newest[0].id
