"""Why a price source has no price.

PricesUnavailable        the source failed: it counts towards the circuit breaker
├── RateLimited          asked too often
├── Unreachable          no connection, or an answer of 5xx
├── BadAnswer            an answer without sense: empty where there must be something, no JSON, odd shape
└── LoginNeeded          the source wants a person to log in; asking again is useless
NoPrice                  the source works, this one ticker has nothing usable
├── UnknownTicker        unknown or delisted
├── Stale                the last price is too old
├── WrongUnits           prices that jump by a hundred, or by a split that was announced for another day
└── NotOfNewYork         days of another exchange's time zone
"""

from __future__ import annotations

from phases.tools import NoPrice, PricesUnavailable


class RateLimited(PricesUnavailable):
    """The source was asked too often."""

    retry_after_s: float = 0.0
    """How long the source wants to be left alone, where it says so."""


class Unreachable(PricesUnavailable):
    """The source can't be reached, or says that it is ill."""


class BadAnswer(PricesUnavailable):
    """The source's answer makes no sense."""


class LoginNeeded(PricesUnavailable):
    """The source wants a person to log in; the message says how."""


class UnknownTicker(NoPrice):
    """The source doesn't know that ticker, or no longer."""


class Stale(NoPrice):
    """The newest price is too old to trade on."""


class WrongUnits(NoPrice):
    """Neighbouring prices are of different units or different kinds of share."""


class NotOfNewYork(NoPrice):
    """The days are counted in the time zone of another exchange."""
