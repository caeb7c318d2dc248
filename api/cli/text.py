"""Text for terminals: what comes from outside can't move the cursor, change colours or hide itself."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, the escape and the 8-bit ones among them
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"  # invisible ones, and those that turn the direction
    "\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


_NUMBER = re.compile(r"[+-]?[\d.,]*%?")
STYLES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("bullish", "completed", "ok", "+"), "green"),
    **dict.fromkeys(("bearish", "failed", "fail", "-"), "red"),
    **dict.fromkeys(("running", "warn"), "yellow"),
}
"""Colours of words, and of percentages by their sign."""


def clean(value: object, width: int | None = None) -> str:
    """Return a value as one line of harmless text, shortened to `width` characters.

    >>> clean("a" + chr(27) + "[31mred" + chr(10) + "b")
    'a�[31mred b'
    """
    text = _UNSAFE.sub("�", str(value).replace("\n", " ").replace("\t", " "))
    if width is not None and len(text) > width:
        return text[: width - 1] + "…"
    return text


def as_json(value: Any) -> str:
    """Return JSON in ASCII, which no terminal misreads."""
    return json.dumps(value, default=str)


def say(text: str) -> None:
    """Write a line of chatter to stderr."""
    click.echo(clean(text), err=True)


def put(text: str) -> None:
    """Write a line of results to stdout."""
    click.echo(text)


def is_terminal() -> bool:
    """Return whether a person watches: both results and chatter go to a terminal."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def put_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table to stdout: for the eye in a terminal, separated by tabs elsewhere."""
    cells = [[clean("" if cell is None else cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _put_rich_table(title, columns, cells)
        return
    for line in [list(columns), *cells]:
        put("\t".join(line))


def _put_rich_table(title: str, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich import box  # noqa: PLC0415  # only where there is somebody to see it
    from rich.console import Console  # noqa: PLC0415  # the same
    from rich.table import Table  # noqa: PLC0415  # the same
    from rich.text import Text  # noqa: PLC0415  # the same

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for index, column in enumerate(columns):
        numbers = all(_NUMBER.fullmatch(line[index]) for line in cells)
        table.add_column(column, justify="right" if numbers else "left")
    for line in cells:
        table.add_row(*(Text(cell, style=_style(cell)) for cell in line))
    Console().print(table)


def _style(cell: str) -> str:
    return STYLES.get(cell) or STYLES.get(cell[:1] if cell.endswith("%") else "", "")
