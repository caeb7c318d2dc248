"""Plug-ins: phases, sources, analysers and prices that other installed packages offer by entry points.

Their names are known without importing them, so a broken one can't keep a server from starting: it is named
by `phaseline doctor`, and to whoever asks for it. `docs/plugins.md` says how to write one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, EntryPoint, EntryPoints, distributions
from typing import Final, Literal, cast

Kind = Literal["phases", "sources", "analyzers", "prices"]
KINDS: Final[tuple[Kind, ...]] = ("phases", "sources", "analyzers", "prices")
PREFIX: Final = "phaseline."
NAME: Final = r"[a-z][a-z0-9_-]{0,63}"
NAMED: Final = rf"{NAME}(:[^\x00-\x1f]+)?"
"""How a setting asks for one: its name and, after a colon, what it is told."""
OURS: Final = ("sample", "archive", "reddit", "lexicon", "llm", "csv", "yfinance", "schwab")
"""Names that stay with Phaseline's own."""
NEEDS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "sources": ("name", "read"),
    "analyzers": ("name", "batch", "free_picks", "fallback", "annotate_all"),
    "prices": ("name", "quote", "bars"),
}
"""What an object must have to be one; see the Protocols in `phases.tools`."""
ONE: Final[Mapping[Kind, str]] = {
    "phases": "list of phases",
    "sources": "source",
    "analyzers": "analyzer",
    "prices": "price source",
}


class PluginBroken(Exception):
    """A plug-in can't be used; the message names it and its package, and says why."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point of a package."""

    kind: Kind
    name: str
    target: str
    """`module:attribute`."""
    package: str
    """Name and version of the package that offers it."""

    def __str__(self) -> str:
        return f"the {ONE[self.kind]} {self.name} of {self.package}"


@dataclass(frozen=True, slots=True)
class Scan:
    """What the installed packages offer."""

    plugins: tuple[Plugin, ...]
    unreadable: tuple[str, ...]
    """Packages whose list of entry points can't be read, each with its reason."""


def scan() -> Scan:
    """Return what is installed; a package that comes later is seen after a restart."""
    return _scan(tuple(sys.path))


def names(kind: Kind) -> list[str]:
    """Return the names that plug-ins of a kind have."""
    return sorted({plugin.name for plugin in scan().plugins if plugin.kind == kind})


def find(kind: Kind, named: str) -> Plugin:
    """Return the plug-in that `NAME[:ARGUMENT]` asks for; raises `PluginBroken` unless just one has it."""
    name = named.partition(":")[0]
    found = [plugin for plugin in scan().plugins if (plugin.kind, plugin.name) == (kind, name)]
    if len(found) > 1:
        packages = " and ".join(plugin.package for plugin in found)
        raise PluginBroken(f"{packages} both offer the {ONE[kind]} {name}; uninstall one of them")
    if not found:
        known = ", ".join(names(kind)) or "none"
        raise PluginBroken(f"no installed package offers the {ONE[kind]} {name}; plug-ins offer: {known}")
    return found[0]


def load(plugin: Plugin) -> Callable[..., object]:
    """Import what a plug-in points to; raises `PluginBroken`."""
    point = EntryPoint(plugin.name, plugin.target, PREFIX + plugin.kind)
    try:
        loaded: object = point.load()
    except (Exception, SystemExit) as error:  # a module may do anything while it is imported
        raise _broken(plugin, f"loading {plugin.target} raised", error) from error
    if plugin.kind != "phases" and not callable(loaded):
        raise PluginBroken(f"{plugin} is broken: {plugin.target} is not callable")
    return cast("Callable[..., object]", loaded)


def problem(kind: Kind, named: str) -> str | None:
    """Return what keeps a plug-in from being asked for, `None` where nothing is known to."""
    try:
        load(find(kind, named))
    except PluginBroken as error:
        return str(error)
    return None


def obstacle(plugin: Plugin) -> str | None:
    """Return what keeps one of the found plug-ins from being asked for, its name included."""
    return problem(plugin.kind, plugin.name) or _unreachable(plugin)


def _unreachable(plugin: Plugin) -> str | None:
    if not fits(plugin.name):
        return f"{plugin} can't be asked for: a name is small letters, digits, - and _"
    if plugin.name in OURS:
        return f"{plugin} can't be asked for: Phaseline has that name for its own"
    return None


def make(kind: Kind, named: str, *given: object) -> object:
    """Return what a plug-in makes of its argument and of what is `given`; raises `PluginBroken`.

    What it raises as the Protocols of `phases.tools` have it (`SourceUnavailable` and its like) passes.
    """
    plugin = find(kind, named)
    factory = load(plugin)
    try:
        made = factory(named.partition(":")[2], *given)
    except Exception as error:
        if type(error).__module__ == "phases.tools":
            raise
        raise _broken(plugin, f"{plugin.target} raised", error) from error
    missing = [attribute for attribute in NEEDS[kind] if not hasattr(made, attribute)]
    if missing:
        raise PluginBroken(f"{plugin} is broken: what {plugin.target} makes has no {', '.join(missing)}")
    return made


def _broken(plugin: Plugin, what: str, error: BaseException) -> PluginBroken:
    first = next(iter(str(error).splitlines()), "")
    return PluginBroken(f"{plugin} is broken: {what} {type(error).__name__}: {first}".rstrip(": "))


@cache
def _scan(path: tuple[str, ...]) -> Scan:
    plugins: dict[tuple[str, str, str], Plugin] = {}
    unreadable: list[str] = []
    for package in distributions(path=list(path)):
        text = package.read_text("entry_points.txt") or ""
        if PREFIX not in text:
            continue
        try:
            found = list(_of(package))
        except Exception as error:  # noqa: BLE001  # somebody else's file, however it is wrong
            unreadable.append(f"{_title(package)}: its entry points can't be read ({type(error).__name__})")
            continue
        for plugin in found:
            key = (plugin.kind, plugin.name, package.metadata["Name"])
            plugins.setdefault(key, plugin)  # the same package twice on the path: the first one is imported
    return Scan(tuple(sorted(plugins.values(), key=str)), tuple(unreadable))


def _of(package: Distribution) -> Iterator[Plugin]:
    points: EntryPoints = package.entry_points
    for kind in KINDS:
        for point in points.select(group=PREFIX + kind):
            yield Plugin(kind, point.name, point.value, _title(package))


def _title(package: Distribution) -> str:
    return f"{package.metadata['Name']} {package.version}"


def fits(name: str) -> bool:
    """Return whether settings can ask for a plug-in of that name."""
    return re.fullmatch(NAME, name) is not None
