"""The analyser that asks a model: groups of five, nothing bought twice, a budget, and a verdict.

A group is asked at once and yielded when all of it has ended. So nothing is on the wire while the phase
writes, and a crash loses the calls of one group at most. Each call is kept before an annotation is read from
it, and content that has an answer is never asked about again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from phases.analyzers.lexicon import LexiconAnalyzer
from phases.analyzers.llm.answer import Answer
from phases.analyzers.llm.asking import Asked, Asker
from phases.analyzers.llm.crew import IN_FLIGHT, Crew, crew
from phases.analyzers.llm.endpoint import Address, Connect
from phases.analyzers.llm.pricing import Prices, most_nano_usd
from phases.analyzers.llm.prompt import VERSION, Prompt, build_prompt
from phases.analyzers.llm.reply import read_reply
from phases.analyzers.llm.tally import Tally
from phases.analyzers.tickers import extract
from phases.annotations import sanitized
from phases.model_calls import NANO_PER_USD
from phases.tools import Analyzer, AnalyzerUnavailable, Annotation, Desk, Excerpt, TickerSentiment

MANY_MISSING_SHARE: Final = 0.05
"""From this share of comments without an answer on, the run carries a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What the composition root decides."""

    address: Address
    fence: Callable[[str], str]
    """A keyed hash; see `build_prompt`."""
    hide: Callable[[str], str] = str
    """Removes the key from what a server sends back."""
    prices: Prices | None = None
    max_cost_nano_usd: int | None = None
    """What a run may cost at most; wants `prices`."""
    timeout_s: float = 60.0
    """For one request, from its beginning to its last byte."""


@dataclass(frozen=True, slots=True)
class _Known:
    """An answer, and the kept call that it was read from."""

    call_id: int
    answer: Answer


class LlmAnalyzer:
    """Asks a model about each comment; where there is no answer, its fallback is to be asked."""

    batch = IN_FLIGHT
    free_picks = 0

    def __init__(self, settings: ModelSettings, connect: Connect) -> None:
        self.name = f"llm:{settings.address.model}/{VERSION}"
        self.fallback: Analyzer | None = LexiconAnalyzer()
        self._settings = settings
        self._connect = connect

    def annotate_all(self, excerpts: Iterable[Excerpt], desk: Desk) -> Iterator[Annotation | None]:
        """Yield one annotation an excerpt, in order; `None` where the model gave no answer that can be used.

        Ends early at the run's hard limit, because a late run fails. Raises `AnalyzerUnavailable` where the
        server refuses everybody, is out, or has answered too few comments.
        """
        source = iter(excerpts)
        group = list(islice(source, IN_FLIGHT))
        if not group:
            return
        tally, halt = Tally(), threading.Event()
        with self._connect() as endpoint, crew(halt, desk.raise_if_stopping) as threads:
            asker = Asker(
                endpoint=endpoint,
                address=self._settings.address,
                prices=self._settings.prices,
                hide=self._settings.hide,
                timeout_s=self._settings.timeout_s,
                clock=desk.clock,
                remaining_s=desk.remaining_s,
                halt=halt,
            )
            work = _Work(self._settings, self.name, asker, threads, desk, tally)
            while group and desk.remaining_s() > 0:
                yield from work.annotated(group)
                if tally.is_useless():
                    raise self._unavailable(tally, desk)
                group = list(islice(source, IN_FLIGHT))
        if not group:
            self._conclude(tally, desk)

    def _conclude(self, tally: Tally, desk: Desk) -> None:
        answered = desk.calls.answers() + tally.reused
        if tally.is_failure(answered):
            raise self._unavailable(tally, desk)
        assert self.fallback is not None, "it was given one"
        instead = f"{self.fallback.name} answers instead"
        if tally.unasked:
            spent, most = desk.calls.cost_nano_usd(), self._settings.max_cost_nano_usd or 0
            desk.warn(
                "model_budget_reached",
                f"{tally.unasked} comments were not asked about, because the run may cost at most "
                f"{_usd(most)} and had cost {_usd(spent)}; {instead}",
                unasked=tally.unasked,
                cost_usd=spent / NANO_PER_USD,
                max_cost_usd=most / NANO_PER_USD,
            )
        total = answered + tally.missing
        if tally.missing > MANY_MISSING_SHARE * total:
            desk.warn(
                "model_answers_missing",
                f"{self.name} gave no usable answer to {tally.missing} of {total} comments; {instead}",
                missing=tally.missing,
                total=total,
                outcomes=tally.reasons,
            )
        if tally.dropped_tickers:
            desk.warn(
                "model_tickers_dropped",
                f"{self.name} named {tally.dropped_tickers} tickers that the comments don't; "
                "they were left out",
                dropped=tally.dropped_tickers,
            )

    def _unavailable(self, tally: Tally, desk: Desk) -> AnalyzerUnavailable:
        answered = desk.calls.answers() + tally.reused
        reasons = ", ".join(f"{number} {reason}" for reason, number in tally.reasons.items())
        return AnalyzerUnavailable(
            f"{self.name} at {self._settings.address.host} answered {answered} of "
            f"{answered + tally.missing} comments ({reasons}); see that it works, then resume the run"
        )


@dataclass(frozen=True, slots=True)
class _Work:
    """One `annotate_all` at work."""

    settings: ModelSettings
    name: str
    asker: Asker
    crew: Crew
    desk: Desk
    tally: Tally

    def annotated(self, excerpts: Sequence[Excerpt]) -> list[Annotation | None]:
        """Return one annotation an excerpt; every call that this took is kept, whatever happens."""
        address, fence = self.settings.address, self.settings.fence
        prompts = [build_prompt(excerpt, model=address.model, fence=fence) for excerpt in excerpts]
        known = {prompt.content_hash: self._recalled(prompt) for prompt in prompts}
        self.tally.reused += sum(known[prompt.content_hash] is not None for prompt in prompts)
        new = {prompt.content_hash: prompt for prompt in prompts if known[prompt.content_hash] is None}
        affordable = self._affordable(list(new.values()))
        self.tally.unasked += len(new) - len(affordable)
        asked, stop = self.crew.ask(self.asker.ask, affordable)
        known |= {each.calls[0].content_hash: self._kept(each) for each in asked}
        if stop:
            raise stop
        self._raise_if_hopeless(asked)
        return [self._annotation(prompt, known[prompt.content_hash]) for prompt in prompts]

    def _recalled(self, prompt: Prompt) -> _Known | None:
        kept = self.desk.calls.recall(prompt.content_hash)
        answer = read_reply(kept[1]).answer if kept else None
        return _Known(kept[0], answer) if kept and answer else None

    def _affordable(self, prompts: list[Prompt]) -> list[Prompt]:
        """Return the first prompts whose worst cases fit into what is left of the budget."""
        prices, most = self.settings.prices, self.settings.max_cost_nano_usd
        if most is None or prices is None:
            return prompts
        if self.tally.unasked:
            return []  # the budget's end is an end, also for shorter comments
        left = most - self.desk.calls.cost_nano_usd()
        for index, prompt in enumerate(prompts):
            left -= most_nano_usd(prompt, prices)
            if left < 0:
                return prompts[:index]
        return prompts

    def _kept(self, asked: Asked) -> _Known | None:
        numbers = [self.desk.calls.keep(call) for call in asked.calls]
        self.tally.count(asked.reply.outcome)
        return _Known(numbers[-1], asked.reply.answer) if asked.reply.answer else None

    def _raise_if_hopeless(self, asked: Sequence[Asked]) -> None:
        """Raise where no comment will be answered.

        A guard before a server may forbid one comment for its words; it is believed as long as nothing was
        ever answered.
        """
        has_answered = self.desk.calls.answers() > 0
        for each in asked:
            if each.hopeless and not (each.is_forbidden and has_answered):
                raise AnalyzerUnavailable(each.hopeless)

    def _annotation(self, prompt: Prompt, known: _Known | None) -> Annotation | None:
        if known is None:
            return None
        answer = known.answer
        stances = _stances(answer, extract(prompt.body))
        self.tally.dropped_tickers += len({stance.ticker for stance in answer.ticker_sentiments}) - len(
            stances
        )
        return sanitized(
            Annotation(
                tickers=stances,
                sentiment=answer.sentiment,
                sarcasm_detected=answer.sarcasm_detected,
                has_reasoning=answer.has_reasoning,
                confidence=answer.confidence,
                reasoning_summary=answer.reasoning_summary,
                analyzer=self.name,
                model_call_id=known.call_id,
            )
        )


def _stances(answer: Answer, named: Sequence[str]) -> tuple[TickerSentiment, ...]:
    """Return the stances on those symbols that the comment names, in its order."""
    said: dict[str, TickerSentiment] = {}
    for stance in answer.ticker_sentiments:
        symbol = stance.ticker.strip().lstrip("$").upper().replace("-", ".").replace("/", ".")
        said.setdefault(symbol, TickerSentiment(symbol, stance.sentiment))
    return tuple(said[symbol] for symbol in named if symbol in said)


def _usd(nano: int) -> str:
    return f"${nano / NANO_PER_USD:.4f}"
