"""What the composition root decides of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from phases.analyzers.llm.pricing import Prices


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a model is, and who asks."""

    base_url: str
    host: str
    """For messages: the address without user, path and query."""
    model: str
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Whom to ask, and within which limits."""

    address: Address
    fence: Callable[[str], str]
    """A keyed hash; see `build_prompt`."""
    hide: Callable[[str], str] = str
    """Removes the key from what a server sends back."""
    prices: Prices | None = None
    max_cost_nano_usd: int | None = None
    """What a run may cost at most; wants `prices`."""
    max_output_tokens: int = 500
    """For a first answer; its repair may be twice as long."""
    timeout_s: float = 60.0
    """For one request, from its beginning to its last byte."""
