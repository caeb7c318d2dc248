"""The server of a model as the analyser sees it, and the way to a real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from phases.analyzers.llm.outcomes import Outcome
from phases.analyzers.llm.settings import Address
from phases.tools import AnalyzerUnavailable

MISSING_EXTRA = 'the analyzer llm needs an extra: pip install "phaseline[llm]"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One HTTP response, whole."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: str


class NoReply(Exception):
    """A request that ended without a response; `outcome` says how."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome


class Endpoint(Protocol):
    """Sends one request at a time for each thread that calls it."""

    def send(self, messages: Sequence[Mapping[str, str]], *, max_tokens: int, timeout_s: float) -> Received:
        """Return the response, of whatever status, within about twice `timeout_s` at the very most.

        Raises `NoReply`, and nothing else.
        """
        ...


Connect = Callable[[], AbstractContextManager[Endpoint]]


def connector(address: Address, monotonic: Callable[[], float]) -> Connect:
    """Return what opens a connection with the official client; imports it when first used."""

    def connect() -> AbstractContextManager[Endpoint]:
        try:
            from phases.analyzers.llm import wire  # noqa: PLC0415  # an optional library
        except ModuleNotFoundError as error:
            raise AnalyzerUnavailable(MISSING_EXTRA) from error
        return wire.connected(address, monotonic)

    return connect
