"""Reading an answer of Schwab: a name that is needed is there and makes sense, or the answer is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

from phases.prices.errors import BadAnswer


def mapping(value: object, what: str) -> Mapping[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise BadAnswer(f"Schwab's answer makes no sense: {what} is no object")
    return cast("Mapping[str, Any]", value)


def part(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the object of that name."""
    return mapping(answer.get(name), name)


def parts(answer: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    """Return the objects in the list of that name."""
    found = answer.get(name)
    if not isinstance(found, list):
        raise BadAnswer(f"Schwab's answer makes no sense: {name} is no list")
    return (mapping(one, name) for one in cast("list[object]", found))


def number(part: Mapping[str, Any], name: str) -> Decimal:
    """Return the number of that name, exactly as it was written."""
    value = part.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadAnswer(f"Schwab's answer makes no sense: {name} is no number")
    if not math.isfinite(value):
        raise BadAnswer(f"Schwab's answer makes no sense: {name} is no number")
    return Decimal(str(value))


def instant_in(part: Mapping[str, Any], name: str) -> datetime:
    """Return an instant that is told in milliseconds since 1970."""
    try:
        return datetime.fromtimestamp(int(number(part, name)) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadAnswer(f"Schwab's answer makes no sense: {name} is no instant") from None
