"""Can a notice be recorded now?"""

from __future__ import annotations

import threading
from collections.abc import Callable

from receiver.domain.clock import Clock
from receiver.domain.errors import LostLeaseError, StoreUnavailableError

FRESH_SECONDS = 1.0
"""Anybody may ask; the database hears of it once a second at most."""


class Health:
    """`write` makes a real, small write, such as the process's own sign of life."""

    def __init__(self, *, write: Callable[[], None], clock: Clock) -> None:
        self._write = write
        self._clock = clock
        self._lock = threading.Lock()
        self._seen_at: float | None = None
        self._can_record = False

    def can_record(self) -> bool:
        with self._lock:
            now = self._clock.monotonic()
            if self._seen_at is None or now - self._seen_at >= FRESH_SECONDS:
                self._can_record = self._try()
                self._seen_at = self._clock.monotonic()
            return self._can_record

    def _try(self) -> bool:
        try:
            self._write()
        except (StoreUnavailableError, LostLeaseError):
            return False
        return True
