"""The look that starts beside the first deny: was the content public at all? It is never waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from receiver.domain.ports import Outside
from receiver.domain.status import Verdict
from receiver.domain.web import LookTarget, combine

MAX_KEPT = 10_000


@dataclass
class _Early:
    future: Future[tuple[Verdict, float]]
    closed_at: float | None = None
    """When the first act of ours may have taken effect; what was seen later proves nothing."""


class EarlyLooks:
    """In memory only: lost in a crash, and then `was_public` is told as unknown."""

    def __init__(self, outside: Outside, executor: Executor, monotonic: Callable[[], float]) -> None:
        self._outside, self._executor, self._monotonic = outside, executor, monotonic
        self._lock = threading.Lock()
        self._looks: dict[str, _Early] = {}

    def start(self, case: str, target: LookTarget) -> None:
        with self._lock:
            if case in self._looks:
                return
            if len(self._looks) >= MAX_KEPT:
                # Left behind by cases that never came to rest here; the oldest is of no use any more.
                self._looks.pop(next(iter(self._looks)))
            self._looks[case] = _Early(future=self._executor.submit(self._look, target))

    def _look(self, target: LookTarget) -> tuple[Verdict, float]:
        return combine(self._outside.look(target)), self._monotonic()

    def act_begins(self, case: str) -> None:
        """From now on our own doing may be what is seen."""
        with self._lock:
            early = self._looks.get(case)
            if early is not None and early.closed_at is None:
                early.closed_at = self._monotonic()

    def answer(self, case: str) -> bool | None:
        """True: it was reachable. False: it was not, before we did anything. None: not known."""
        with self._lock:
            early = self._looks.get(case)
        if early is None or not early.future.done() or early.future.exception() is not None:
            return None
        verdict, finished_at = early.future.result()
        if verdict is Verdict.UP:
            return True
        unspoiled = early.closed_at is None or finished_at < early.closed_at
        return False if verdict is Verdict.GONE and unspoiled else None

    def forget(self, case: str) -> None:
        with self._lock:
            self._looks.pop(case, None)
