"""The agent's own settings: it acts on nothing that is not named here, whatever the worker asks.

TOML where Python has `tomllib` (3.11), JSON everywhere.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.contract import CacheAdapter, GateAdapter, StorageAdapter
from adapters.filesystem.adapter import FilesystemAdapter
from adapters.nginx.cache import NginxCache
from adapters.nginx.gate import NginxGate

if sys.version_info >= (3, 11):
    import tomllib

GATE_TYPES: Mapping[str, Callable[..., GateAdapter]] = {"nginx": NginxGate}
CACHE_TYPES: Mapping[str, Callable[..., CacheAdapter]] = {"nginx": NginxCache}
TABLES = ("filesystems", "gates", "caches")


class SettingsError(ValueError):
    """All mistakes at once, one a line."""


@dataclass(frozen=True)
class AgentSettings:
    """As in the file; see README.md for each."""

    socket: str
    allow_uids: tuple[int, ...] = ()
    socket_group: int = -1
    max_acts_per_minute: int = 20_000
    """What the receiver takes from one issuer in a minute by default: a deny, a block and a removal for each item."""
    no_new_privileges: bool = True
    filesystems: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    gates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    caches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Adapters:
    """What the agent acts on, by name."""

    storage: Mapping[str, StorageAdapter]
    gate: Mapping[str, GateAdapter]
    cache: Mapping[str, CacheAdapter]

    def close(self) -> None:
        for storage in self.storage.values():
            storage.close()
        for gate in self.gate.values():
            gate.close()
        for cache in self.cache.values():
            cache.close()


def load(path: str) -> AgentSettings:
    """Read a settings file. Relative paths of the socket count from the file's folder."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as exc:
        raise SettingsError(f"the settings file cannot be read: {exc.strerror}") from exc
    found = _parsed(data, is_toml=path.endswith(".toml"))
    if isinstance(found.get("socket"), str):
        found["socket"] = os.path.join(os.path.dirname(os.path.abspath(path)), found["socket"])
    return from_table(found)


def _parsed(data: bytes, *, is_toml: bool) -> dict[str, Any]:
    try:
        if not is_toml:
            found = json.loads(data)
        elif sys.version_info >= (3, 11):
            found = tomllib.loads(data.decode("utf-8"))
        else:
            raise SettingsError("this Python reads no TOML: write the settings as JSON")
    except (ValueError, UnicodeDecodeError) as exc:
        raise SettingsError(f"the settings file cannot be read: {exc}") from exc
    if not isinstance(found, dict):
        raise SettingsError("the settings file must hold one table")
    return found


def from_table(table: Mapping[str, Any]) -> AgentSettings:
    """Check names and kinds. Raises SettingsError with all mistakes."""
    mistakes = []
    known = inspect.signature(AgentSettings).parameters
    mistakes += [f"{name}: no such setting" for name in table if name not in known]
    if not isinstance(table.get("socket"), str) or not table.get("socket"):
        mistakes.append("socket: give the path of the unix socket, as in the worker's `agent` setting")
    uids = table.get("allow_uids", [])
    if not isinstance(uids, (list, tuple)) or not all(isinstance(uid, int) for uid in uids):
        mistakes.append("allow_uids: a list of numeric user ids")
    for name, kind in (("max_acts_per_minute", int), ("socket_group", int), ("no_new_privileges", bool)):
        if name in table and type(table[name]) is not kind:
            mistakes.append(f"{name}: must be {'a whole number' if kind is int else 'true or false'}")
    for name in TABLES:
        tables = table.get(name, {})
        if not isinstance(tables, Mapping) or not all(isinstance(one, Mapping) for one in tables.values()):
            mistakes.append(f"{name}: must be tables, such as [{name}.www]")
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return AgentSettings(**{**table, "allow_uids": tuple(uids)})


def build(settings: AgentSettings) -> Adapters:
    """Make every adapter. Raises SettingsError with all mistakes of all of them."""
    mistakes: list[str] = []
    built = Adapters(
        storage=_each("filesystems", settings.filesystems, {"filesystem": FilesystemAdapter}, mistakes, "filesystem"),
        gate=_each("gates", settings.gates, GATE_TYPES, mistakes),
        cache=_each("caches", settings.caches, CACHE_TYPES, mistakes),
    )
    if not (built.storage or built.gate or built.cache) and not mistakes:
        mistakes.append("nothing to act on: name at least one of [filesystems.…], [gates.…], [caches.…]")
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return built


def _each(
    table: str,
    named: Mapping[str, Mapping[str, Any]],
    types: Mapping[str, Callable[..., Any]],
    mistakes: list[str],
    default_type: str = "",
) -> dict[str, Any]:
    built = {}
    for name, members in named.items():
        wanted = dict(members)
        maker = types.get(wanted.pop("type", default_type))
        where = f"[{table}.{name}]"
        if maker is None:
            mistakes.append(f"{where} type: must be one of {', '.join(types)}")
            continue
        known = inspect.signature(maker).parameters
        needed = {member for member, kind in known.items() if kind.default is kind.empty} - {"name"}
        mistaken = [f"{where} {member}: no such setting" for member in sorted(set(wanted) - set(known))]
        # What is missing is most often what was misspelt.
        mistaken = mistaken or [f"{where} {member}: is missing" for member in sorted(needed - set(wanted))]
        if mistaken:
            mistakes += mistaken
            continue
        try:
            built[name] = maker(name, **wanted)
        except (ValueError, TypeError) as exc:
            mistakes.append(f"{where} {exc}")
        except OSError as exc:
            mistakes.append(f"{where} {exc.strerror}: the agent's user must be able to use these paths")
    return built
