"""Which prices are believed, and what is said of those that are not."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from phases.tools import Remark


def is_a_bar(opened: Decimal, high: Decimal, low: Decimal, close: Decimal) -> bool:
    """Return whether four prices can be one bar: finite, above zero, none outside of low and high.

    A bar of a day without trades (volume 0) is one.
    """
    finite = all(price.is_finite() for price in (opened, high, low, close))
    return finite and 0 < low <= min(opened, close) <= max(opened, close) <= high


def refused(name: str, count: int) -> Sequence[Remark]:
    """Return the one remark on bars that were not believed, none where all were."""
    if not count:
        return ()
    message = (
        f"{count} prices of {name} were not believed: bars with a price that is missing, zero or negative, "
        "or outside of their own high and low"
    )
    return [Remark(type="prices_refused", message=message, context={"source": name, "refused": count})]
