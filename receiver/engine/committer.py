"""Group commit: one thread of a process writes what all its threads decided, many outcomes to one fsync."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

import structlog

from receiver.domain.errors import StoreBrokenError, StoreUnavailableError
from receiver.domain.outcome import CommitResult, Outcome

MAX_BATCH = 64
BROKEN_EXIT = 74
"""EX_IOERR of sysexits.h; the supervisor starts the process again."""

ENDING = "this process does not write any more; it is ending"

log = structlog.get_logger(__name__)


class Commits(Protocol):
    """The part of the store that writes."""

    def make_ready(self, outcome: Outcome) -> Any: ...
    def commit_ready(self, ready: Sequence[Any]) -> list[CommitResult]: ...


class Committer:
    """`submit` returns when the outcome is durable, or raises what kept it from being so."""

    def __init__(self, store: Commits, *, end_process: Callable[[int], object] = os._exit) -> None:
        self._store, self._end_process = store, end_process
        self._waiting: queue.SimpleQueue[tuple[Any, Future[CommitResult]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def submit(self, outcome: Outcome) -> CommitResult:
        """Wait until it is durable. Raises ConflictError, LostLeaseError or StoreUnavailableError."""
        # Here, since whatever the one writing thread has to do keeps everybody waiting.
        ready = self._store.make_ready(outcome)
        future: Future[CommitResult] = Future()
        with self._lock:
            # Under the lock, so that nothing can be put behind the last thing that is written.
            if self._closed:
                raise StoreUnavailableError(ENDING)
            self._waiting.put((ready, future))
        result = future.result()
        if result.error is not None:
            raise result.error
        return result

    def close(self) -> None:
        """Write what waits, then end."""
        with self._lock:
            self._closed = True
        self._waiting.put(None)
        self._thread.join(timeout=30)

    def _run(self) -> None:
        try:
            self._write_all()
        finally:
            self._refuse_rest()

    def _write_all(self) -> None:
        while True:
            first = self._waiting.get()
            if first is None:
                return
            batch, ending = self._more(first)
            self._write(batch)
            if ending:
                return

    def _refuse_rest(self) -> None:
        """Nobody writes any more: whoever waits must hear it."""
        with self._lock:
            self._closed = True
        while not self._waiting.empty():
            left = self._waiting.get_nowait()
            if left is not None:
                left[1].set_exception(StoreUnavailableError(ENDING))

    def _more(self, first: tuple[Any, Future[CommitResult]]) -> tuple[list[tuple[Any, Future[CommitResult]]], bool]:
        """Everything that waits already; what comes while we write goes into the next transaction."""
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                more = self._waiting.get_nowait()
            except queue.Empty:
                break
            if more is None:
                return batch, True
            batch.append(more)
        return batch, False

    def _write(self, batch: list[tuple[Any, Future[CommitResult]]]) -> None:
        try:
            results = self._store.commit_ready([ready for ready, _ in batch])
        except BaseException as exc:  # every waiting thread must hear it, or it would wait for ever
            for _, future in batch:
                future.set_exception(exc)
            if isinstance(exc, StoreBrokenError):
                # What is on the disk is unknown now: a new process reads it again, this one must not go on.
                log.critical("store.broken", error=str(exc))
                self._end_process(BROKEN_EXIT)
            if not isinstance(exc, Exception):
                raise
            return
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(result)
