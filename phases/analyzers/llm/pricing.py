"""What calls cost, in nano-dollars (US dollars times 10^9), and how much one may cost at most.

    cost = input tokens * input price + output tokens * output price

Prices are the user's, in US dollars per million tokens: any table here would be wrong soon. A call's cost is
rounded up, and where a server doesn't say what it has used, the worst case counts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from phases.analyzers.llm.prompt import SCHEMA_TEXT, Prompt
from phases.analyzers.llm.reply import Usage

REPAIR_FACTOR: Final = 2
"""A repair may be longer, because a cut-off answer is one of the things to repair."""

_NANO_PER_MICRO: Final = 1_000  # dollars per million tokens are micro-dollars per token
_FRAME_TOKENS: Final = 200
"""More than any server's own frame around the messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """US dollars per million tokens."""

    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal

    def cost_nano_usd(self, usage: Usage) -> int:
        """Return what tokens cost.

        >>> Prices(input_usd_per_mtok=Decimal("0.15"), output_usd_per_mtok=Decimal("0.6")).cost_nano_usd(
        ...     Usage(1_000_000, 1)
        ... )
        150000600
        """
        micro = usage.input_tokens * self.input_usd_per_mtok + usage.output_tokens * self.output_usd_per_mtok
        return math.ceil(micro * _NANO_PER_MICRO)


def most_tokens(messages: Sequence[dict[str, str]], max_tokens: int) -> Usage:
    """Return the most that a call can use: no tokenizer makes more than one token of a byte."""
    sent = len(json.dumps(list(messages), ensure_ascii=False).encode())
    return Usage(sent + len(SCHEMA_TEXT) + _FRAME_TOKENS, max_tokens)


def most_nano_usd(prompt: Prompt, prices: Prices, max_output_tokens: int) -> int:
    """Return the most that a comment can cost, its repair included."""
    longest = prompt.messages("x" * _FRAME_TOKENS)
    lengths = max_output_tokens, max_output_tokens * REPAIR_FACTOR
    return sum(prices.cost_nano_usd(most_tokens(longest, most)) for most in lengths)
