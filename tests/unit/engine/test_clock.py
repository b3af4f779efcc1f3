"""The worker's two clocks: due times follow the database, and no pause hides that a heartbeat is overdue."""

from __future__ import annotations

import datetime as dt

import pytest

from receiver.domain.clock import from_micros, to_micros
from receiver.engine.clock import DatabaseClock, readings, seconds_since

AN_HOUR = dt.timedelta(hours=1)
NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


class Own:
    """This machine's clock, an hour fast."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> dt.datetime:
        return NOON + AN_HOUR + dt.timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return 500.0 + self.seconds


def test_database_sets_the_time() -> None:
    own = Own()
    clock = DatabaseClock(own)
    assert clock.now() == NOON + AN_HOUR
    clock.set(to_micros(NOON))
    own.seconds = 2.5
    assert clock.now() == NOON + dt.timedelta(seconds=2.5)
    assert clock.monotonic() == 502.5


def test_next_heartbeat_corrects_the_drift() -> None:
    own = Own()
    clock = DatabaseClock(own)
    clock.set(to_micros(NOON))
    own.seconds = 3.0
    clock.set(to_micros(NOON) + 3_200_000)
    assert clock.now() == from_micros(to_micros(NOON) + 3_200_000)


@pytest.mark.parametrize("which", range(3))
def test_any_clock_tells_of_a_pause(which: int) -> None:
    """A sleeping machine stops one of them, a paused one two; what is left still jumps."""
    before = list(readings())
    before[which] -= 60
    assert 59 < seconds_since(tuple(before)) < 120


@pytest.mark.parametrize("which", range(3))
def test_clock_set_back_hides_nothing(which: int) -> None:
    before = list(readings())
    before[which] += 3600
    assert 0 <= seconds_since(tuple(before)) < 60
