"""Time. Columns hold whole microseconds UTC; values hold aware datetimes; the wire holds RFC 3339 with ``Z``."""

from __future__ import annotations

import datetime as dt
import time
from typing import Protocol

MICROSECONDS = 1_000_000


class Clock(Protocol):
    """Where the time comes from; tests hand in their own."""

    def now(self) -> dt.datetime:
        """Aware, UTC."""

    def monotonic(self) -> float:
        """Seconds, for durations inside one process."""


class SystemClock:
    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def to_micros(moment: dt.datetime) -> int:
    """Whole microseconds since 1970 UTC. Raises ValueError for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError("a time without offset is not a time")
    delta = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (delta.days * 86_400 + delta.seconds) * MICROSECONDS + delta.microseconds


def from_micros(micros: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=micros)


def rfc3339(moment: dt.datetime | int) -> str:
    """``2026-11-22T09:30:00.412Z``; milliseconds, always UTC."""
    if isinstance(moment, int):
        moment = from_micros(moment)
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
