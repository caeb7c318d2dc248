"""The root command: which commands there are, and what becomes of an error."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click
from click.exceptions import NoArgsIsHelpError
from click.shell_completion import CompletionItem

from api.cli.exits import Exit, told, unexpected
from api.cli.text import say

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "serve": ("serve", "Serve the API until a signal."),
    "demo": ("demo", "Start a server, analyse the bundled sample and show what was found."),
    "analyze": ("analyze", "Analyse now, without a server, and show what was found."),
    "watch": ("watch", "Follow a run until it ends."),
    "runs": ("runs", "List the runs, newest first."),
    "show": ("runs", "Show one run and its history."),
    "cancel": ("steer", "Ask for a run to be cancelled."),
    "resume": ("steer", "Go on from the phase in which a run failed."),
    "recover": ("steer", "Drive what dead processes left behind to its end."),
    "annotate": ("annotate", "Annotate texts from stdin; no database."),
    "diagram": ("diagram", "Draw the states and transitions, with a run's state lit."),
    "verify": ("verify", "Check that the database keeps every promise."),
    "doctor": ("doctor", "Check that this machine can run an analysis."),
    "predictions": ("predictions", "List what comments predicted, newest first."),
    "override": ("predictions", "Say whether a prediction was right"),
    "close": ("close", "Sell an open position, or a part of it, at its stored price."),
    "replay": ("replay", "Play an archive day by day, as of each day, and report what came of it."),
    "export": ("export", "Write a table as CSV, NDJSON or Parquet."),
    "explore": ("explore", "Show the database in a browser: tables, questions, SQL."),
    "mcp": ("mcp", "Serve the findings to a program that speaks MCP."),
    "schwab-login": ("schwab_login", "Log in to Schwab, which lasts seven days."),
    "prune": ("prune", "Empty the texts of old comments."),
    "completion": ("completion", "Write the script that completes commands and flags in a shell."),
    "config": ("config", "Show the settings and where each comes from."),
}
"""Each command's module and help. A module is imported when its command is used, so that help is quick."""


class Root(click.Group):
    """Knows its commands by the table and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the same
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(
            importlib.import_module(f"api.cli.{COMMANDS[cmd_name][0]}"), cmd_name.replace("-", "_")
        )
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
        """Complete the commands without importing them."""
        named = [(name, text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        commands = [CompletionItem(name, help=text) for name, text in named]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # the same
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _version(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:
    if asked:
        from api.version import version  # noqa: PLC0415  # reading it takes time

        click.echo(f"phaseline {version()}")
        ctx.exit()


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show it."
)
def phaseline() -> None:
    """Run long analyses as durable state machines.

    Results go to stdout, everything else to stderr. A RUN is a run's number, or `last`. Every setting can be
    given as a flag, in the environment (PHASELINE_...) or in phaseline.toml; `phaseline config show` lists
    them.

    Exit codes: 0 ok, 1 run failed or error, 2 usage, 3 run cancelled, 5 not found, 6 server unreachable,
    130 interrupted.
    """


def run(args: Sequence[str]) -> int:
    """Run a command line; return the exit code. An expected error is one sentence on stderr."""
    try:
        returned: Any = phaseline.main(list(args), prog_name="phaseline", standalone_mode=False)
    except NoArgsIsHelpError as error:
        error.show()
        return Exit.USAGE
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "phaseline"
        say(f"{command}: {error.format_message()} (see {command} --help)")
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001  # a raw traceback could show a secret
        code = told(error)
        return unexpected(error) if code is None else code
    return returned if isinstance(returned, int) else Exit.OK
