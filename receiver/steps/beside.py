"""Denies that run beside the block: a gate that has to reload takes longer than the store, and neither waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future

from receiver.domain.errors import LostLeaseError
from receiver.quarantine.journal import Done

MAX_KEPT = 10_000


class Beside:
    """Runs each act once at a time and keeps its answer until a step takes it. In memory only: the journal knows more.

    A step may take the answer of an act that a step under an older lease began: what is still pending was not taken
    back. What is lost here in a crash, or never fetched since another worker went on, is done again by its op_id.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._lock = threading.Lock()
        self._begun: dict[str, Future[Done]] = {}

    def begin(self, op_id: str, act: Callable[[], Done]) -> None:
        """Start it, unless it runs already or its answer waits to be taken."""
        with self._lock:
            if op_id in self._begun:
                return
            if len(self._begun) >= MAX_KEPT:
                # Answers that nobody came for; the oldest is of no use any more.
                old = next((known for known, future in self._begun.items() if future.done()), None)
                self._begun.pop(old or "", None)
            self._begun[op_id] = self._executor.submit(act)

    def take(self, op_id: str, *, wait: bool) -> Done | None:
        """The answer, or None where nobody waits for it and it still runs, or its lease was lost before it began."""
        with self._lock:
            future = self._begun[op_id]
        if not wait and not future.done():
            return None
        try:
            return future.result()
        except LostLeaseError:
            if wait:
                raise
            return None
        finally:
            with self._lock:
                self._begun.pop(op_id, None)
