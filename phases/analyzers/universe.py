"""What is known of symbols: which exist, of which class, which are words too, and who goes by a name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Final, Literal

AssetClass = Literal["stock", "fund", "crypto", "index", "unknown"]

TRADABLE: Final = frozenset({"stock", "fund", "unknown"})
"""Classes that may become positions; whether an unknown symbol trades is for the price source to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name or nickname of one symbol."""

    symbol: str
    careful: bool
    """A word or a person too: counts only capitalised and beside a trade word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """universe.txt, names.txt and the sections of words.txt, which say what they hold."""

    classes: Mapping[str, AssetClass]
    names: Mapping[str, Name]
    """By spelling, lower case."""
    name_lengths: Mapping[str, int]
    """Words in the longest name that begins with a word."""
    fake: frozenset[str]
    never: frozenset[str]
    cue: frozenset[str]
    plain: frozenset[str]
    distinct: frozenset[str]
    trade_after: frozenset[str]
    trade_before: frozenset[str]
    trade_nouns: frozenset[str]
    links: frozenset[str]
    fillers: frozenset[str]
    expiries: frozenset[str]
    exchanges: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """A symbol left for another one."""

    old: str
    new: str
    since: date
    """First day of the new symbol."""


def symbol_on(symbol: str, day: date | None, *, by_name: bool = False) -> str:
    """Return the symbol that a company had on a day, for one that a comment of that day uses.

    Somebody who writes an old symbol means its successor. Only a company's *name* leads back to the symbol
    of its time: a new symbol may have been another company's before. No day changes nothing.

    >>> symbol_on("FB", date(2024, 5, 1)), symbol_on("FB", date(2021, 5, 1))
    ('META', 'FB')
    >>> symbol_on("META", date(2021, 5, 1), by_name=True), symbol_on("META", date(2021, 5, 1))
    ('FB', 'META')
    """
    if day is None:
        return symbol
    if by_name:
        for rename in reversed(renames()):
            symbol = rename.old if rename.new == symbol and day < rename.since else symbol
    for rename in renames():
        symbol = rename.new if rename.old == symbol and day >= rename.since else symbol
    return symbol


@cache
def renames() -> tuple[Rename, ...]:
    """Return renames.txt in order of time, read at the first call and kept."""
    lines = (line.split() for _, line in data_lines("renames.txt"))
    found = (Rename(old=old, new=new, since=date.fromisoformat(since)) for since, old, new in lines)
    return tuple(sorted(found, key=lambda rename: rename.since))


def asset_class(symbol: str) -> AssetClass:
    """Return the class of a symbol, `unknown` where the universe has no such symbol.

    >>> asset_class("GME"), asset_class("BTC"), asset_class("VIX"), asset_class("QQQQQ")
    ('stock', 'crypto', 'index', 'unknown')
    """
    return vocabulary().classes.get(symbol, "unknown")


def is_tradable(symbol: str) -> bool:
    """Return whether a symbol may become a position: a coin or an index makes signals only."""
    return asset_class(symbol) in TRADABLE


@cache
def vocabulary() -> Vocabulary:
    """Return the data files, read at the first call and kept."""
    names = _names()
    lengths: dict[str, int] = {}
    for name in names:
        first = name.split()[0].removesuffix("'s")
        lengths[first] = max(lengths.get(first, 0), len(name.split()))
    return Vocabulary(
        classes=_classes(),
        names=names,
        name_lengths=lengths,
        **{section: frozenset(words) for section, words in _sections("words.txt").items()},
    )


def data_lines(filename: str) -> Iterator[tuple[str, str]]:
    """Yield `(section, line)` of a data file beside this module; `#` begins a comment line."""
    section = ""
    for raw in files("phases.analyzers").joinpath(filename).read_text(encoding="utf-8").splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line and not line.startswith("#"):
            yield section, line


def _sections(filename: str) -> dict[str, set[str]]:
    sections: dict[str, set[str]] = {}
    for section, line in data_lines(filename):
        sections.setdefault(section, set()).update(line.split())
    return sections


def _classes() -> dict[str, AssetClass]:
    sections = _sections("universe.txt")
    kinds: tuple[AssetClass, ...] = ("stock", "fund", "index", "crypto")
    return {symbol: kind for kind in kinds for symbol in sections[kind]}


def _names() -> dict[str, Name]:
    names: dict[str, Name] = {}
    for section, line in data_lines("names.txt"):
        symbol, _, spellings = line.partition(":")
        for spelling in spellings.split(","):
            names[spelling.strip()] = Name(symbol=symbol, careful=section == "careful")
    return names
