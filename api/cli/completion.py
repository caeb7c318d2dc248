"""`phaseline completion`: what a shell needs to complete our commands and flags."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from api.cli.text import put

VARIABLE = "_PHASELINE_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Write the script that completes commands and flags in a shell.

    \b
    bash: eval "$(phaseline completion bash)"       in ~/.bashrc
    zsh:  eval "$(phaseline completion zsh)"        in ~/.zshrc
    fish: phaseline completion fish | source        in ~/.config/fish/config.fish
    """  # noqa: D301  # click's mark for lines to be left alone is this very character
    root = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    assert kind is not None, "click has all three"
    put(kind(root, {}, "phaseline", VARIABLE).source())
