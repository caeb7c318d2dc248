"""Loading the list of phases that the setting `PHASES` names: a module's, or a plug-in's."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import cast

from api.plugins import PluginBroken, find
from api.settings import SettingsError
from statemachine.errors import RegistryError
from statemachine.registry import Registry


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The phases to run, and the tables that they write."""

    name: str
    """The module that they come from."""
    registry: Registry
    schema: tuple[str, ...] = ()
    """Versions of the tables, oldest first: the module's `SCHEMA`, empty where it has none."""


def load_pipeline(spec: str) -> Pipeline:
    """Import `module:attribute`, or what the plug-in of that name points to.

    The current directory counts as importable.

    Raises:
        SettingsError: One sentence about what is missing or wrong.
    """
    module_name, _, attribute = _target(spec).partition(":")
    module = _module(module_name, spec)
    if not hasattr(module, attribute):
        raise SettingsError(f"PHASES={spec}: the module {module_name} has no {attribute}")
    try:
        registry = Registry.of(getattr(module, attribute))
    except RegistryError as error:
        raise SettingsError(f"PHASES={spec}: {error}") from error
    return Pipeline(module_name, registry, _schema(module, spec))


def _target(spec: str) -> str:
    if ":" in spec:
        return spec
    try:
        return find("phases", spec).target
    except PluginBroken as error:
        raise SettingsError(f"PHASES={spec}: {error}; or say module:attribute") from error


def _module(name: str, spec: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)  # at the end: it may not hide what is installed
    try:
        return importlib.import_module(name)
    except Exception as error:  # a module may raise anything while it is imported
        missing = isinstance(error, ModuleNotFoundError) and error.name in {name, name.partition(".")[0]}
        why = f"there is no module {name}, also not in {here}" if missing else _said(name, error)
        raise SettingsError(f"PHASES={spec}: {why}") from error


def _said(name: str, error: Exception) -> str:
    first = next(iter(str(error).splitlines()), "")
    return f"importing {name} raised {type(error).__name__}: {first}"


def _schema(module: ModuleType, spec: str) -> tuple[str, ...]:
    schema: object = getattr(module, "SCHEMA", [])
    versions = cast("list[object]", schema if isinstance(schema, list) else [schema])
    if not all(isinstance(version, str) for version in versions) or isinstance(schema, str):
        raise SettingsError(f"PHASES={spec}: SCHEMA must be a list of SQL texts, oldest first")
    return tuple(str(version) for version in versions)
