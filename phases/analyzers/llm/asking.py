"""One comment asked about: a call, waits where the server has no time, and one repair."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

from phases.analyzers.llm.endpoint import Endpoint, NoReply, Received
from phases.analyzers.llm.outcomes import RULES, Outcome
from phases.analyzers.llm.pricing import REPAIR_FACTOR, most_tokens
from phases.analyzers.llm.prompt import VERSION, Prompt
from phases.analyzers.llm.reply import Reply, read_reply
from phases.analyzers.llm.settings import ModelSettings
from phases.analyzers.llm.statuses import HTTP_OK, outage, refusal
from phases.analyzers.llm.waits import wait_s
from phases.tools import ModelCall
from statemachine.contract import Clock

MAX_KEPT_CHARS: Final = 4_000
"""What is kept of a body without an answer: enough to see what it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What came of one comment."""

    calls: tuple[ModelCall, ...]
    """Every call that ended, in order; never empty."""
    reply: Reply
    """What the last one came to."""
    received: Received | None
    """The response to it, `None` where none came or it was no use to go on waiting for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Asks about one comment at a time, on any thread; holds nothing that changes."""

    endpoint: Endpoint
    settings: ModelSettings
    clock: Clock
    remaining_s: Callable[[], float]
    halt: threading.Event
    """Set when nothing more may be sent."""

    def ask(self, prompt: Prompt) -> Asked:
        """Ask, and ask once more where that may help. Never raises for what a server does."""
        first = self._asked(prompt, attempt=1, repair=None)
        repair = RULES[first.reply.outcome].repair
        if repair is None:
            return first
        second = self._asked(prompt, attempt=2, repair=repair)
        return replace(second, calls=(*first.calls, *second.calls))

    def _asked(self, prompt: Prompt, *, attempt: int, repair: str | None) -> Asked:
        messages = prompt.messages(repair)
        max_tokens = self.settings.max_output_tokens * (1 if attempt == 1 else REPAIR_FACTOR)
        sent = self._received(messages, max_tokens)
        received = sent if isinstance(sent, Received) else None
        body = self.settings.hide(received.body) if received else None
        reply = Reply(outcome=sent) if isinstance(sent, Outcome) else _read(sent, body or "")
        call = ModelCall(
            content_hash=prompt.content_hash,
            attempt=attempt,
            model=self.settings.address.model,
            prompt_version=VERSION,
            prompt_hash=hashlib.sha256(json.dumps(messages).encode()).hexdigest(),
            outcome=reply.outcome,
            is_answer=reply.answer is not None,
            served_model=reply.served_model,
            reply=body if body is None or reply.answer else body[:MAX_KEPT_CHARS],
            input_tokens=reply.usage.input_tokens if reply.usage else None,
            output_tokens=reply.usage.output_tokens if reply.usage else None,
            cost_nano_usd=self._cost(reply, messages, max_tokens),
        )
        return Asked(calls=(call,), reply=reply, received=received)

    def _cost(self, reply: Reply, messages: list[dict[str, str]], max_tokens: int) -> int | None:
        """Return what a call costs: by the server's count, or at most, where it may be charged for."""
        prices = self.settings.prices
        if prices is None:
            return None
        if reply.usage is None and not RULES[reply.outcome].is_billed:
            return 0
        return prices.cost_nano_usd(reply.usage or most_tokens(messages, max_tokens))

    def _received(self, messages: list[dict[str, str]], max_tokens: int) -> Received | Outcome:
        """Return a response that is worth reading; wait and try again while the server has no time."""
        for tries in count(1):
            timeout_s = min(self.settings.timeout_s, self.remaining_s())
            if self.halt.is_set() or timeout_s <= 0:
                return Outcome.STOPPED
            sent = self._sent(messages, max_tokens, timeout_s)
            outcome = outage(sent)
            if outcome is None:
                return sent
            headers = sent.headers if isinstance(sent, Received) else None
            wait = wait_s(tries, headers or {}, self.clock.now())
            if wait is None or wait >= self.remaining_s():
                return outcome
            if self.clock.wait(self.halt, wait):
                return Outcome.STOPPED
        raise AssertionError("patience ends")

    def _sent(self, messages: list[dict[str, str]], max_tokens: int, timeout_s: float) -> Received | Outcome:
        try:
            return self.endpoint.send(messages, max_tokens=max_tokens, timeout_s=timeout_s)
        except NoReply as error:
            return error.outcome


def _read(received: Received, body: str) -> Reply:
    return read_reply(body) if received.status == HTTP_OK else Reply(outcome=refusal(received))
