"""Lanes: which classes of work share which threads. Exposure before evidence before re-checks; failing peers apart."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

from receiver.domain.status import PRIORITY, RECHECK_PRIORITY, SLOW_LANE, Track


@dataclass(frozen=True, kw_only=True)
class LanePlan:
    """Classes in the order in which they are claimed; one query for each (core-model §11)."""

    name: str
    classes: tuple[tuple[Track, int], ...]
    threads: int


def plan(*, exposure_threads: int = 8, evidence_threads: int = 4, deliver_threads: int = 8) -> tuple[LanePlan, ...]:
    slow = 2 if deliver_threads > 2 else 1
    return (
        LanePlan(
            name="exposure",
            classes=((Track.RESOLVE, PRIORITY[Track.RESOLVE]), (Track.EXPOSURE, PRIORITY[Track.EXPOSURE])),
            threads=exposure_threads,
        ),
        LanePlan(
            name="deliver", classes=((Track.DELIVER, PRIORITY[Track.DELIVER]),), threads=max(1, deliver_threads - slow)
        ),
        LanePlan(name="evidence", classes=((Track.EVIDENCE, PRIORITY[Track.EVIDENCE]),), threads=evidence_threads),
        LanePlan(name="slow", classes=((Track.DELIVER, SLOW_LANE),), threads=slow),
        LanePlan(name="recheck", classes=((Track.EXPOSURE, RECHECK_PRIORITY),), threads=2),
    )


class Lane:
    """A pool that knows how many more rows it can take, so that no more is leased than can be worked on."""

    def __init__(self, lane: LanePlan, on_room: Callable[[], None]) -> None:
        self.plan = lane
        self._pool = ThreadPoolExecutor(max_workers=lane.threads, thread_name_prefix=lane.name)
        self._on_room = on_room
        self._lock = Lock()
        self._busy = 0
        self._closed = False

    @property
    def room(self) -> int:
        """How many rows may be leased for it now."""
        with self._lock:
            return self._room()

    def _room(self) -> int:
        return max(0, self.plan.threads - self._busy)

    @property
    def busy(self) -> int:
        with self._lock:
            return self._busy

    def run(self, job: Callable[[], None]) -> None:
        """Nothing is begun once the lane is closed; the lease is given back with all others."""
        with self._lock:
            if self._closed:
                return
            self._busy += 1
            self._pool.submit(self._one, job)

    def _one(self, job: Callable[[], None]) -> None:
        try:
            job()
        finally:
            with self._lock:
                had_room = self._room()
                self._busy -= 1
                has_room = self._room()
            if has_room and not had_room:
                # Else whoever claims could take something before, and would look for nothing.
                self._on_room()

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
