"""An agent in a thread of the test, and a client of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.agent.client import AgentStorage
from adapters.agent.server import serve
from adapters.agent.settings import Adapters, AgentSettings
from adapters.memory import MemoryGate
from tests.unit.adapters.docroot import Docroot


class RunningAgent:
    """An agent in a thread of the test, over a docroot and a memory gate."""

    def __init__(self, site: Docroot, path: Path, **changed: Any) -> None:
        self.path = str(path)
        self.settings = AgentSettings(socket=self.path, **changed)
        self.adapters = Adapters(storage={"www": site.adapter}, gate={"g": MemoryGate()}, cache={})
        self.start()

    def start(self) -> None:
        self.stop_event, ready = threading.Event(), threading.Event()
        self.thread = threading.Thread(
            target=serve,
            args=(self.settings, self.stop_event),
            kwargs={"adapters": self.adapters, "on_ready": ready.set},
        )
        self.thread.start()
        assert ready.wait(10)

    def stop(self) -> None:
        self.stop_event.set()
        self.thread.join(20)
        assert not self.thread.is_alive()

    def connect(self) -> socket.socket:
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(10)
        link.connect(self.path)
        return link


@pytest.fixture
def agent(site: Docroot, tmp_path: Path) -> Iterator[RunningAgent]:
    made = RunningAgent(site, tmp_path / "run" / "agent.sock")
    yield made
    made.stop()


@pytest.fixture
def storage(agent: RunningAgent) -> Iterator[AgentStorage]:
    client = AgentStorage("www", agent.path)
    yield client
    client.close()
