"""Two clocks of a worker: the database's, carried between heartbeats, and one that no pause can stop."""

from __future__ import annotations

import datetime as dt
import time

from receiver.domain.clock import MICROSECONDS, Clock, from_micros


class DatabaseClock:
    """The time by which rows fall due, whatever this machine's own clock says: an hour off there is no hour off here.

    Acts are ordered by the time they were begun, over all workers, so all must read it off one clock.
    """

    def __init__(self, own: Clock) -> None:
        self._own = own
        self._known: tuple[int, float] | None = None

    def set(self, micros: int) -> None:
        """What the database said a moment ago."""
        self._known = (micros, self._own.monotonic())

    def now(self) -> dt.datetime:
        if self._known is None:
            return self._own.now()
        micros, then = self._known
        return from_micros(micros + int((self._own.monotonic() - then) * MICROSECONDS))

    def monotonic(self) -> float:
        return self._own.monotonic()


def readings() -> tuple[float, ...]:
    """Every clock there is, to be compared later by `seconds_since`."""
    return (time.monotonic(), time.time(), time.clock_gettime(time.CLOCK_BOOTTIME))


def seconds_since(before: tuple[float, ...]) -> float:
    """The most that any clock says has passed.

    A machine that sleeps stops the monotonic clock, one that is paused from outside may stop the boot clock too, and
    then only the wall clock jumps. A jump that means nothing costs one heartbeat.
    """
    return max(now - then for now, then in zip(readings(), before, strict=True))
