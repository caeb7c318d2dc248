"""One text, taken apart once: its tokens, the symbols that it names, its phrases and which way they lean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from phases.analyzers.phrases import Lexicon, Match, Role, lexicon
from phases.analyzers.stance import Cue, lean, weigh
from phases.analyzers.text import clean
from phases.analyzers.tickers import Mention
from phases.analyzers.tickers import mentions as find_mentions
from phases.analyzers.tokens import Token, tokenize

QUESTION_FACTOR: Final = 0.65
"""What each sign of a newcomer's question leaves of a lean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A cleaned text and what was found in it."""

    text: str
    tokens: Sequence[Token]
    mentions: Sequence[Mention]
    matches: Sequence[Match]
    roles: Counter[Role]
    """How many phrases of each role."""
    cues: Sequence[Cue]
    """In order."""

    @property
    def lean(self) -> float:
        """Return the lexicon's lean, -1 (bearish) to 1 (bullish)."""
        return lean(cue.value for cue in self.cues) * self.asking

    @property
    def asking(self) -> float:
        """Return what the signs of a newcomer's question leave of a lean, 0 to 1."""
        return QUESTION_FACTOR ** self.roles["newcomer"]

    @property
    def asked_share(self) -> float:
        """Return the share of the sentences that are questions."""
        asked = {token.sentence for token in self.tokens if token.text == "?"}
        return len(asked) / (self.tokens[-1].sentence + 1) if self.tokens else 0.0

    @property
    def only_asks(self) -> bool:
        """Return whether every sentence is a question."""
        return self.asked_share == 1


def read(body: str, day: date | None = None, phrases: Lexicon | None = None) -> Reading:
    """Return a comment's text, cleaned and taken apart; by the shipped lexicon where no other is given.

    With the day on which it was written, a renamed company goes by its symbol of that day.
    """
    text = clean(body)
    tokens = tokenize(text)
    mentions = find_mentions(tokens, chars=len(text), day=day)
    matches = list((phrases or lexicon()).matches(tokens))
    return Reading(
        text=text,
        tokens=tokens,
        mentions=mentions,
        matches=matches,
        roles=Counter(match.role for match in matches),
        cues=weigh(tokens, matches, mentions),
    )
