"""Denies that run beside the block: a gate that has to reload takes longer than the store, and neither waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future

from receiver.quarantine.journal import Done

MAX_KEPT = 10_000
Key = tuple[str, int]
"""An op_id under one lease: what an old lease came to says nothing under a new one."""


class Beside:
    """Runs each act once at a time and keeps its answer until a step takes it. In memory only: the journal knows more.

    What is lost here in a crash, or never fetched since another worker went on, is done again under the same op_id.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._lock = threading.Lock()
        self._begun: dict[Key, Future[Done]] = {}

    def begin(self, key: Key, act: Callable[[], Done]) -> None:
        """Start it, unless it runs already or its answer waits to be taken."""
        with self._lock:
            if key in self._begun:
                return
            if len(self._begun) >= MAX_KEPT:
                # Answers that nobody came for; the oldest is of no use any more.
                self._begun.pop(next(iter(self._begun)))
            self._begun[key] = self._executor.submit(act)

    def take(self, key: Key, *, wait: bool) -> Done | None:
        """The answer, or None while it runs; raises what the act raised."""
        with self._lock:
            future = self._begun[key]
        if not wait and not future.done():
            return None
        try:
            return future.result()
        finally:
            with self._lock:
                self._begun.pop(key, None)
