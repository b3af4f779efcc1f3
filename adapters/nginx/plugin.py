"""What the worker builds for gates and caches of type `nginx`: lines to the agent on nginx's machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.agent.address import check_agent, socket_path
from adapters.agent.client import AgentCache, AgentGate
from adapters.contract import CONTRACT_VERSION, CacheAdapter, GateAdapter, Plugin

WHY = "the agent's own settings name the files and commands of nginx"


@dataclass(frozen=True)
class NginxGateSettings:
    agent: str = ""

    def __post_init__(self) -> None:
        check_agent(self.agent, WHY)


@dataclass(frozen=True)
class NginxCacheSettings:
    agent: str = ""

    def __post_init__(self) -> None:
        check_agent(self.agent, WHY)


def build_gate(name: str, settings: NginxGateSettings, tools: Mapping[str, Any]) -> GateAdapter:
    return AgentGate(name, socket_path(settings.agent, tools))


def build_cache(name: str, settings: NginxCacheSettings, tools: Mapping[str, Any]) -> CacheAdapter:
    return AgentCache(name, socket_path(settings.agent, tools))


GATE_PLUGIN = Plugin("nginx", CONTRACT_VERSION, settings=NginxGateSettings, build=build_gate)
CACHE_PLUGIN = Plugin("nginx", CONTRACT_VERSION, settings=NginxCacheSettings, build=build_cache)
