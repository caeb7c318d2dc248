"""The lexicon, compiled: phrases by their first word, with what each of them says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from phases.analyzers.tokens import Token, tokenize
from phases.analyzers.universe import data_lines

Role = Literal[
    "direction",
    "negation",
    "intensify",
    "soften",
    "turn",
    "leading",
    "sarcasm",
    "inverse",
    "newcomer",
    "reason",
    "fundamentals",
    "technicals",
    "meme",
]


class Phrase(NamedTuple):
    """One entry of lexicon.txt."""

    rest: tuple[str, ...]
    """Its words after the first, lower case."""
    role: Role
    score: float
    """Of a direction; 0 elsewhere."""


class Match(NamedTuple):
    """A phrase found in a text."""

    role: Role
    score: float
    first: int
    """Index of its first token."""
    last: int


@dataclass(frozen=True, slots=True)
class Lexicon:
    """All phrases; of one role the longest that fits at a place counts."""

    by_first: Mapping[str, tuple[Phrase, ...]]

    def matches(self, tokens: Sequence[Token]) -> Iterator[Match]:
        """Yield the phrases of each role from left to right; those of one role don't overlap."""
        free_from: dict[Role, int] = defaultdict(int)
        for index, token in enumerate(tokens):
            phrases = self.by_first.get(token.lower, ())
            after = tokens[index + 1].lower if phrases and index + 1 < len(tokens) else ""
            for rest, role, score in phrases:
                if rest and rest[0] != after:  # most phrases end here
                    continue
                if index >= free_from[role] and _fits(rest, tokens, index):
                    last = index + len(rest)
                    free_from[role] = last + 1
                    yield Match(role, score, index, last)


def _fits(rest: tuple[str, ...], tokens: Sequence[Token], index: int) -> bool:
    last = index + len(rest)
    if last >= len(tokens):
        return False
    for place, word in enumerate(rest, start=index + 1):
        if tokens[place].lower != word:
            return False
    return tokens[last].sentence == tokens[index].sentence


@cache
def lexicon() -> Lexicon:
    """Return lexicon.txt, compiled at the first call and kept."""
    by_first: dict[str, list[Phrase]] = defaultdict(list)
    for role, words, score in _entries():
        by_first[words[0]].append(Phrase(words[1:], role, score))
    return Lexicon(
        {
            first: tuple(sorted(phrases, key=lambda phrase: len(phrase.rest), reverse=True))
            for first, phrases in by_first.items()
        }
    )


def _entries() -> Iterator[tuple[Role, tuple[str, ...], float]]:
    for section, line in data_lines("lexicon.txt"):
        role: Role = section  # type: ignore[assignment]  # the sections of the file are the roles
        score, phrases = line.split(": ", 1) if role == "direction" else ("0", line)
        for phrase in phrases.split(", "):
            for form in _forms(phrase):
                yield role, tuple(token.lower for token in tokenize(form)), float(score)


def _forms(phrase: str) -> tuple[str, ...]:
    """Return the forms of `word~` and `word~~`; another phrase has one.

    >>> _forms("moon~"), _forms("drop~~"), _forms("surge~"), _forms("to the moon")
    (('moon', 'moons', 'mooned', 'mooning'), ('drop', 'drops', 'dropped', 'dropping'), \
('surge', 'surges', 'surged', 'surging'), ('to the moon',))
    """
    stem = phrase.rstrip("~")
    if stem == phrase:
        return (phrase,)
    if stem.endswith("e"):
        return stem, stem + "s", stem + "d", stem[:-1] + "ing"
    root = stem + stem[-1] if phrase.endswith("~~") else stem
    plural = "es" if stem.endswith(("s", "x", "sh", "ch")) else "s"
    return stem, stem + plural, root + "ed", root + "ing"
