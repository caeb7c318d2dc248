"""An analyser whose model is a server of a test, and what it leaves behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from phases.analyzers.llm.analyzer import LlmAnalyzer
from phases.analyzers.llm.endpoint import connector
from phases.analyzers.llm.pricing import Prices
from phases.analyzers.llm.settings import Address, ModelSettings
from phases.model_calls import ForgottenCalls
from phases.tools import Annotation, Excerpt, ModelCall
from tests.desks import bare_desk
from tests.models.server import ModelServer

KEY: Final = "sk-canary-0123456789"
PRICES: Final = Prices(input_usd_per_mtok=Decimal("0.15"), output_usd_per_mtok=Decimal("0.6"))


class QuickClock:
    """Time in which every wait is over at once; how long each would have been is remembered."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return 0.0

    def now(self) -> datetime:
        return datetime(2025, 3, 12, 18, tzinfo=UTC)

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        self.waits.append(timeout_s or 0.0)
        return event.is_set()


class RememberedCalls(ForgottenCalls):
    """Keeps all calls in a list and recalls the answers among them."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[ModelCall] = []

    def recall(self, content_hash: str) -> tuple[int, str] | None:  # type: ignore[override]  # it does keep
        for number, call in enumerate(self.kept, start=1):
            if call.content_hash == content_hash and call.is_answer and call.reply is not None:
                return number, call.reply
        return None

    def keep(self, call: ModelCall) -> int:
        self.kept.append(call)
        return super().keep(call)

    @property
    def outcomes(self) -> list[str]:
        return [str(call.outcome) for call in self.kept]


def fence(content_hash: str) -> str:
    return f"fence-{content_hash[:12]}"


def analyzer(
    server: ModelServer | str, *, model: str = "m-1", key: str | None = KEY, **more: Any
) -> LlmAnalyzer:
    """Return the analyser in front of a server; `more` sets any field of `ModelSettings`."""
    base_url = server if isinstance(server, str) else server.base_url
    address = Address(base_url=base_url, host="model.test", model=model, key=key)
    settings = ModelSettings(**{"address": address, "fence": fence, "timeout_s": 20.0, **more})
    return LlmAnalyzer(settings, connector(address, time.monotonic))


def excerpts(*bodies: str) -> list[Excerpt]:
    return [Excerpt(body=body) for body in bodies]


def annotated(
    its: LlmAnalyzer, asked: Sequence[Excerpt], calls: RememberedCalls | None = None, **desk: Any
) -> list[Annotation | None]:
    """Return what it says of excerpts, without waiting between tries."""
    return list(its.annotate_all(asked, bare_desk(calls=calls, **{"clock": QuickClock(), **desk})))
