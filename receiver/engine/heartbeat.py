"""A worker's sign of life, and what it says of the rows the worker has leased (core-model §11)."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from receiver.domain.errors import LostLeaseError, StoreBrokenError, StoreUnavailableError
from receiver.domain.ports import Queue
from receiver.domain.rows import WorkRow
from receiver.engine.clock import readings, seconds_since
from receiver.engine.committer import BROKEN_EXIT

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
    """One row per process, each 3 s, on the database's clock.

    `term` counts the times it came back after it was overdue. What was leased in an earlier term may be another's by
    now, although it beats again.
    """

    def __init__(self, queue: Queue, identity: Identity, *, end_process: Callable[[int], object] = os._exit) -> None:
        self._queue, self._end_process = queue, end_process
        self.worker = queue.register_worker(
            identity.node, identity.slot, identity.boot, identity.pid, identity.config_sha256
        )
        self._last = readings()
        self.term = 0
        self.replaced = False
        self._on_time: Callable[[int], None] = lambda _micros: None

    def tell_time(self, on_time: Callable[[int], None]) -> None:
        """Call this with the database's time, now and after every sign of life."""
        self._on_time = on_time
        on_time(self._queue.now())

    def fresh(self) -> bool:
        return not self.replaced and seconds_since(self._last) < UNHEALTHY_SECONDS

    def holds(self, term: int) -> bool:
        """Whether what was leased in that term cannot have been taken from us."""
        # In this order: a new term is counted before the heartbeat counts as fresh again.
        return self.fresh() and term == self.term

    def still_ours(self, row: WorkRow) -> bool:
        """Ask the database, where the term does not say it. Raises StoreUnavailableError."""
        return (row.track, row.subject, row.epoch) in self._queue.leases_of(self.worker)

    def run(self, ended: threading.Event, on_replaced: Callable[[], None]) -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            asked = readings()
            try:
                self._queue.beat(self.worker)
                self._on_time(self._queue.now())
            except StoreUnavailableError as exc:
                log.warning("heartbeat.missed", error=str(exc))
                continue
            except StoreBrokenError as exc:
                log.critical("store.broken", error=str(exc))
                self._end_process(BROKEN_EXIT)
            except LostLeaseError:
                # Somebody started a newer worker in our place; all that we held is its by now.
                log.error("worker.replaced")  # noqa: TRY400 - there is no fault to trace
                self.replaced = True
                on_replaced()
                return
            except Exception as exc:  # noqa: BLE001 - without this thread the process would live on and do nothing
                log.error("heartbeat.failed", error=type(exc).__name__)  # noqa: TRY400 - values may be in the trace
                continue
            if not self.fresh():
                self.term += 1
            self._last = asked
