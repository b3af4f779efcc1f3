"""Group commit: many outcomes to one fsync. Whoever comes while nobody writes, writes; whoever comes later is written
along with all that waited, by the first of them. So a thread that is alone hands nothing over to another one.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog

from receiver.domain.errors import StoreBrokenError, StoreUnavailableError
from receiver.domain.outcome import CommitResult, Outcome

MAX_BATCH = 64
BROKEN_EXIT = 74
"""EX_IOERR of sysexits.h; the supervisor starts the process again."""

ENDING = "this process does not write any more; it is ending"
CLOSE_SECONDS = 30.0

log = structlog.get_logger(__name__)


class Commits(Protocol):
    """The part of the store that writes."""

    def make_ready(self, outcome: Outcome) -> Any: ...
    def commit_ready(self, ready: Sequence[Any]) -> list[CommitResult]: ...


class _Waiting:
    """One outcome on its way to the disk, and the thread that waits for it."""

    def __init__(self, ready: Any) -> None:
        self.ready = ready
        self.result: CommitResult | None = None
        self.error: BaseException | None = None
        self._called = threading.Lock()
        self._called.acquire()

    def wait(self) -> bool:
        """Until it is written, or until it is this thread's turn to write; whether it is."""
        self._called.acquire()
        return self.result is None and self.error is None

    def call(self) -> None:
        self._called.release()


class Committer:
    """`submit` returns when the outcome is durable, or raises what kept it from being so."""

    def __init__(self, store: Commits, *, end_process: Callable[[int], object] = os._exit) -> None:
        self._store, self._end_process = store, end_process
        self._waiting: deque[_Waiting] = deque()
        self._changes = threading.Condition()
        self._writing = self._closed = False

    def submit(self, outcome: Outcome) -> CommitResult:
        """Wait until it is durable. Raises ConflictError, LostLeaseError or StoreUnavailableError."""
        # Before anything is locked, since whoever writes keeps everybody waiting.
        mine = _Waiting(self._store.make_ready(outcome))
        with self._changes:
            if self._closed:
                raise StoreUnavailableError(ENDING)
            self._waiting.append(mine)
            my_turn = not self._writing
            self._writing = True
        if my_turn or mine.wait():
            self._write_next()
        if mine.error is not None:
            raise mine.error
        if mine.result is None:
            raise AssertionError("whoever writes takes itself first")
        if mine.result.error is not None:
            raise mine.result.error
        return mine.result

    def close(self) -> None:
        """Take nothing more, and wait until what waits is written."""
        with self._changes:
            self._closed = True
            self._changes.wait_for(lambda: not self._writing, CLOSE_SECONDS)

    def _write_next(self) -> None:
        """All that waits, the caller's own first; then the turn goes to the first of those that came meanwhile."""
        with self._changes:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
        try:
            self._write(batch)
        finally:
            with self._changes:
                following = self._waiting[0] if self._waiting else None
                if following is None:
                    self._writing = False
                    self._changes.notify_all()
            if following is not None:
                following.call()
            for other in batch[1:]:
                other.call()

    def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            results = self._store.commit_ready([one.ready for one in batch])
        except BaseException as exc:  # every waiting thread must hear of it, or it would wait for ever
            ends_me = not isinstance(exc, Exception)
            for one in batch:
                one.error = StoreUnavailableError("whoever wrote this was interrupted") if ends_me else exc
            if isinstance(exc, StoreBrokenError):
                # What is on the disk is unknown now: a new process reads it again, this one must not go on.
                log.critical("store.broken", error=str(exc))
                self._end_process(BROKEN_EXIT)
            if ends_me:
                raise
            return
        for one, result in zip(batch, results, strict=True):
            one.result = result
