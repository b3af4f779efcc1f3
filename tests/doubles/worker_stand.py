"""A worker over a real database, with steps that only note what they were given."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from receiver.domain.clock import Clock, SystemClock
from receiver.domain.moves import move
from receiver.domain.outcome import Outcome, Wake
from receiver.domain.rows import WorkRow
from receiver.domain.status import Track
from receiver.engine import runner as runner_module
from receiver.engine.committer import Committer
from receiver.engine.heartbeat import Identity
from receiver.engine.lanes import plan
from receiver.engine.worker import Worker
from receiver.pipeline import Step
from receiver.store import SqlStore


@dataclass
class Toolbox:
    """What the engine itself asks of the tools."""

    may_act: Callable[[], bool] = lambda: True
    clock: Clock = field(default_factory=SystemClock)

    def now(self) -> int:
        return 1


class Steps:
    """Stands for the pipeline: notes each row, waits where it is told to, and lets the row rest."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, float]] = []
        self.hold: dict[str, threading.Event] = {}
        self.then: dict[str, tuple[WorkRow, ...]] = {}

    def __call__(self, row: WorkRow, _tools: Any) -> Step:
        self.taken.append((row.subject, time.monotonic()))
        held = self.hold.get(row.subject)
        if held is not None:
            held.wait(30)
        return Step(outcome=Outcome(work=move(row, "rest")), then=self.then.pop(row.subject, ()))

    def has(self, subject: str) -> bool:
        return subject in self.subjects

    @property
    def subjects(self) -> list[str]:
        return [subject for subject, _ in self.taken]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    made = Steps()
    monkeypatch.setattr(runner_module, "advance", made)
    return made


Build = Callable[..., Worker]


@pytest.fixture
def build() -> Iterator[Build]:
    """Workers with lanes of few threads; what they hold open is closed in the end."""
    held: list[Any] = []

    def one(
        store: SqlStore, *, slot: str = "a", boot: str = "1", drain_seconds: float = 5.0, queue: Any = None
    ) -> Worker:
        """`queue` stands in the store's place where rows are claimed and signs of life given."""
        tools: Any = Toolbox()
        listener, committer = store.wake_listener(), Committer(store)
        held.extend((listener, committer))
        return Worker(
            queue=queue or store,
            committer=committer,
            tools=tools,
            lanes=plan(exposure_threads=2, evidence_threads=1, deliver_threads=3),
            identity=Identity(node="n", slot=slot, boot=boot, pid=1, config_sha256=""),
            wait_for_call=listener.wait,
            drain_seconds=drain_seconds,
        )

    yield one
    for thing in held:
        thing.close()


@contextmanager
def running(worker: Worker) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield thread
    finally:
        worker.stop()
        thread.join(20)
        assert not thread.is_alive()


def wake(store: SqlStore, *subjects: str, track: Track = Track.DELIVER, priority: int | None = None) -> None:
    wakes = tuple(Wake(track=track, subject=s, state="go", priority=priority) for s in subjects)
    (result,) = store.commit([Outcome(wakes=wakes)])
    assert result.error is None
