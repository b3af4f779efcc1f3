"""How often one sender may ask: strangers in memory, where each process counts for itself; issuers in the database."""

from __future__ import annotations

import math
import threading
from typing import Protocol

from receiver.domain.clock import Clock, SystemClock

MAX_SENDERS = 10_000
"""So many senders are remembered; the one unheard longest is forgotten first, which is to its favour."""
BLOCKS = 100
"""A process takes a hundredth of a minute's worth at once, so that few requests write to the database for it."""
BELIEVED_SECONDS = 1.0
"""So long a refusal counts without asking again; a flood beyond the limit then costs no writes."""


class Take(Protocol):
    """The database's bucket: 0.0 where a token was taken, else the seconds after which one can be."""

    def __call__(self, bucket: str, capacity: int, per_seconds: float, n: int = 1) -> float: ...


class SharedLimit:
    """What one issuer may send in a minute, counted over all processes and machines.

    A process takes tokens by the block and spends them from memory. What it holds was counted when it was taken, so in
    any span of time an issuer gets no more than the limit and, for each process of the web, what is left of one block:
    less than 1 % of a minute's worth. A process that ends forgets what it held, which is to the issuer's disfavour.
    """

    def __init__(self, take: Take, per_minute: int, *, items_per_minute: int, clock: Clock | None = None) -> None:
        self._take = take
        self._per_minute, self._items_per_minute = per_minute, items_per_minute
        self._clock = clock or SystemClock()
        self._blocks: dict[str, _Blocks] = {}
        self._lock = threading.Lock()

    def take(self, issuer: str) -> int | None:
        """As `RateLimit.take`. Raises StoreUnavailableError."""
        return self._spend(f"issuer:{issuer}", self._per_minute, 1)

    def take_items(self, issuer: str, items: int) -> int | None:
        """The same for what its notices hold, so that one issuer's flood does not stand before another's notice."""
        capacity = self._items_per_minute
        return self._spend(f"items:{issuer}", capacity, min(items, capacity))

    def _spend(self, bucket: str, capacity: int, n: int) -> int | None:
        with self._lock:
            # Only issuers whose signature held come here, so there are few.
            blocks = self._blocks.get(bucket)
            if blocks is None:
                blocks = self._blocks[bucket] = _Blocks(self._take, bucket, capacity, self._clock)
        wait_seconds = blocks.spend(n)
        return math.ceil(wait_seconds) if wait_seconds > 0 else None


class _Blocks:
    """One bucket of the database as one process draws on it."""

    def __init__(self, take: Take, bucket: str, capacity: int, clock: Clock) -> None:
        self._take, self._bucket, self._capacity, self._clock = take, bucket, capacity, clock
        self._block = max(1, capacity // BLOCKS)
        self._held = 0
        """Taken and not spent: always less than a block."""
        self._filling = False
        self._refused: dict[int, tuple[float, float]] = {}
        """By how many tokens were asked for: until when that is believed, and when they should be there."""
        self._lock = threading.Lock()

    def spend(self, n: int) -> float:
        """0.0 where `n` tokens were spent, else the seconds after which they could be."""
        with self._lock:
            if self._held >= n:
                self._held -= n
                return 0.0
            # One thread fetches a block; nobody waits for it, so that a slow database delays each only once.
            fills = not self._filling and n < self._block
            self._filling |= fills
        if fills and self._fill(n):
            return 0.0
        return self._ask(n)

    def _fill(self, n: int) -> bool:
        """Whether a block was there, out of which `n` are spent."""
        try:
            taken = self._ask(self._block) == 0.0
            with self._lock:
                self._held += self._block - n if taken else 0
        finally:
            with self._lock:
                self._filling = False
        return taken

    def _ask(self, n: int) -> float:
        now = self._clock.monotonic()
        with self._lock:
            waits = [free_at - now for m, (until, free_at) in self._refused.items() if m <= n and now < until]
        if waits:
            return max(waits)
        wait_seconds = self._take(self._bucket, self._capacity, 60.0, n)
        with self._lock:
            if wait_seconds > 0:
                self._refused[n] = (now + min(wait_seconds, BELIEVED_SECONDS), now + wait_seconds)
            else:
                self._refused.pop(n, None)
        return wait_seconds


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
