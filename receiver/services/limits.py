"""How often one sender may ask: strangers in memory, where each process counts for itself; issuers in the database."""

from __future__ import annotations

import math
import threading
from typing import Protocol

from receiver.domain.clock import Clock

MAX_SENDERS = 10_000
"""So many senders are remembered; the one unheard longest is forgotten first, which is to its favour."""


class Take(Protocol):
    """The database's bucket: 0.0 where a token was taken, else the seconds after which one can be."""

    def __call__(self, bucket: str, capacity: int, per_seconds: float, n: int = 1) -> float: ...


class SharedLimit:
    """What one issuer may send in a minute, counted over all processes and machines."""

    def __init__(self, take: Take, per_minute: int, *, items_per_minute: int) -> None:
        self._take = take
        self._per_minute, self._items_per_minute = per_minute, items_per_minute

    def take(self, issuer: str) -> int | None:
        """As `RateLimit.take`. Raises StoreUnavailableError."""
        wait_seconds = self._take(f"issuer:{issuer}", self._per_minute, 60.0)
        return math.ceil(wait_seconds) if wait_seconds > 0 else None

    def take_items(self, issuer: str, items: int) -> int | None:
        """The same for what its notices hold, so that one issuer's flood does not stand before another's notice."""
        capacity = self._items_per_minute
        wait_seconds = self._take(f"items:{issuer}", capacity, 60.0, min(items, capacity))
        return math.ceil(wait_seconds) if wait_seconds > 0 else None


class RateLimit:
    """A bucket per sender that refills evenly: a burst of a minute's worth is fine, more has to wait."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        self._seconds_each = 60 / per_minute
        self._burst_seconds = 60.0
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def take(self, sender: str) -> int | None:
        """Count one request; the whole seconds to wait where it is one too many, else None."""
        now = self._clock.monotonic()
        with self._lock:
            free_at = max(now, self._full_at.pop(sender, now)) + self._seconds_each
            wait_seconds = free_at - now - self._burst_seconds
            if wait_seconds > 1e-9:
                self._remember(sender, free_at - self._seconds_each)
                return math.ceil(wait_seconds)
            self._remember(sender, free_at)
            return None

    def _remember(self, sender: str, free_at: float) -> None:
        self._full_at[sender] = free_at
        if len(self._full_at) > MAX_SENDERS:
            del self._full_at[next(iter(self._full_at))]
