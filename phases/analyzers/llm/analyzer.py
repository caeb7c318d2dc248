"""The analyser that asks a model: groups of five, nothing bought twice, a budget, and a verdict.

A group is asked at once and yielded when all of it has ended. So nothing is on the wire while the phase
writes, and a crash loses the calls of one group at most. Each call is kept before an annotation is read from
it, and content that has an answer is never asked about again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice

from phases.analyzers.lexicon import LexiconAnalyzer
from phases.analyzers.llm.answer import Answer
from phases.analyzers.llm.asking import Asked, Asker
from phases.analyzers.llm.conclusion import answered, unavailable, warn
from phases.analyzers.llm.crew import IN_FLIGHT, Crew, crew
from phases.analyzers.llm.endpoint import Connect
from phases.analyzers.llm.pricing import most_nano_usd
from phases.analyzers.llm.prompt import VERSION, Prompt, build_prompt
from phases.analyzers.llm.reply import read_reply
from phases.analyzers.llm.settings import ModelSettings
from phases.analyzers.llm.statuses import FORBIDDEN, hopeless_because
from phases.analyzers.llm.tally import Tally
from phases.analyzers.tickers import extract
from phases.analyzers.universe import symbol_on
from phases.annotations import sanitized
from phases.tools import Analyzer, AnalyzerUnavailable, Annotation, Desk, Excerpt, TickerSentiment


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
        address, tally, halt = self._settings.address, Tally(), threading.Event()
        with self._connect() as endpoint, crew(halt, desk.raise_if_stopping) as threads:
            asker = Asker(
                endpoint=endpoint,
                settings=self._settings,
                clock=desk.clock,
                remaining_s=desk.remaining_s,
                halt=halt,
            )
            work = _Work(self._settings, self.name, asker, threads, desk, tally)
            while group and desk.remaining_s() > 0:
                yield from work.annotated(group)
                if tally.is_useless():
                    raise unavailable(self.name, address.host, tally, desk)
                group = list(islice(source, IN_FLIGHT))
        if group:
            return
        if tally.is_failure(answered(tally, desk)):
            raise unavailable(self.name, address.host, tally, desk)
        warn(self.name, tally, desk, max_cost_nano_usd=self._settings.max_cost_nano_usd or 0)


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
        chosen = {prompt.content_hash for prompt in affordable}
        self.tally.unasked += sum(
            known[each.content_hash] is None and each.content_hash not in chosen for each in prompts
        )
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
            left -= most_nano_usd(prompt, prices, self.settings.max_output_tokens)
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
        for received in (each.received for each in asked):
            because = hopeless_because(received, self.settings.address) if received else None
            if because and not (received and received.status == FORBIDDEN and has_answered):
                raise AnalyzerUnavailable(because)

    def _annotation(self, prompt: Prompt, known: _Known | None) -> Annotation | None:
        if known is None:
            return None
        answer = known.answer
        stances = _stances(answer, extract(prompt.body, prompt.written_on), prompt.written_on)
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


def _stances(answer: Answer, named: Sequence[str], day: date | None) -> tuple[TickerSentiment, ...]:
    """Return the stances on those symbols that the comment names, in its order."""
    said: dict[str, TickerSentiment] = {}
    for stance in answer.ticker_sentiments:
        symbol = next((each for each in _symbols(stance.ticker, day) if each in named), None)
        if symbol:
            said.setdefault(symbol, TickerSentiment(symbol, stance.sentiment))
    return tuple(said[symbol] for symbol in named if symbol in said)


def _symbols(spelled: str, day: date | None) -> tuple[str, ...]:
    """Return what a model may mean by a symbol: it, and what its company was called on that day."""
    symbol = spelled.strip().lstrip("$").upper().replace("-", ".").replace("/", ".")
    return symbol, symbol_on(symbol, day), symbol_on(symbol, day, by_name=True)
