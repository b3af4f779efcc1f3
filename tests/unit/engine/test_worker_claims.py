"""What the worker claims after a look, and how long it then waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from receiver.domain.clock import SystemClock
from receiver.domain.errors import StoreUnavailableError
from receiver.domain.rows import WorkRow
from receiver.domain.status import PRIORITY, SLOW_LANE, Track
from receiver.engine.heartbeat import Identity
from receiver.engine.lanes import plan
from receiver.engine.worker import BUSY_SECONDS, POLL_SECONDS, Worker

NOW = 1_790_000_000_000_000
RESOLVE, EXPOSURE = (Track.RESOLVE, PRIORITY[Track.RESOLVE]), (Track.EXPOSURE, PRIORITY[Track.EXPOSURE])
LETTER, EVIDENCE = (Track.DELIVER, PRIORITY[Track.DELIVER]), (Track.EVIDENCE, PRIORITY[Track.EVIDENCE])


@dataclass
class Queue:
    """Says what is due, notes what is claimed, and gives nothing out: somebody else was faster."""

    dues: dict[tuple[Track, int], int] = field(default_factory=dict)
    claimed: list[tuple[tuple[Track, int], int]] = field(default_factory=list)
    away: bool = False

    def register_worker(self, *_: object) -> str:
        return "n:a:1"

    def now(self) -> int:
        return NOW

    def due_by_class(self, classes: Sequence[tuple[Track, int]]) -> tuple[int, Mapping[tuple[Track, int], int]]:
        if self.away:
            raise StoreUnavailableError("the database is away")
        return NOW, {one: due for one, due in self.dues.items() if one in classes}

    def claim(self, _worker: str, track: Track, priority: int, limit: int) -> list[WorkRow]:
        self.claimed.append(((track, priority), limit))
        return []

    @property
    def asked(self) -> list[tuple[Track, int]]:
        return [one for one, _ in self.claimed]


@dataclass(frozen=True)
class Toolbox:
    clock: Any = field(default_factory=SystemClock)
    may_act: Any = None


def held_by(hold: threading.Event) -> Callable[[], None]:
    def wait() -> None:
        hold.wait()

    return wait


def build(queue: Any) -> Worker:
    none: Any = None
    tools: Any = Toolbox()
    return Worker(
        queue=queue,
        committer=none,
        tools=tools,
        lanes=plan(exposure_threads=2, evidence_threads=1, deliver_threads=3),
        identity=Identity(node="n", slot="a", boot="1", pid=1, config_sha256=""),
        wait_for_call=lambda _seconds: False,
    )


def test_nothing_due_is_not_claimed() -> None:
    queue = Queue(dues={LETTER: NOW + 1})
    assert build(queue)._claim_due() > 0
    assert queue.claimed == []


def test_due_classes_are_claimed_in_order() -> None:
    queue = Queue(dues={EVIDENCE: NOW, (Track.DELIVER, SLOW_LANE): NOW + 1, EXPOSURE: NOW - 5, RESOLVE: NOW})
    build(queue)._claim_due()
    assert queue.claimed == [(RESOLVE, 2), (EXPOSURE, 2), (EVIDENCE, 1)]


def test_full_lane_claims_nothing() -> None:
    queue, hold = Queue(dues={EVIDENCE: NOW - 1, LETTER: NOW}), threading.Event()
    worker = build(queue)
    (lane,) = [lane for lane in worker._lanes if EVIDENCE in lane.plan.classes]
    lane.run(held_by(hold))
    worker._claim_due()
    assert queue.asked == [LETTER]
    hold.set()


@pytest.mark.parametrize(
    ("dues", "seconds"),
    [
        ({}, POLL_SECONDS),
        ({LETTER: NOW + 400_000, EVIDENCE: NOW + 700_000}, 0.4),
        ({LETTER: NOW + 60_000_000}, POLL_SECONDS),
        # Due and given to nobody: whoever has it locked is done in a moment.
        ({LETTER: NOW - 7, EVIDENCE: NOW + 700_000}, 0.005),
    ],
    ids=["nothing", "soon", "much later", "locked by another"],
)
def test_worker_waits_for_the_next_row(dues: dict[tuple[Track, int], int], seconds: float) -> None:
    assert build(Queue(dues=dues))._claim_due() == pytest.approx(seconds)


def test_row_without_a_thread_is_waited_for() -> None:
    """The lane calls when it has room again; until then nobody asks again and again."""
    hold = threading.Event()
    worker = build(Queue(dues={EVIDENCE: NOW - 1}))
    (lane,) = [lane for lane in worker._lanes if EVIDENCE in lane.plan.classes]
    lane.run(held_by(hold))
    assert worker._claim_due() == BUSY_SECONDS
    hold.set()


def test_silent_heart_claims_nothing() -> None:
    queue = Queue(dues={EVIDENCE: NOW})
    worker = build(queue)
    worker.heartbeat.replaced = True
    assert worker._claim_due() == BUSY_SECONDS
    assert queue.claimed == []


def test_away_database_is_asked_later() -> None:
    queue = Queue(dues={EVIDENCE: NOW}, away=True)
    assert build(queue)._claim_due() == POLL_SECONDS
    assert queue.claimed == []
