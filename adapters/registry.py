"""Finds storage adapters, gates and caches by entry point, checks the operator's tables, and builds them.

A plug-in is loaded when its type is first asked for, so a broken one that nobody configured stops nothing.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal

from adapters.contract import CONTRACT_VERSION, CacheAdapter, GateAdapter, Plugin, StorageAdapter, family
from adapters.settings import misfits, tidy

Group = Literal["storage", "gate", "cache"]

DISTRIBUTION = "takedown-receiver"
ENTRY_POINT_GROUPS: Mapping[Group, str] = {
    "storage": "takedown_receiver.adapters",
    "gate": "takedown_receiver.gates",
    "cache": "takedown_receiver.caches",
}
BUILT_IN: Mapping[Group, Mapping[str, str]] = {
    "storage": {
        "filesystem": "adapters.filesystem.plugin:PLUGIN",
        "memory": "adapters.memory:PLUGIN",
        "s3": "adapters.s3.plugin:PLUGIN",
    },
    "gate": {"nginx": "adapters.nginx.plugin:GATE_PLUGIN", "memory": "adapters.memory:GATE_PLUGIN"},
    "cache": {
        "varnish": "adapters.varnish.adapter:PLUGIN",
        "nginx": "adapters.nginx.plugin:CACHE_PLUGIN",
        "memory": "adapters.memory:CACHE_PLUGIN",
    },
}
"""The entry points of pyproject.toml again, for a source tree that was never installed."""

_TABLES: Mapping[Group, str] = {"storage": "adapters", "gate": "gates", "cache": "caches"}
_Base = type[StorageAdapter] | type[GateAdapter] | type[CacheAdapter]
_BASES: Mapping[Group, _Base] = {"storage": StorageAdapter, "gate": GateAdapter, "cache": CacheAdapter}


class RegistryError(Exception):
    """A plug-in or its settings cannot be used. The message says which, and what to change."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """One plug-in as announced, not loaded yet."""

    type_name: str
    target: str
    distribution: str
    extras: tuple[str, ...] = ()


class Registry:
    """What is installed. Loaded plug-ins are kept."""

    def __init__(self, found: Mapping[Group, Iterable[Found]]) -> None:
        self._found = {group: _by_name(group, found.get(group, ())) for group in ENTRY_POINT_GROUPS}
        self._loaded: dict[tuple[Group, str], Plugin] = {}

    @classmethod
    def load(cls) -> Registry:
        """Read the installed entry points. Raises RegistryError when two distributions announce one type."""
        return cls({group: _announced(group) for group in ENTRY_POINT_GROUPS})

    def kinds(self, group: Group) -> list[tuple[str, str, int]]:
        """(type, distribution, contract version) of each usable plug-in; `broken` has the others."""
        usable = [name for name in sorted(self._found[group]) if not self._broken(group, name)]
        return [
            (name, self._found[group][name].distribution, self._plugin(group, name).contract_version) for name in usable
        ]

    def broken(self, group: Group) -> list[str]:
        """Words about each announced plug-in that cannot be used."""
        words = (self._broken(group, name) for name in sorted(self._found[group]))
        return [word for word in words if word]

    def check(self, group: Group, name: str, table: Mapping[str, Any]) -> list[str]:
        """Every mistake in one operator's table, in words. Values are not repeated: they may be secrets."""
        return self._checked(group, name, table)[1]

    def build(self, group: Group, name: str, table: Mapping[str, Any], tools: Mapping[str, Any]) -> Any:
        """Make the adapter. Raises RegistryError with all mistakes of the table, or the contract's own errors."""
        settings, mistakes = self._checked(group, name, table)
        if mistakes:
            raise RegistryError("; ".join(mistakes))
        with family(f"{_TABLES[group]}.{name}: build"):
            adapter = self._plugin(group, table["type"]).build(name, settings, tools)
        if not isinstance(adapter, _BASES[group]):
            raise RegistryError(f"{_TABLES[group]}.{name}: the plug-in built no {_BASES[group].__name__}")
        adapter.name = name
        return adapter

    def _checked(self, group: Group, name: str, table: Mapping[str, Any]) -> tuple[Any, list[str]]:
        where = f"{_TABLES[group]}.{name}"
        type_name = table.get("type")
        if not isinstance(type_name, str) or type_name not in self._found[group]:
            said = "type is missing" if type_name is None else "unknown type"
            return None, [f"{where}: {said}; known: {', '.join(sorted(self._found[group]))}"]
        try:
            plugin = self._plugin(group, type_name)
        except RegistryError as exc:
            return None, [f"{where}: {exc}"]
        members = {key: tidy(item) for key, item in table.items() if key != "type"}
        settings, mistakes = _settings(plugin.settings, members)
        return settings, [f"{where}: {mistake}" for mistake in mistakes]

    def _broken(self, group: Group, type_name: str) -> str | None:
        try:
            self._plugin(group, type_name)
        except RegistryError as exc:
            return str(exc)
        return None

    def _plugin(self, group: Group, type_name: str) -> Plugin:
        key = (group, type_name)
        if key not in self._loaded:
            self._loaded[key] = _load(self._found[group][type_name])
        return self._loaded[key]


def _announced(group: Group) -> list[Found]:
    found = [
        Found(
            type_name=point.name,
            target=f"{point.module}:{point.attr}",
            distribution=point.dist.name if point.dist else "unknown",
            extras=tuple(point.extras),
        )
        for point in metadata.entry_points(group=ENTRY_POINT_GROUPS[group])
    ]
    ours = {item.type_name for item in found if item.distribution == DISTRIBUTION}
    missing = {name: target for name, target in BUILT_IN[group].items() if name not in ours}
    return found + [Found(type_name=name, target=target, distribution=DISTRIBUTION) for name, target in missing.items()]


def _by_name(group: Group, found: Iterable[Found]) -> dict[str, Found]:
    named: dict[str, Found] = {}
    for item in found:
        # The same distribution may be seen twice on the path; two distributions would be a guess about whose code acts.
        earlier = named.setdefault(item.type_name, item)
        if (earlier.distribution, earlier.target) != (item.distribution, item.target):
            raise RegistryError(
                f"{_TABLES[group]}: type {item.type_name!r} comes from both {earlier.distribution} and "
                f"{item.distribution}; uninstall one of them"
            )
    return named


def _load(found: Found) -> Plugin:
    module_name, _, attribute = found.target.partition(":")
    said = f"type {found.type_name!r} of {found.distribution}"
    try:
        plugin = getattr(importlib.import_module(module_name), attribute, None)
    except ModuleNotFoundError as exc:
        raise RegistryError(f"{said}: {_missing(found, exc.name or '')}") from exc
    except ImportError as exc:
        raise RegistryError(f"{said}: a library it needs does not fit; {_advice(found)}") from exc
    if not isinstance(plugin, Plugin):
        raise RegistryError(f"{said}: {found.target} is not a Plugin")
    if plugin.contract_version != CONTRACT_VERSION:
        raise RegistryError(
            f"{said}: made for contract version {plugin.contract_version}, this receiver has {CONTRACT_VERSION}; "
            "install a matching release"
        )
    if plugin.type_name != found.type_name:
        raise RegistryError(f"{said}: the plug-in calls itself {plugin.type_name!r}; the two must agree")
    return plugin


def _missing(found: Found, module: str) -> str:
    if f"{found.target.partition(':')[0]}.".startswith(f"{module}."):
        return "it is announced but its code is not there; install the package again"
    return f"the library {module!r} is not installed; {_advice(found)}"


def _advice(found: Found) -> str:
    """Name the extra that brings the library: the entry point's own, else one called like the type."""
    try:
        provided = metadata.metadata(found.distribution).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        provided = []
    extra = next((extra for extra in (*found.extras, found.type_name) if extra in provided), None)
    wanted = f"{found.distribution}[{extra}]" if extra else found.distribution
    return f"install {wanted}"


def _settings(cls: Any, members: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """The settings object, and every mistake. None when there is any."""
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        return None, ["the plug-in's settings class is no dataclass"]
    fields = {item.name: item for item in dataclasses.fields(cls) if item.init}
    unknown = [_unknown(key, fields) for key in members if key not in fields]
    needed = [
        name
        for name, item in fields.items()
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    ]
    missing = [f"{name} is missing" for name in needed if name not in members]
    known = {key: item for key, item in members.items() if key in fields}
    wrong = misfits(cls, known)
    mistakes = unknown + missing + wrong
    if missing or wrong:
        return None, mistakes
    try:
        settings = cls(**known)
    except ValueError as exc:
        return None, mistakes + [str(arg) for arg in exc.args]
    return (None if mistakes else settings), mistakes


def _unknown(key: str, fields: Iterable[str]) -> str:
    # A key is shown only if it looks like a name: a value pasted in its place could be a secret.
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", key):
        return "a member has a name that is none"
    near = difflib.get_close_matches(key, list(fields), n=1)
    return f"{key} is not known" + (f"; did you mean {near[0]}?" if near else "")
