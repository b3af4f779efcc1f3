"""How many changes go to nginx together when more of them come than it can take over one by one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

REST_TIMES = 3.0
MAX_REST_SECONDS = 0.5


class Gathering:
    """After each reload nginx is given a rest in which changes gather; a change that comes alone does not wait.

    Without it a burst keeps nginx starting workers for a few changes at a time, all of which could ride together.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._lock, self._waiting = threading.Lock(), 0
        self._rests_until = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around all of one change, its wait for its turn included."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def rest(self) -> None:
        """Right before a reload: let others join, where some are on their way already."""
        left = self._rests_until - self._clock()
        if self._waiting > 1 and left > 0:
            self._sleep(left)

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Around the reload; the longer it takes, the longer the rest after it."""
        began = self._clock()
        try:
            yield
        finally:
            now = self._clock()
            self._rests_until = now + min(REST_TIMES * (now - began), MAX_REST_SECONDS)

    def _count(self, by: int) -> None:
        with self._lock:
            self._waiting += by
