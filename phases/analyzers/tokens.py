"""Words, numbers, cashtags and marks of a cleaned text, each with its sentence."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

Kind = Literal["cashtag", "share_class", "number", "word", "newline", "mark"]

_TOKEN: Final = re.compile(
    r"(?P<cashtag>(?<![\w$])\$(?:[A-Z]{2,6}:)?[A-Za-z]{1,6}(?:[./-][A-Za-z](?![A-Za-z]))?(?![\w$]|:\w))"
    r"|(?P<share_class>(?<![\w$.-])[A-Z]{2,4}[./-][A-C](?![\w-]))"
    r"|(?P<number>\$?\d[\d,]*(?:\.\d+)*(?:%|[^\W_]+)?)"  # 50c, 0DTE, 2.5BB and 10k are one token each
    r"|(?P<word>[^\W_]+(?:['&-][^\W_]+)*)"
    r"|(?P<newline>\n)"
    r"|(?P<mark>[^\w\s])"
)
_ENDS_SENTENCE: Final = frozenset(".!?;")


class Token(NamedTuple):
    """One token of a text."""

    text: str
    lower: str
    kind: Kind
    start: int
    sentence: int
    """Counts from 0; a line's end ends a sentence too."""


def tokenize(text: str) -> list[Token]:
    r"""Return the tokens of a cleaned text, in order; newlines end sentences and are left out.

    >>> [(token.text, token.kind, token.sentence) for token in tokenize("Buy $GME.\n50c")]
    [('Buy', 'word', 0), ('$GME', 'cashtag', 0), ('.', 'mark', 0), ('50c', 'number', 1)]
    """
    tokens: list[Token] = []
    sentence = ended = 0
    for match in _TOKEN.finditer(text):
        kind, word = match.lastgroup, match.group()
        if kind == "newline":
            ended = 1
            continue
        is_end = kind == "mark" and word in _ENDS_SENTENCE
        if not is_end and ended:
            sentence, ended = sentence + 1, 0
        tokens.append(Token(word, word.lower(), kind, match.start(), sentence))  # type: ignore[arg-type]  # the groups are the kinds
        ended = ended or int(is_end)
    return tokens
