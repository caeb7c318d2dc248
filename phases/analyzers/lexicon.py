"""The embedded analyser: rules and a hand-written lexicon, offline, the same answer at every call."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from phases.analyzers.phrases import Match, Role, lexicon
from phases.analyzers.reasoning import has_reasoning, summary
from phases.analyzers.stance import TICKER_THRESHOLD, Cue, lean, leans_by_symbol, sentiment_of, weigh
from phases.analyzers.text import clean
from phases.analyzers.tickers import Mention
from phases.analyzers.tickers import mentions as find_mentions
from phases.analyzers.tokens import Token, tokenize
from phases.tools import Annotation, Excerpt, Mapper, TickerSentiment

NAME: Final = "lexicon-1"

BASE_CONFIDENCE: Final = 0.5
CLEAR_BONUS: Final = 0.2
REASONING_BONUS: Final = 0.2
TRUST_BONUS: Final = 0.1
SARCASM_PENALTY: Final = 0.2
MEME_PENALTY: Final = 0.2
CONTRADICTION_PENALTY: Final = 0.1

TRUSTED: Final = 0.6
"""An author must be above this for the bonus."""
CLEAR_LEAN: Final = 0.6
"""A lean beyond this is clear, if little speaks against it."""
MIXED_SHARE: Final = 0.35
"""From this share of the cues' weight on, what speaks against an opinion makes it unclear."""

QUESTION_FACTOR: Final = 0.65
"""What each sign of a newcomer's question leaves of a lean."""


class LexiconAnalyzer:
    """Annotates by `annotate`, on the workers that the run has."""

    name = NAME
    batch = 200
    free_picks = 20_000  # some ten seconds of work

    def annotate_all(self, excerpts: Iterable[Excerpt], run_map: Mapper) -> Iterator[Annotation | None]:
        """Yield one annotation an excerpt, in order; this analyser always has an answer."""
        yield from run_map(annotate, excerpts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """One text, taken apart."""

    text: str
    tokens: Sequence[Token]
    mentions: Sequence[Mention]
    matches: Sequence[Match]
    roles: Counter[Role]
    cues: Sequence[Cue]
    lean: float


def annotate(excerpt: Excerpt) -> Annotation:
    """Return what the lexicon says of one comment. Pure: it depends on the excerpt alone."""
    reading = _read(excerpt.body)
    argues = has_reasoning(reading.text, reading.tokens, reading.matches)
    return Annotation(
        tickers=_stances(reading),
        sentiment=sentiment_of(reading.lean),
        sarcasm_detected=_is_sarcastic(reading),
        has_reasoning=argues,
        confidence=_confidence(reading, excerpt, argues=argues),
        reasoning_summary=summary(reading.text, reading.tokens, reading.matches) if argues else None,
        analyzer=NAME,
    )


def _read(body: str) -> _Reading:
    text = clean(body)
    tokens = tokenize(text)
    mentions = find_mentions(tokens, chars=len(text))
    matches = list(lexicon().matches(tokens))
    roles: Counter[Role] = Counter(match.role for match in matches)
    cues = weigh(tokens, matches, mentions)
    return _Reading(
        text=text,
        tokens=tokens,
        mentions=mentions,
        matches=matches,
        roles=roles,
        cues=cues,
        lean=lean(cue.value for cue in cues) * _asking(roles),
    )


def _asking(roles: Counter[Role]) -> float:
    return QUESTION_FACTOR ** roles["newcomer"]


def _stances(reading: _Reading) -> tuple[TickerSentiment, ...]:
    """Return the stance on each ticker; what is said at all is said of the only one."""
    leans = leans_by_symbol(reading.tokens, reading.cues, reading.mentions)
    if len(leans) == 1:
        leans = dict.fromkeys(leans, reading.lean)
    else:
        leans = {symbol: leaning * _asking(reading.roles) for symbol, leaning in leans.items()}
    return tuple(
        TickerSentiment(symbol, sentiment_of(leaning, TICKER_THRESHOLD)) for symbol, leaning in leans.items()
    )


def _is_sarcastic(reading: _Reading) -> bool:
    return reading.roles["sarcasm"] + reading.roles["inverse"] > 0


def _confidence(reading: _Reading, excerpt: Excerpt, *, argues: bool) -> float:
    """Return the guide's sum, 0 to 1."""
    adjustments = (
        (_is_clear(reading), CLEAR_BONUS),
        (argues, REASONING_BONUS),
        (excerpt.author_trust > TRUSTED, TRUST_BONUS),
        (_is_sarcastic(reading), -SARCASM_PENALTY),
        (not argues and _is_only_meme(reading), -MEME_PENALTY),
        (_contradicts(reading, excerpt.parents), -CONTRADICTION_PENALTY),
    )
    total = BASE_CONFIDENCE + math.fsum(change for applies, change in adjustments if applies)
    return min(1.0, max(0.0, round(total, 3)))


def _is_clear(reading: _Reading) -> bool:
    bullish = math.fsum(cue.value for cue in reading.cues if cue.value > 0)
    bearish = -math.fsum(cue.value for cue in reading.cues if cue.value < 0)
    return abs(reading.lean) > CLEAR_LEAN and min(bullish, bearish) < MIXED_SHARE * (bullish + bearish)


def _is_only_meme(reading: _Reading) -> bool:
    """Return whether every cue is a meme."""
    memes = {
        index
        for match in reading.matches
        if match.role == "meme"
        for index in range(match.first, match.last + 1)
    }
    return bool(reading.cues) and all(cue.first in memes or cue.last in memes for cue in reading.cues)


def _contradicts(reading: _Reading, parents: tuple[str, ...]) -> bool:
    """Return whether the comment and the one that it answers lean opposite ways."""
    opinion = sentiment_of(reading.lean)
    if opinion == "neutral" or not parents:
        return False
    return {opinion, sentiment_of(_read(parents[0]).lean)} == {"bullish", "bearish"}
