"""When a callback is tried again: the schedule that protocol.md publishes."""

from __future__ import annotations

from receiver.domain.backoff import MICROS, spread

OFFSETS_SECONDS = (5, 30, 120, 600, 1800, 3600, 7200, 14_400)
"""Of each try after the first one at 0; every six hours from then on."""
THEN_EVERY_SECONDS = 6 * 3600
JITTER = 0.1


def next_try(
    *, subject: str, attempts: int, first_failed_at: int, now: int, give_up_hours: int, retry_after_seconds: float = 0.0
) -> int | None:
    """Microseconds UTC of the next try after `attempts` failures, or None: the letter is dead.

    The last try falls on the end of the time itself, so that the whole of it is used.
    """
    end = first_failed_at + give_up_hours * 3600 * MICROS
    if now >= end:
        return None
    wait = THEN_EVERY_SECONDS
    if attempts <= len(OFFSETS_SECONDS):
        wait = OFFSETS_SECONDS[attempts - 1] - (OFFSETS_SECONDS[attempts - 2] if attempts > 1 else 0)
    jitter = 1 - JITTER + 2 * JITTER * spread(subject, attempts)
    return min(end, now + int(max(wait * jitter, retry_after_seconds) * MICROS))
