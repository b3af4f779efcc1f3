"""A world whose store is the folder of `hostile_customers`, and whose public finds what is in it."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.agent.client import AgentStorage
from adapters.agent.server import serve
from adapters.agent.settings import Adapters, AgentSettings
from receiver.resolution.urls import canonical_url
from tests.doubles.calling import call_people
from tests.doubles.make_world import make_world
from tests.doubles.world import HOST, World
from tests.faults.hostile_customers import HostileSite


class Chain:
    """A world whose store is the customer's folder. `through_agent` puts the agent's socket in between."""

    def __init__(self, folder: Path, site: HostileSite, *, through_agent: bool = False, gates: bool = False) -> None:
        self.site = site
        self.world: World = make_world(folder)
        self.world.origin = self._origin  # type: ignore[method-assign]  # the public finds what is in the folder
        self.world.store = site.adapter
        self._stop = threading.Event()
        self._client: AgentStorage | None = None
        if through_agent:
            self.world.store = self._agent(folder)
        if not gates:  # so that nothing but the store keeps it down
            self.world.routes[0] = replace(self.world.routes[0], gates=())
        self.world.rebuild()

    def _origin(self, raw: str) -> bytes | None:
        try:
            fd = os.open(os.fsencode(self.site.root / "acme") + canonical_url(raw).path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return None
        with os.fdopen(fd, "rb") as file:
            return file.read()

    def _agent(self, folder: Path) -> AgentStorage:
        socket, ready = str(folder / "run" / "agent.sock"), threading.Event()
        self._thread = threading.Thread(
            target=serve,
            args=(AgentSettings(socket=socket, max_acts_per_minute=10_000), self._stop),
            kwargs={"adapters": Adapters(storage={"www": self.site.adapter}, gate={}, cache={}), "on_ready": ready.set},
        )
        self._thread.start()
        assert ready.wait(30)
        self._client = AgentStorage("www", socket)
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._stop.set()
            self._thread.join()
        self.world.db.close()

    def notified(self, name: str = "a.jpg", **changes: Any) -> tuple[str, str]:
        url = f"https://{HOST}/{name}"
        return url, self.world.notify(url, **changes)

    def down(self, name: str = "a.jpg") -> tuple[str, str]:
        self.site.mine(name)
        url, notice = self.notified(name)
        self.world.run()
        assert self.world.statuses(notice) == ["disabled"]
        return url, notice

    def told(self, notice: str) -> list[str]:
        return [status for _, status in self.world.told(notice)]

    def pages(self) -> set[str]:
        return {page.kind for page in call_people(self.world)}

    def look_again(self, **delta: float) -> None:
        self.world.later(**(delta or {"minutes": 10}))
        self.world.run()
