from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from adapters.nginx.gathering import MAX_REST_SECONDS, REST_TIMES, Gathering


@dataclass(kw_only=True)
class Clock:
    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gathering(clock: Clock) -> Gathering:
    return Gathering(lambda: clock.now, clock.sleep)


def reload(gathering: Gathering, clock: Clock, seconds: float) -> None:
    with gathering.reloading():
        clock.now += seconds


def test_first_change_goes_at_once(gathering: Gathering, clock: Clock) -> None:
    with gathering.waiting(), gathering.waiting():
        gathering.rest()
    assert clock.slept == []


def test_lone_change_never_waits(gathering: Gathering, clock: Clock) -> None:
    reload(gathering, clock, 0.1)
    with gathering.waiting():
        gathering.rest()
    assert clock.slept == []


def test_changes_gather_after_reload(gathering: Gathering, clock: Clock) -> None:
    reload(gathering, clock, 0.125)
    with gathering.waiting(), gathering.waiting():
        gathering.rest()
        gathering.rest()
    assert clock.slept == [pytest.approx(REST_TIMES * 0.125)]


def test_time_gone_counts_as_rest(gathering: Gathering, clock: Clock) -> None:
    reload(gathering, clock, 0.125)
    clock.now += 0.25
    with gathering.waiting(), gathering.waiting():
        gathering.rest()
    assert clock.slept == [pytest.approx(REST_TIMES * 0.125 - 0.25)]


def test_slow_reload_rests_no_longer(gathering: Gathering, clock: Clock) -> None:
    reload(gathering, clock, 20.0)
    with gathering.waiting(), gathering.waiting():
        gathering.rest()
    assert clock.slept == [pytest.approx(MAX_REST_SECONDS)]


def test_failed_reload_rests_too(gathering: Gathering, clock: Clock) -> None:
    def fail() -> None:
        with gathering.reloading():
            clock.now += 0.125
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with gathering.waiting(), gathering.waiting():
        gathering.rest()
    assert clock.slept == [pytest.approx(REST_TIMES * 0.125)]


def test_failed_change_is_not_counted(gathering: Gathering, clock: Clock) -> None:
    with pytest.raises(RuntimeError), gathering.waiting():
        raise RuntimeError
    reload(gathering, clock, 0.125)
    with gathering.waiting():
        gathering.rest()
    assert clock.slept == []
