"""One worker of the takeover measurement: the product's engine on a real database, with a step that takes its time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from receiver.domain.clock import Clock, SystemClock
from receiver.domain.ids import new_id
from receiver.domain.moves import move
from receiver.domain.outcome import Outcome
from receiver.domain.rows import WorkRow
from receiver.engine import runner
from receiver.engine.committer import Committer
from receiver.engine.heartbeat import Identity
from receiver.engine.lanes import plan
from receiver.engine.worker import Worker
from receiver.pipeline import Step
from receiver.store import open_store

STEP_SECONDS = 0.3
DONE = "rest"


@dataclass
class Toolbox:
    """What the engine itself asks of the tools."""

    may_act: Callable[[], bool] = lambda: True
    clock: Clock = field(default_factory=SystemClock)

    def now(self) -> int:
        return time.time_ns() // 1000


def slow_step(row: WorkRow, _tools: Any) -> Step:
    time.sleep(STEP_SECONDS)
    return Step(outcome=Outcome(work=move(row, DONE)))


def main(url: str, folder: str, node: str) -> None:
    data_key = (Path(folder) / "data.key").read_bytes()
    store = open_store(url, data_key=data_key, data_dir=Path(folder))
    vars(runner)["advance"] = slow_step
    tools: Any = Toolbox()
    Worker(
        queue=store,
        committer=Committer(store),
        tools=tools,
        lanes=plan(),
        identity=Identity(node=node, slot="worker-0", boot=new_id(), pid=os.getpid(), config_sha256=""),
        wait_for_call=store.wake_listener().wait,
    ).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
