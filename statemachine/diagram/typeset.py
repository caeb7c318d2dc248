"""Text that fits: labels come from whoever wrote the list of phases, and may be anything."""

from __future__ import annotations

import unicodedata
from typing import Final

ELLIPSIS: Final = "…"


def one_line(text: str) -> str:
    r"""Return `text` without control, format and unassigned characters and with single spaces.

    A stray escape sequence, a line break or a right-to-left override must not reach a terminal or break
    a notation.

    >>> one_line("  red \x1b[31m\n alert ")
    'red [31m alert'
    """
    return " ".join(
        "".join(" " if unicodedata.category(char).startswith("C") else char for char in text).split()
    )


def columns(text: str) -> int:
    r"""Return how many columns `text` takes: wide characters take two, combining ones none.

    >>> columns("abc"), columns("日本"), columns("e\u0301")
    (3, 4, 1)
    """
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def shorten(text: str, width: int) -> str:
    """Return `text`, its end replaced by an ellipsis where it takes more than `width` columns.

    >>> shorten("Prioritizing", 12), shorten("Prioritizing", 6)
    ('Prioritizing', 'Prior…')
    """
    if columns(text) <= width:
        return text
    return _head(text, width - 1).rstrip() + ELLIPSIS


def wrap(text: str, width: int, max_lines: int) -> list[str]:
    """Break `text` at spaces, or anywhere in a word that is too long, into at most `max_lines` lines.

    >>> wrap("Prioritizing all the comments", 14, 3), wrap("Prioritizing all the comments", 14, 1)
    (['Prioritizing', 'all the', 'comments'], ['Prioritizing…'])
    """
    lines: list[str] = []
    rest = text
    while rest and len(lines) < max_lines - 1:
        line = _line(rest, width)
        lines.append(line.rstrip())
        rest = rest[len(line) :].lstrip()
    return [*lines, shorten(rest, width)] if rest else lines


def _line(text: str, width: int) -> str:
    """Return as many whole words as fit in `width` columns, or a part of the first."""
    head = _head(text, width)
    if head == text or text[len(head)] == " " or " " not in head:
        return head
    return head[: head.rindex(" ") + 1]


def _head(text: str, width: int) -> str:
    """Return the longest beginning of `text` within `width` columns, and at least one character."""
    end = 1
    while end < len(text) and columns(text[: end + 1]) <= width:
        end += 1
    return text[:end]
