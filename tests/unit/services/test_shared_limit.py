"""Tokens taken by the block: few writes, and never more than the limit and what is left of a block."""

from __future__ import annotations

import math
import random
import threading

import pytest

from receiver.domain.errors import StoreUnavailableError
from receiver.services.limits import BELIEVED_SECONDS, BLOCKS, SharedLimit
from tests.unit.services.hand import Hand

DEADLINE_SECONDS = 60.0


class Buckets:
    """The database's buckets, as the store counts them."""

    def __init__(self, clock: Hand) -> None:
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self.asked: list[int] = []

    def take(self, bucket: str, capacity: int, per_seconds: float, n: int = 1) -> float:
        self.asked.append(n)
        assert 0 < n <= capacity
        now = self._clock.seconds
        full_at = max(now, self._full_at.get(bucket, now)) + per_seconds * n / capacity
        if full_at > now + per_seconds + 1e-9:
            return full_at - now - per_seconds
        self._full_at[bucket] = full_at
        return 0.0


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def buckets(clock: Hand) -> Buckets:
    return Buckets(clock)


def process_of(buckets: Buckets, clock: Hand, per_minute: int = 600) -> SharedLimit:
    return SharedLimit(buckets.take, per_minute, items_per_minute=10 * per_minute, clock=clock)


def test_few_requests_ask_the_database(clock: Hand, buckets: Buckets) -> None:
    limit = process_of(buckets, clock)
    assert [limit.take("hotline") for _ in range(60)] == [None] * 60
    assert buckets.asked == [6] * 10


def test_small_limits_are_counted_singly(clock: Hand, buckets: Buckets) -> None:
    limit = process_of(buckets, clock, per_minute=150)
    assert [limit.take("hotline") for _ in range(3)] == [None] * 3
    assert buckets.asked == [1] * 3


def test_issuers_draw_on_their_own(clock: Hand, buckets: Buckets) -> None:
    limit = process_of(buckets, clock)
    assert [limit.take("one") for _ in range(601)][-1] is not None
    assert limit.take("other") is None


def test_large_notices_are_counted_whole(clock: Hand, buckets: Buckets) -> None:
    limit = process_of(buckets, clock)
    assert [limit.take_items("hotline", 25) for _ in range(4)] == [None] * 4
    assert [limit.take_items("hotline", 250) for _ in range(2)] == [None] * 2
    assert buckets.asked == [60, 60, 250, 250]


def test_last_tokens_are_given_out(clock: Hand, buckets: Buckets) -> None:
    limit = process_of(buckets, clock)
    assert buckets.take("issuer:hotline", 600, 60.0, n=597) == 0.0
    assert [limit.take("hotline") for _ in range(4)] == [None, None, None, 1]


@pytest.mark.parametrize("seed", range(8))
def test_slack_is_less_than_a_block(clock: Hand, buckets: Buckets, seed: int) -> None:
    """In every span: what the bucket held, what refilled it, and what each process had left of a block."""
    dice, per_minute = random.Random(seed), 600
    processes = [process_of(buckets, clock, per_minute) for _ in range(3)]
    slack = len(processes) * (per_minute // BLOCKS - 1)
    granted, least = 0, math.inf
    for _ in range(40):
        clock.seconds += dice.choice([0.1, 2.0, 30.0, 90.0])
        for _ in range(dice.choice([3, 30, 300, 900])):
            if dice.choice(processes).take("hotline") is None:
                refilled = per_minute * clock.seconds / 60
                least = min(least, granted - refilled)
                granted += 1
                assert granted - refilled - least <= per_minute + slack + 1e-6


def test_restarts_give_nothing_away(clock: Hand, buckets: Buckets) -> None:
    """What a process held when it ended was counted; so many restarts take from the issuer, a block each."""
    granted = sum(process_of(buckets, clock).take("hotline") is None for _ in range(200))
    assert granted == BLOCKS


def test_floods_are_refused_from_memory(clock: Hand, buckets: Buckets) -> None:
    limit = process_of(buckets, clock)
    assert limit.take_items("hotline", 6_000) is None
    waits = [limit.take_items("hotline", 3_000) for _ in range(50)]
    assert waits == [30] * 50
    assert buckets.asked == [6_000, 3_000]
    clock.seconds += BELIEVED_SECONDS / 2
    assert limit.take_items("hotline", 6_000) == 30
    assert len(buckets.asked) == 2
    clock.seconds += BELIEVED_SECONDS / 2
    assert limit.take_items("hotline", 3_000) == 29
    assert len(buckets.asked) == 3


def test_refused_waits_hold(clock: Hand, buckets: Buckets) -> None:
    limit = process_of(buckets, clock)
    while (wait_seconds := limit.take_items("hotline", 250)) is None:
        continue
    clock.seconds += wait_seconds
    assert limit.take_items("hotline", 250) is None


def test_more_modest_notices_are_asked_about(clock: Hand, buckets: Buckets) -> None:
    limit = process_of(buckets, clock)
    assert limit.take_items("hotline", 5_900) is None
    assert limit.take_items("hotline", 250) is not None
    assert limit.take_items("hotline", 100) is None


def test_broken_databases_are_asked_again(clock: Hand, buckets: Buckets) -> None:
    broken = True

    def take(bucket: str, capacity: int, per_seconds: float, n: int = 1) -> float:
        if broken:
            raise StoreUnavailableError("away")
        return buckets.take(bucket, capacity, per_seconds, n)

    limit = SharedLimit(take, 600, items_per_minute=6_000, clock=clock)
    with pytest.raises(StoreUnavailableError):
        limit.take("hotline")
    broken = False
    assert [limit.take("hotline") for _ in range(7)] == [None] * 7
    assert buckets.asked == [6, 6]


def test_nobody_waits_for_another_block(clock: Hand, buckets: Buckets) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def take(bucket: str, capacity: int, per_seconds: float, n: int = 1) -> float:
        if n > 1:
            inside.set()
            assert go_on.wait(DEADLINE_SECONDS)
        return buckets.take(bucket, capacity, per_seconds, n)

    limit = SharedLimit(take, 600, items_per_minute=6_000, clock=clock)
    slow = threading.Thread(target=limit.take, args=("hotline",))
    slow.start()
    try:
        assert inside.wait(DEADLINE_SECONDS)
        assert [limit.take("hotline") for _ in range(3)] == [None] * 3
    finally:
        go_on.set()
        slow.join(DEADLINE_SECONDS)
    assert limit.take("hotline") is None
    assert buckets.asked == [1, 1, 1, 6]
