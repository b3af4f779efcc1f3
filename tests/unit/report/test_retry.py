"""The schedule that the protocol publishes, walked through on a clock of its own."""

from __future__ import annotations

import itertools
import random

import pytest

from receiver.domain.backoff import MICROS
from receiver.report.retry import JITTER, OFFSETS_SECONDS, next_try

HOURS = 72
END = HOURS * 3600 * MICROS
LARGEST_GAP = int(6.6 * 3600 * MICROS)


def tries(subject: str, retry_after_seconds: float = 0.0) -> list[int]:
    """Moments of all tries of a letter that nobody ever takes, the first at 0."""
    made, now = [0], 0
    while True:
        due = next_try(
            subject=subject,
            attempts=len(made),
            first_failed_at=0,
            now=now,
            give_up_hours=HOURS,
            retry_after_seconds=retry_after_seconds,
        )
        if due is None:
            return made
        assert due > now
        now = due
        made.append(now)


@pytest.mark.parametrize("subject", [f"notice-{n}" for n in range(20)])
def test_tries_keep_to_published_times(subject: str) -> None:
    made = tries(subject)
    for at, offset in zip(made[1:], OFFSETS_SECONDS, strict=False):
        assert offset * (1 - JITTER) <= at / MICROS <= offset * (1 + JITTER)
    gaps = [later - earlier for earlier, later in itertools.pairwise(made)]
    assert max(gaps) <= LARGEST_GAP
    assert all(gap >= 5.4 * 3600 * MICROS for gap in gaps[len(OFFSETS_SECONDS) : -1])
    assert made[-1] == END


def test_peers_do_not_return_together() -> None:
    assert len({tries(f"n{n}")[5] for n in range(50)}) == 50


def test_retry_after_is_honoured() -> None:
    made = tries("n", retry_after_seconds=3600)
    assert all(later - earlier >= 3600 * MICROS for earlier, later in itertools.pairwise(made[:-1]))
    assert tries("n", retry_after_seconds=1)[:3] == tries("n")[:3]


def test_retry_after_never_passes_the_end() -> None:
    due = next_try(
        subject="n", attempts=9, first_failed_at=0, now=END - 1, give_up_hours=HOURS, retry_after_seconds=86_400
    )
    assert due == END


def test_letter_is_dead_at_the_end() -> None:
    assert next_try(subject="n", attempts=3, first_failed_at=0, now=END, give_up_hours=HOURS) is None


@pytest.mark.parametrize("seed", range(0, 1000, 100))
def test_outages_end_in_delivery_or_death(seed: int) -> None:
    """A thousand outages: heard within 6 h 36 m of the peer's return, or dead at 72 h and not before."""
    for number in range(seed, seed + 100):
        chance = random.Random(number)
        back = int(chance.uniform(0, 90 * 3600) * MICROS)
        heard = next((at for at in tries(f"notice-{number}") if at >= back), None)
        if back <= END:
            assert heard is not None
            assert heard - back <= LARGEST_GAP
        else:
            assert heard is None
