"""Which symbols a text names, why that is believed, and how firmly.

From the firmest reason to the weakest:

    cashtag   `$GME`
    caps      `GME`: a known symbol that is no everyday word, where the text does not shout
    lower     `gme`, `Nvda`: only symbols that are no word in any spelling
    cue       `OPEN calls`, `Acme Widgets (XYZW)`: a word, or an unknown symbol, beside a trade word
    name      `the mouse`, `Google calls`: see names.txt

Companies are named for many reasons (a supplier, a rival, a search engine), so outside a short text a name
counts only beside a trade word. Where capitals carry no information (a shouted sentence), only symbols that
are no word are believed. What is a word, a joke, an acronym or a trade word is data: words.txt.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from phases.analyzers.cues import follows, has_cue
from phases.analyzers.tokens import Token, tokenize
from phases.analyzers.universe import AssetClass, Name, Vocabulary, asset_class, symbol_on, vocabulary

Reason = Literal["cashtag", "caps", "lower", "cue", "name"]

WELL_FORMED: Final = re.compile(r"[A-Z]{1,5}(?:\.[A-Z])?")
"""A symbol as stored; share classes are written with a dot."""

SHORT_TEXT_CHARS: Final = 400
"""Up to here a company's name alone counts as a mention."""

_SHOUT_SHARE: Final = 0.6
_SHOUT_WORDS: Final = 2
_SHORT_SYMBOL: Final = 2
"""Capitals up to this length are too common to be believed without a cue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """One place where a text names a symbol."""

    symbol: str
    reason: Reason
    confidence: float
    """0 to 1: how firmly the symbol is believed to be meant."""
    asset: AssetClass
    first: int
    """Index of its first token."""
    last: int
    """Index of its last token."""


def extract(text: str, day: date | None = None) -> tuple[str, ...]:
    """Return the symbols that a cleaned text names, each once, in order of first mention.

    With the day on which it was written, a renamed company goes by its symbol of that day.

    >>> extract("Sold my $GME, now long PLTR and amc. DD: I like the stock. YOLO!")
    ('GME', 'PLTR', 'AMC')
    """
    return symbols(mentions(tokenize(text), chars=len(text), day=day))


def symbols(found: Iterable[Mention]) -> tuple[str, ...]:
    """Return the symbols of mentions, each once, in order."""
    return tuple(dict.fromkeys(mention.symbol for mention in found))


def mentions(
    tokens: Sequence[Token], *, chars: int, day: date | None = None, known: Vocabulary | None = None
) -> list[Mention]:
    """Return every mention in the tokens of a text of `chars` characters, in order.

    What is known of symbols is the shipped vocabulary, where no other is given.
    """
    finder = _Finder(tokens, known or vocabulary(), day, short=chars <= SHORT_TEXT_CHARS)
    return list(finder.find())


class _Finder:
    """Owns what one text's tokens are judged by: who shouts, and which cashtags it holds."""

    def __init__(self, tokens: Sequence[Token], known: Vocabulary, day: date | None, *, short: bool) -> None:
        self._tokens = tokens
        self._day = day
        self._short = short
        self._known = known
        self._shouted = _shouted_sentences(tokens, self._known)
        tags = (_cashtag(token.text, self._known) for token in tokens if token.kind == "cashtag")
        self._tagged = frozenset(symbol for symbol in tags if symbol)

    def find(self) -> Iterator[Mention]:
        index = 0
        while index < len(self._tokens):
            mention = self._at(index)
            if mention is None:
                index += 1
            else:
                yield mention
                index = mention.last + 1

    def _at(self, index: int) -> Mention | None:
        token = self._tokens[index]
        if token.kind == "word":
            return self._name(index) or self._word(index)
        if token.kind == "cashtag" and (tag := _cashtag(token.text, self._known)):
            return self._mention(tag, "cashtag", 0.98 if tag in self._known.classes else 0.7, index)
        if token.kind == "share_class" and (symbol := _dotted(token.text)) in self._known.classes:
            return self._mention(symbol, "caps", 0.9, index)
        return None

    def _name(self, index: int) -> Mention | None:
        longest = self._known.name_lengths.get(_stem(self._tokens[index].lower))
        if longest is None:
            return None
        for last in range(index + longest - 1, index - 1, -1):
            spelled = " ".join(token.lower for token in self._tokens[index : last + 1])
            name = self._known.names.get(spelled) or self._known.names.get(_stem(spelled))
            if name and last < len(self._tokens) and self._means_the_stock(name, index, last):
                return self._mention(name.symbol, "name", 0.6, index, last)
        return None

    def _means_the_stock(self, name: Name, first: int, last: int) -> bool:
        if name.careful and not self._tokens[first].text[0].isupper():
            return False
        return (self._short and not name.careful) or has_cue(self._tokens, first, last, self._known)

    def _word(self, index: int) -> Mention | None:
        known, text = self._known, _singular(_stem(self._tokens[index].text))
        symbol, is_upper = text.upper(), text.isupper()
        if not is_upper and symbol not in known.distinct:
            return None
        if not WELL_FORMED.fullmatch(symbol) or symbol in known.fake:
            return None
        if symbol in known.distinct:
            return self._mention(symbol, "caps" if is_upper else "lower", 0.9, index)
        if symbol in self._tagged:
            return self._mention(symbol, "caps", 0.95, index)
        return None if symbol in known.never else self._capitals(symbol, index)

    def _capitals(self, symbol: str, index: int) -> Mention | None:
        known, shouted = self._known, self._is_shouted(index)
        is_known, is_short = symbol in known.classes, len(symbol) <= _SHORT_SYMBOL
        if is_known and not shouted and (symbol in known.plain or not (is_short or symbol in known.cue)):
            return self._mention(symbol, "caps", 0.85, index)
        if len(symbol) == 1:
            return self._mention(symbol, "cue", 0.7, index) if self._is_traded_next(index) else None
        if not is_known and (is_short or shouted):
            return None
        if shouted and symbol in known.cue:
            return None
        if not has_cue(self._tokens, index, index, known):
            return None
        return self._mention(symbol, "cue", 0.75 if is_known else 0.5, index)

    def _is_traded_next(self, index: int) -> bool:
        return follows(self._tokens[: index + 2], index, self._known)

    def _is_shouted(self, index: int) -> bool:
        if self._tokens[index].sentence in self._shouted:
            return True
        neighbours = (*self._tokens[max(0, index - 1) : index], *self._tokens[index + 1 : index + 2])
        return sum(_is_plain_capital(token, self._known) for token in neighbours) > 1

    def _mention(
        self, symbol: str, reason: Reason, confidence: float, first: int, last: int | None = None
    ) -> Mention:
        symbol = symbol_on(symbol, self._day, by_name=reason == "name")
        return Mention(
            symbol=symbol,
            reason=reason,
            confidence=confidence,
            asset=asset_class(symbol),
            first=first,
            last=first if last is None else last,
        )


def _cashtag(text: str, known: Vocabulary) -> str | None:
    """Return the symbol of `$GME`, `$gme`, `$BRK-B` or `$NYSE:GME`; `None` for `$ROPE` and `$k`."""
    bare = text[1:].rpartition(":")[2]
    symbol = _dotted(bare.upper())
    if symbol not in known.classes:
        symbol = _dotted(_singular(bare).upper()).partition(".")[0]
    is_letter = len(symbol) == 1 and (bare.islower() or symbol not in known.classes)
    if is_letter or symbol in known.fake or not WELL_FORMED.fullmatch(symbol):
        return None
    return symbol


def _dotted(symbol: str) -> str:
    return symbol.replace("/", ".").replace("-", ".")


def _stem(word: str) -> str:
    """Return a word without its possessive ending."""
    return word.removesuffix("'s")


def _singular(word: str) -> str:
    """Return `AMD` for `AMDs`, and `Us` for `Us`."""
    if word[-1:] != "s":
        return word
    bare = word[:-1]
    return bare if len(bare) > 1 and bare.isupper() else word


def _is_plain_capital(token: Token, known: Vocabulary) -> bool:
    """Return whether a word is in capitals without being a symbol: it shouts."""
    text = token.text
    return (
        token.kind == "word"
        and len(text) > 1
        and text.isupper()
        and (text in known.never or text not in known.classes)
    )


def _shouted_sentences(tokens: Sequence[Token], known: Vocabulary) -> frozenset[int]:
    """Return the sentences whose capitals carry no information."""
    words, capitals, plain = Counter[int](), Counter[int](), Counter[int]()
    for token in tokens:
        if token.kind == "word" and len(token.text) > 1:
            words[token.sentence] += 1
            if token.text.isupper():
                capitals[token.sentence] += 1
                plain[token.sentence] += _is_plain_capital(token, known)
    return frozenset(
        sentence
        for sentence, count in words.items()
        if plain[sentence] >= _SHOUT_WORDS and capitals[sentence] / count >= _SHOUT_SHARE
    )
