"""Telling a statement that writes from one that reads, by its first keyword."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

# What is left open runs to the end, and nothing is tried twice: reading takes time linear in the text.
_TOKEN = re.compile(
    r"""--[^\n]*+ | /\*.*?(?:\*/|\Z) | '(?:[^']++|'')*+'? | "(?:[^"]++|"")*+"? | `[^`]*+`? | \[[^\]]*+\]?
      | [A-Za-z_\x80-\U0010FFFF][\w$\x80-\U0010FFFF]*+ | [()]""",  # a bare name as SQLite sees it
    re.DOTALL | re.VERBOSE,
)
_READS: Final = frozenset({"SELECT", "VALUES", "EXPLAIN", "PRAGMA"})
_VERBS: Final = frozenset({"SELECT", "VALUES", "INSERT", "UPDATE", "DELETE", "REPLACE"})


@lru_cache(maxsize=512)
def is_write(sql: str) -> bool:
    """Return whether a statement may write, by its first keyword; in doubt, yes.

    >>> is_write("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x"), is_write("/* hi */ select 1")
    (True, False)
    """
    words = _words(sql)
    first = next(words, "")
    if first != "WITH":
        return first not in _READS
    depth = 0
    for word in words:
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth == 0 and word in _VERBS:
            return word not in _READS
    return True


def _words(sql: str) -> Iterator[str]:
    for match in _TOKEN.finditer(sql):
        text = match.group()
        if text[:2] not in {"--", "/*"}:
            yield text.upper()
