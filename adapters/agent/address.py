"""The `agent` setting of the worker's tables: where the agent listens."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

PREFIX = "unix:"


def check_agent(agent: str, why: str) -> None:
    """Raises ValueError, with words for the operator, where the setting is missing or no socket."""
    if not agent:
        raise ValueError(f'agent: give the agent\'s socket, such as "unix:run/agent.sock"; {why}')
    if not agent.startswith(PREFIX) or agent == PREFIX:
        raise ValueError('agent: must be "unix:" and a path, relative to data_dir or absolute')


def socket_path(agent: str, tools: Mapping[str, Any]) -> str:
    return os.path.join(os.fspath(tools["data_dir"]), agent[len(PREFIX) :])
