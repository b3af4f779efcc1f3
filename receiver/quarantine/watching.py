"""When to look again at what is down: soon, since caches refill, then ever more rarely (core-model X7)."""

from __future__ import annotations

from collections.abc import Sequence

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
PURGE_AGAIN_AT = (30 * SECOND, 300 * SECOND)
"""A cache that was being filled while it was purged serves the old bytes again; so purge twice more."""


def next_look(*, started_at: int, now: int, watch_days: int) -> int | None:
    """Microseconds UTC of the next look, or None when the watch is over."""
    passed = max(0, now - started_at)
    if passed >= watch_days * DAY:
        return None
    for offset in PURGE_AGAIN_AT:
        if passed < offset:
            return started_at + offset
    if passed < DAY:
        return now + HOUR
    return now + (DAY if passed < 14 * DAY else 7 * DAY)


def should_purge(*, started_at: int, now: int, purged_at: Sequence[int]) -> bool:
    """Whether one of the two further purges is due and no purge was begun since it fell due."""
    due = [started_at + offset for offset in PURGE_AGAIN_AT if started_at + offset <= now]
    return bool(due) and not any(at >= due[-1] for at in purged_at)
