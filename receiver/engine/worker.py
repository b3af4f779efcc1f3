"""The worker: claims what is due, keeps its heartbeat, numbers the ledger, runs the sweeps (core-model §11, §13)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from receiver.domain.errors import LostLeaseError, StoreUnavailableError
from receiver.domain.ports import Queue
from receiver.domain.rows import WorkRow
from receiver.domain.status import Track
from receiver.engine.committer import Committer
from receiver.engine.lanes import Lane, LanePlan
from receiver.engine.runner import Runner
from receiver.pipeline import Tools

POLL_SECONDS = 1.0
"""The safety net under the wake-up calls."""
HEARTBEAT_SECONDS = 3.0
UNHEALTHY_SECONDS = 6.0
"""Without a heartbeat for this long others may soon take our rows, so no act is begun."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Node and slot name a place; a new boot in the same place expires the old one at once."""

    node: str
    slot: str
    boot: str
    pid: int
    config_sha256: str


class Heartbeat:
    """One row per process, each 3 s, on the database's clock."""

    def __init__(self, queue: Queue, identity: Identity) -> None:
        self._queue = queue
        self.worker = queue.register_worker(
            identity.node, identity.slot, identity.boot, identity.pid, identity.config_sha256
        )
        self._last = time.monotonic()
        self.replaced = False

    def fresh(self) -> bool:
        return not self.replaced and time.monotonic() - self._last < UNHEALTHY_SECONDS

    def run(self, ended: threading.Event, on_replaced: Callable[[], None]) -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            asked = time.monotonic()
            try:
                self._queue.beat(self.worker)
            except StoreUnavailableError as exc:
                log.warning("heartbeat.missed", error=str(exc))
                continue
            except LostLeaseError:
                # Somebody started a newer worker in our place; all that we held is its by now.
                log.error("worker.replaced")  # noqa: TRY400 - there is no fault to trace
                self.replaced = True
                on_replaced()
                return
            self._last = asked


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
        self.tools = tools
        self._queue, self._wait_for_call = queue, wait_for_call
        self._drain_seconds = drain_seconds
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._poke = threading.Event()
        self.heartbeat = Heartbeat(queue, identity)
        self._lanes = tuple(Lane(lane, self._poke.set) for lane in lanes)
        self._runner = Runner(
            committer=committer,
            tools=lambda: self.tools,
            healthy=self.heartbeat.fresh,
            stopping=self._stopping,
            dispatch=self._dispatch,
        )

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
            if not self._claim_all():
                self._poke.wait(self._idle_seconds())
        self._drain()
        self._ended.set()

    def _listen(self) -> None:
        while not self._ended.is_set():
            if self._wait_for_call(POLL_SECONDS):
                self._poke.set()

    def _claim_all(self) -> int:
        """One query for each class with a free thread; the number of rows leased."""
        claimed = 0
        if not self.heartbeat.fresh():
            return 0
        try:
            for lane in self._lanes:
                for track, priority in lane.plan.classes:
                    free = lane.free
                    rows = self._queue.claim(self.heartbeat.worker, track, priority, free) if free else []
                    for row in rows:
                        self._run_in(lane, row)
                    claimed += len(rows)
        except StoreUnavailableError as exc:
            log.warning("claim.failed", error=str(exc))
            return 0
        return claimed

    def _idle_seconds(self) -> float:
        """Until the next row falls due, at most the safety poll."""
        try:
            due = self._queue.next_due(tuple(Track))
            if due is None:
                return POLL_SECONDS
            return min(POLL_SECONDS, max(0.005, (due - self._queue.now()) / 1_000_000))
        except StoreUnavailableError:
            return POLL_SECONDS

    def _dispatch(self, row: WorkRow) -> None:
        """A row leased by another step's outcome goes straight to its lane, without a claim."""
        lane = next(lane for lane in self._lanes if (row.track, row.priority) in lane.plan.classes)
        self._run_in(lane, row)

    def _run_in(self, lane: Lane, row: WorkRow) -> None:
        lane.run(lambda: self._runner.run(row))

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
