"""What the worker builds for a store of type `filesystem`: the line to the agent, never the adapter itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.agent.address import check_agent, socket_path
from adapters.agent.client import AgentStorage
from adapters.contract import CONTRACT_VERSION, Plugin, StorageAdapter


@dataclass(frozen=True)
class FilesystemSettings:
    """`root` and `quarantine_dir` are for `explain` and `check`; what counts stands in the agent's own settings."""

    agent: str = ""
    root: str = ""
    quarantine_dir: str = ""

    def __post_init__(self) -> None:
        check_agent(self.agent, "the filesystem adapter never runs in the worker")


def build(name: str, settings: FilesystemSettings, tools: Mapping[str, Any]) -> StorageAdapter:
    return AgentStorage(name, socket_path(settings.agent, tools))


PLUGIN = Plugin("filesystem", CONTRACT_VERSION, settings=FilesystemSettings, build=build)
