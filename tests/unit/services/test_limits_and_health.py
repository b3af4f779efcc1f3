from __future__ import annotations

from receiver.domain.errors import LostLeaseError
from receiver.services.health import Health
from receiver.services.limits import MAX_SENDERS, RateLimit
from tests.unit.services.hand import Hand


def test_burst_then_wait_then_more() -> None:
    clock = Hand()
    limit = RateLimit(6, clock)
    assert [limit.take("a") for _ in range(7)] == [None] * 6 + [10]
    assert limit.take("b") is None
    clock.seconds += 9
    assert limit.take("a") == 1
    clock.seconds += 1
    assert limit.take("a") is None
    assert limit.take("a") == 10


def test_senders_are_forgotten_in_time() -> None:
    limit = RateLimit(1, Hand())
    assert limit.take("first") is None
    for n in range(MAX_SENDERS):
        limit.take(str(n))
    assert limit.take("first") is None


def test_database_is_asked_once_a_second() -> None:
    clock, writes = Hand(), []

    def write() -> None:
        writes.append(clock.seconds)
        if len(writes) > 1:
            raise LostLeaseError("another process has this place")

    health = Health(write=write, clock=clock)
    assert [health.can_record() for _ in range(5)] == [True] * 5
    clock.seconds += 1
    assert [health.can_record() for _ in range(5)] == [False] * 5
    assert len(writes) == 2
