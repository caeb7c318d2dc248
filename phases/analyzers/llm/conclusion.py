"""What a run is told of the comments that a model did not answer."""

from __future__ import annotations

from typing import Final

from phases.analyzers.lexicon import NAME as INSTEAD
from phases.analyzers.llm.tally import Tally
from phases.model_calls import NANO_PER_USD
from phases.tools import AnalyzerUnavailable, Desk

MANY_MISSING_SHARE: Final = 0.05
"""Above this share of comments without an answer, the run carries a warning."""


def answered(tally: Tally, desk: Desk) -> int:
    """Return how many comments of the run the model has answered, before a crash or a stop too."""
    return desk.calls.answers() + tally.reused


def unavailable(name: str, host: str, tally: Tally, desk: Desk) -> AnalyzerUnavailable:
    """Return the error of a model that answers too few comments."""
    had = answered(tally, desk)
    reasons = ", ".join(f"{number} {reason}" for reason, number in tally.reasons.items())
    return AnalyzerUnavailable(
        f"{name} at {host} answered {had} of {had + tally.missing} comments ({reasons}); "
        "see that it works, then resume the run"
    )


def warn(name: str, tally: Tally, desk: Desk, *, max_cost_nano_usd: int) -> None:
    """Say what the model did not do, or did too much of."""
    if tally.unasked:
        _warn_of_budget(tally, desk, max_cost_nano_usd)
    total = answered(tally, desk) + tally.missing
    if tally.missing > MANY_MISSING_SHARE * total:
        desk.warn(
            "model_answers_missing",
            f"{name} gave no usable answer to {tally.missing} of {total} comments; {INSTEAD} answers instead",
            missing=tally.missing,
            total=total,
            outcomes=tally.reasons,
        )
    if tally.dropped_tickers:
        desk.warn(
            "model_tickers_dropped",
            f"{name} named {tally.dropped_tickers} tickers that the comments don't; they were left out",
            dropped=tally.dropped_tickers,
        )


def _warn_of_budget(tally: Tally, desk: Desk, max_cost_nano_usd: int) -> None:
    cost_usd, max_cost_usd = (nano / NANO_PER_USD for nano in (desk.calls.cost_nano_usd(), max_cost_nano_usd))
    desk.warn(
        "model_budget_reached",
        f"{tally.unasked} comments were not asked about, because the run may cost at most "
        f"${max_cost_usd:.4f} and had cost ${cost_usd:.4f}; {INSTEAD} answers instead",
        unasked=tally.unasked,
        cost_usd=cost_usd,
        max_cost_usd=max_cost_usd,
    )
