"""Which way a text leans by the phrases of the lexicon, and which of them speak of which ticker.

Each phrase of direction is a cue with a value; what stands around it bends the value:

    negation before it      turns it, and weakens it
    an intensifier          strengthens it
    maybe, if, would        weaken it
    but, however            weaken what comes before, strengthen what follows
    a question              says little either way
    inverse somebody        turns it
    the same phrase again   adds less each time, and nothing in the end

A ticker gets the cues of its clause: each cue goes to the nearest mention in its sentence, and where its
sentence names nothing, to the last one named before.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from phases.analyzers.phrases import Match, Role
from phases.analyzers.tickers import Mention
from phases.analyzers.tokens import Token
from phases.tools import Sentiment

NEGATED: Final = -0.6
INTENSIFIED: Final = 1.3
SOFTENED: Final = 0.8
BEFORE_A_TURN: Final = 0.6
AFTER_A_TURN: Final = 1.3
ASKED: Final = 0.3
INVERTED: Final = -0.6
REPEATS: Final = 8
"""A phrase counts no more than this often."""
MOVE_VALUE: Final = 1.0
BORROWED: Final = 0.5
"""The share that the last ticker named gets of a cue in a sentence that names none."""

THRESHOLD: Final = 0.25
"""A lean must go beyond this to be an opinion."""

_EVEN: Final = 6.0
"""Cues that add up to s lean s / sqrt(s^2 + this)."""

_NEGATION_REACH: Final = 3
_INTENSIFIER_REACH: Final = 2
_SOFTENER_REACH: Final = 5
_CLAUSE_REACH: Final = 12
_CLAUSE_COST: Final = 6
"""A clause's end between a cue and a mention counts as this many tokens."""

_STRIKE: Final = re.compile(r"\$?\d+(?:\.\d+)?[cp]")
_STRIKE_VALUES: Final = {"c": 1.5, "p": -1.5}
_SIGNS: Final = {"+": 1, "-": -1, "−": -1, "▲": 1, "△": 1, "▼": -1, "▽": -1}
_CLAUSE_ENDS: Final = frozenset([",", "but", "while", "whereas", "(", ")", "-", ":", "vs", "instead", "then"])
_CONNECTORS: Final = frozenset([",", "/", "&", "and", "or", "+", "-", "|", "n", "$", "*"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """One phrase of direction with its bent value."""

    value: float
    first: int
    last: int
    is_leading: bool
    """It speaks of the ticker after it (`bought`), not of the one before (`calls`), if both are as near."""


def weigh(tokens: Sequence[Token], matches: Sequence[Match], mentions: Sequence[Mention]) -> list[Cue]:
    """Return the cues of a text in order; a symbol that is a word too (`MOON`) is no cue."""
    symbols = {mention.first for mention in mentions if mention.reason != "name"}
    bends = _Bends(tokens, matches)
    leading = _places(matches, "leading")
    found = [match for match in matches if match.role == "direction" and match.score] + _figures(tokens)
    seen: Counter[str] = Counter()
    cues: list[Cue] = []
    for match in sorted(found, key=lambda match: match.first):
        phrase = f"{tokens[match.first].lower} {tokens[match.last].lower}"
        seen[phrase] += 1
        if match.first not in symbols and seen[phrase] <= REPEATS:
            value = match.score * bends.factor(match.first) / seen[phrase]
            cues.append(
                Cue(value=value, first=match.first, last=match.last, is_leading=match.first in leading)
            )
    return cues


def lean(values: Iterable[float]) -> float:
    """Return -1 (bearish) to 1 (bullish) for the values of cues; no cue is 0."""
    total = math.fsum(values)
    return total / math.sqrt(total * total + _EVEN)


def sentiment_of(leaning: float) -> Sentiment:
    """Return the opinion that a lean amounts to."""
    if abs(leaning) <= THRESHOLD:
        return "neutral"
    return "bullish" if leaning > 0 else "bearish"


def cues_by_symbol(
    tokens: Sequence[Token], cues: Sequence[Cue], mentions: Sequence[Mention]
) -> dict[str, list[Cue]]:
    """Return the cues that speak of each symbol, with the share that it gets, by order of first mention."""
    groups = _groups(tokens, mentions)
    starts = [group[0].first for group in groups]
    shared: dict[str, list[Cue]] = {mention.symbol: [] for mention in mentions}
    for cue in cues:
        after = bisect_left(starts, cue.first)
        group, share = _addressee(tokens, cue, groups[max(0, after - 1) : after], groups[after : after + 1])
        for symbol in {mention.symbol for mention in group}:
            shared[symbol].append(replace(cue, value=cue.value * share))
    return shared


class _Bends:
    """Owns where the words are that bend a value."""

    def __init__(self, tokens: Sequence[Token], matches: Sequence[Match]) -> None:
        self._tokens = tokens
        self._negations = _places(matches, "negation")
        self._intensifiers = _places(matches, "intensify")
        self._softeners = _places(matches, "soften")
        self._asked = frozenset(token.sentence for token in tokens if token.text == "?")
        self._inverted = frozenset(tokens[index].sentence for index in _places(matches, "inverse"))
        turns = sorted(_places(matches, "turn"), reverse=True)
        self._turns = {tokens[index].sentence: index for index in turns}

    def factor(self, first: int) -> float:
        """Return what a value at the token `first` is multiplied by."""
        sentence = self._tokens[first].sentence
        turn = self._turns.get(sentence)
        bends = (
            (self._near(self._negations, first, _NEGATION_REACH), NEGATED),
            (self._near(self._intensifiers, first, _INTENSIFIER_REACH), INTENSIFIED),
            (self._near(self._softeners, first, _SOFTENER_REACH), SOFTENED),
            (turn is not None and first < turn, BEFORE_A_TURN),
            (turn is not None and first > turn, AFTER_A_TURN),
            (sentence in self._asked, ASKED),
            (sentence in self._inverted, INVERTED),
        )
        return math.prod(factor for applies, factor in bends if applies)

    def _near(self, places: Collection[int], first: int, reach: int) -> bool:
        sentence = self._tokens[first].sentence
        return any(
            index in places and self._tokens[index].sentence == sentence
            for index in range(max(0, first - reach), first)
        )


def _places(matches: Sequence[Match], role: Role) -> frozenset[int]:
    return frozenset(match.first for match in matches if match.role == role)


def _figures(tokens: Sequence[Token]) -> list[Match]:
    """Return what figures say of direction: strikes (`50c`, `350p`) and moves (`+5%`, `▼ 3%`)."""
    found: list[Match] = []
    for index, token in enumerate(tokens):
        if token.kind == "number":
            value = _STRIKE_VALUES.get(token.lower[-1], 0.0) if _STRIKE.fullmatch(token.lower) else 0.0
            if token.text.endswith("%"):
                value = MOVE_VALUE * _sign(tokens, index)
            if value:
                found.append(Match("direction", value, index, index))
    return found


def _sign(tokens: Sequence[Token], index: int) -> int:
    """Return the sign before a figure; the dash of a range (`30-40%`) is none."""
    if index == 0 or (index > 1 and tokens[index - 2].kind == "number"):
        return 0
    return _SIGNS.get(tokens[index - 1].text, 0)


def _groups(tokens: Sequence[Token], mentions: Sequence[Mention]) -> list[list[Mention]]:
    """Return the mentions with those together that are listed together: `GME, AMC and BB`."""
    groups: list[list[Mention]] = []
    for mention in mentions:
        if groups and _are_listed(tokens, groups[-1][-1], mention):
            groups[-1].append(mention)
        else:
            groups.append([mention])
    return groups


def _are_listed(tokens: Sequence[Token], left: Mention, right: Mention) -> bool:
    between = tokens[left.last + 1 : right.first]
    same_sentence = tokens[left.first].sentence == tokens[right.first].sentence
    return same_sentence and all(token.lower in _CONNECTORS for token in between)


def _addressee(
    tokens: Sequence[Token], cue: Cue, before: Sequence[list[Mention]], after: Sequence[list[Mention]]
) -> tuple[Sequence[Mention], float]:
    """Return the group that a cue speaks of, and the share of its value that the group gets."""
    sentence = tokens[cue.first].sentence
    near = [group for group in (*before, *after) if tokens[group[0].first].sentence == sentence]
    if near:
        return min(near, key=lambda group: _distance(tokens, cue, group)), 1.0
    return (before[0], BORROWED) if before else ((), 0.0)


def _distance(tokens: Sequence[Token], cue: Cue, group: Sequence[Mention]) -> float:
    if group[0].first > cue.first:
        between = tokens[cue.last + 1 : group[0].first]
        preferred = cue.is_leading
    else:
        between = tokens[group[-1].last + 1 : cue.first]
        preferred = not cue.is_leading
    ends = sum(token.lower in _CLAUSE_ENDS for token in between[:_CLAUSE_REACH])
    return len(between) + _CLAUSE_COST * ends - preferred
