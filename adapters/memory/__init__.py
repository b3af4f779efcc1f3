"""A whole store, gate and cache in memory: the reference for adapter authors, and the double in tests.

Everything is forgotten when the process ends. The adapters see the store only as a host would; what customers and the
public can do is on `MemoryStore`, `MemoryGate.refuses` and `MemoryCache.fetch`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.contract import CONTRACT_VERSION, Plugin
from adapters.memory.cache import MemoryCache
from adapters.memory.gate import MemoryGate
from adapters.memory.storage import MemoryStorage
from adapters.memory.store import MemoryStore

__all__ = [
    "CACHE_PLUGIN",
    "GATE_PLUGIN",
    "PLUGIN",
    "MemoryCache",
    "MemoryGate",
    "MemorySettings",
    "MemoryStorage",
    "MemoryStore",
    "NoSettings",
]


@dataclass(frozen=True, kw_only=True)
class MemorySettings:
    keeps_versions: bool = False
    """Whether overwritten bytes stay stored as old versions, as in an object store."""


@dataclass(frozen=True, kw_only=True)
class NoSettings:
    """The memory gate and cache have nothing to set."""


def _storage(name: str, settings: MemorySettings, tools: Mapping[str, Any]) -> MemoryStorage:
    """`tools["memory"]`, where the process lends it, maps an adapter's name to the store it shall work on."""
    lent = tools.get("memory", {}).get(name)
    return MemoryStorage(lent or MemoryStore(keeps_versions=settings.keeps_versions))


def _gate(name: str, settings: NoSettings, tools: Mapping[str, Any]) -> MemoryGate:
    del name, settings, tools
    return MemoryGate()


def _cache(name: str, settings: NoSettings, tools: Mapping[str, Any]) -> MemoryCache:
    del name, settings, tools
    return MemoryCache()


PLUGIN = Plugin(type_name="memory", contract_version=CONTRACT_VERSION, settings=MemorySettings, build=_storage)
GATE_PLUGIN = Plugin(type_name="memory", contract_version=CONTRACT_VERSION, settings=NoSettings, build=_gate)
CACHE_PLUGIN = Plugin(type_name="memory", contract_version=CONTRACT_VERSION, settings=NoSettings, build=_cache)
