"""How it goes with a model: outcomes by comment, and when going on is useless."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from phases.analyzers.llm.outcomes import RULES, Outcome

OUTAGES_IN_A_ROW: Final = 5
"""So many comments one after the other that the server had no time for."""
FIRST_ANSWER_WITHIN: Final = 20
"""So many comments without a single answer."""
FEW: Final = 10
"""Fewer unanswered comments than this are the comments' own fault, unless the server was out."""


@dataclass(slots=True)
class Tally:
    """What became of the comments of one `annotate_all`."""

    outcomes: Counter[Outcome] = field(default_factory=Counter[Outcome])
    """By comment that was asked about."""
    reused: int = 0
    """Comments whose answer was known."""
    unasked: int = 0
    """Comments that the budget had no room for."""
    dropped_tickers: int = 0
    """Tickers that a model named and the comment doesn't."""
    outages_in_a_row: int = 0

    def count(self, outcome: Outcome) -> None:
        """Count a comment that was asked about."""
        self.outcomes[outcome] += 1
        self.outages_in_a_row = self.outages_in_a_row + 1 if RULES[outcome].is_outage else 0

    @property
    def missing(self) -> int:
        """Comments that were asked about and have no answer."""
        return sum(number for outcome, number in self.outcomes.items() if not RULES[outcome].is_answer)

    @property
    def reasons(self) -> dict[str, int]:
        """What these came to, most frequent first."""
        counts = self.outcomes.most_common()
        return {outcome.value: number for outcome, number in counts if not RULES[outcome].is_answer}

    def is_useless(self) -> bool:
        """Whether asking on would only cost time or money."""
        asked = self.outcomes.total()
        return self.outages_in_a_row >= OUTAGES_IN_A_ROW or (
            asked >= FIRST_ANSWER_WITHIN and self.missing == asked
        )

    def is_failure(self, answered: int) -> bool:
        """Whether the run rests on too little, next to so many comments that the model did answer."""
        outages = sum(number for outcome, number in self.outcomes.items() if RULES[outcome].is_outage)
        total = answered + self.missing
        return outages * 2 > total or (self.missing >= FEW and self.missing * 2 > total)
