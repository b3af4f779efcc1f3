"""The worker: claims what is due, keeps its heartbeat, numbers the ledger, runs the sweeps (core-model §11, §13)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from receiver.domain.errors import StoreUnavailableError
from receiver.domain.ports import Queue
from receiver.domain.rows import WorkRow
from receiver.domain.status import Track
from receiver.engine.clock import DatabaseClock
from receiver.engine.committer import Committer
from receiver.engine.heartbeat import Heartbeat, Identity
from receiver.engine.lanes import Lane, LanePlan
from receiver.engine.runner import Runner
from receiver.pipeline import Tools

POLL_SECONDS = 1.0
"""The safety net under the wake-up calls."""
BUSY_SECONDS = 0.25
STRAY_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Worker:
    """Threads around one database. Start with `run`; it returns after `stop`, once running steps have ended."""

    def __init__(
        self,
        *,
        queue: Queue,
        committer: Committer,
        tools: Tools,
        lanes: tuple[LanePlan, ...],
        identity: Identity,
        wait_for_call: Callable[[float], bool],
        drain_seconds: float = 30.0,
    ) -> None:
        self._queue, self._wait_for_call = queue, wait_for_call
        self._drain_seconds = drain_seconds
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._poke = threading.Event()
        self.heartbeat = Heartbeat(queue, identity)
        self._running: dict[tuple[Track, str, int], None] = {}
        self._strays: frozenset[tuple[Track, str, int]] = frozenset()
        self._strays_at = time.monotonic()
        self.use(tools)
        self._lanes = tuple(Lane(lane, self._poke.set) for lane in lanes)
        self._classes = tuple(one for lane in lanes for one in lane.classes)
        self._runner = Runner(
            committer=committer,
            tools=lambda: self.tools,
            leases=self.heartbeat,
            stopping=self._stopping,
            dispatch=self._dispatch,
        )

    def use(self, tools: Tools) -> None:
        """Take these from the next step on, as at start or after a reload."""
        clock = DatabaseClock(tools.clock)
        self.heartbeat.tell_time(clock.set)
        self.tools = replace(tools, clock=clock)

    def stop(self) -> None:
        """Claim nothing more; what runs may end."""
        self._stopping.set()
        self._poke.set()

    def run(self) -> None:
        """Claim and dispatch until `stop`, then drain."""
        threads = [
            threading.Thread(target=self.heartbeat.run, args=(self._ended, self.stop), name="heartbeat", daemon=True),
            threading.Thread(target=self._listen, name="listener", daemon=True),
        ]
        for thread in threads:
            thread.start()
        while not self._stopping.is_set():
            self._poke.clear()
            wait_seconds = self._claim_due()
            if wait_seconds:
                self._poke.wait(wait_seconds)
        self._drain()
        self._ended.set()

    def _listen(self) -> None:
        while not self._ended.is_set():
            if self._wait_for_call(POLL_SECONDS):
                self._poke.set()

    def _claim_due(self) -> float:
        """Lease what is due and has a free thread; the seconds to wait before the next look, 0 where there is more."""
        if not self.heartbeat.fresh():
            return BUSY_SECONDS
        try:
            now, dues = self._queue.due_by_class(self._classes)
            claimed = sum([self._claim(lane, now, dues) for lane in self._lanes])
            self._give_back_strays()
        except StoreUnavailableError as exc:
            log.warning("claim.failed", error=str(exc))
            return POLL_SECONDS
        return 0.0 if claimed else self._idle_seconds(now, dues)

    def _claim(self, lane: Lane, now: int, dues: Mapping[tuple[Track, int], int]) -> int:
        """One claim for each class in which something is due, in the lane's order; the number of rows leased."""
        claimed = 0
        for track, priority in lane.plan.classes:
            room = lane.room
            if room and dues.get((track, priority), now + 1) <= now:
                term = self.heartbeat.term
                rows = self._queue.claim(self.heartbeat.worker, track, priority, room)
                for row in rows:
                    self._run_in(lane, row, term)
                claimed += len(rows)
        return claimed

    def _idle_seconds(self, now: int, dues: Mapping[tuple[Track, int], int]) -> float:
        """Until the next row falls due, at most the safety poll."""
        wait_seconds = POLL_SECONDS
        for lane in self._lanes:
            for one in lane.plan.classes:
                if one not in dues:
                    continue
                # A row that waits for a thread: one that becomes free pokes.
                soonest = 0.005 if lane.room else BUSY_SECONDS
                wait_seconds = min(wait_seconds, max(soonest, (dues[one] - now) / 1_000_000))
        return wait_seconds

    def _dispatch(self, row: WorkRow, term: int) -> None:
        """A row leased by another step's outcome goes straight to its lane, without a claim."""
        lane = next(lane for lane in self._lanes if (row.track, row.priority) in lane.plan.classes)
        self._run_in(lane, row, term)

    def _run_in(self, lane: Lane, row: WorkRow, term: int) -> None:
        key = (row.track, row.subject, row.epoch)
        if key in self._running:
            # A database that crashed may forget a claim, and give the same lease out again: one thread has it already.
            return
        self._running[key] = None
        lane.run(lambda: self._run_one(key, row, term))

    def _run_one(self, key: tuple[Track, str, int], row: WorkRow, term: int) -> None:
        try:
            self._runner.run(row, term)
        finally:
            self._running.pop(key, None)

    def _give_back_strays(self) -> None:
        """A claim or commit whose answer was lost leaves rows leased to us that nobody works on: free them.

        Twice in a row, since a row may have been leased a moment ago and not be in a lane yet.
        """
        if time.monotonic() - self._strays_at < STRAY_SECONDS:
            return
        self._strays_at = time.monotonic()
        running = frozenset(self._running)
        strays = self._queue.leases_of(self.heartbeat.worker) - running
        again, self._strays = strays & self._strays, strays
        if again and self._queue.give_back(self.heartbeat.worker, again):
            log.warning("lease.strays", count=len(again))

    def _drain(self) -> None:
        deadline = time.monotonic() + self._drain_seconds
        while any(lane.busy for lane in self._lanes) and time.monotonic() < deadline:
            time.sleep(0.05)
        for lane in self._lanes:
            lane.close()
        try:
            self._queue.retire_worker(self.heartbeat.worker)
        except StoreUnavailableError as exc:
            log.warning("retire.failed", error=str(exc))
