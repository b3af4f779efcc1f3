"""Leases: workers that are killed, frozen, cut off or late lose nothing, double nothing, and are soon replaced."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.lease_chaos import Chaos
from tests.faults.lease_checks import doubled, findings, repeated
from tests.faults.lease_frozen import DOWN, TAKEN_BACK, Frozen, freeze_at_every_act
from tests.faults.lease_stand import Ground, Site, ground, start_all
from tests.faults.scale import SEED, TORTURE
from tests.support import wait_until

TAKEN_OVER_SECONDS = 15.0
WORKERS, FAULTS, NOTICES = (8, 200, 2_400) if TORTURE else (4, 10, 40)
SHIFTS = (0, 3600, -3600, 0, 0, 3600, -3600, 0)[:WORKERS]
"""Clocks of the workers, wrong by an hour: leases and due times are the database's."""


@pytest.fixture(scope="module")
def field() -> Iterator[Ground]:
    with ground(WORKERS) as made:
        yield made


Both = tuple[tuple[Site, Frozen], tuple[Site, Frozen]]


@pytest.fixture(scope="module")
def frozen(field: Ground) -> Iterator[Both]:
    """The same schedule with and without the commit's guard, at the same time."""
    with field.site("fenced") as fenced, field.site("unfenced", unfenced=True) as bare, ThreadPoolExecutor(2) as pool:
        one = pool.submit(freeze_at_every_act, fenced, 0, 1, fenced=True)
        other = pool.submit(freeze_at_every_act, bare, 2, 3, fenced=False)
        yield (fenced, one.result()), (bare, other.result())


def test_frozen_worker_doubles_nothing(frozen: Both) -> None:
    (site, seen), _ = frozen
    assert findings(site) == []
    assert seen.lost == len(seen.held)


def test_frozen_worker_is_soon_replaced(frozen: Both) -> None:
    (_, seen), _ = frozen
    assert len(seen.held) >= 5
    assert max(seen.takeovers.values()) <= TAKEN_OVER_SECONDS, sorted(seen.takeovers.values())


def test_late_act_changes_nothing(frozen: Both) -> None:
    (_, seen), _ = frozen
    assert {name: seen.public[name] for name in TAKEN_BACK} == {name: name.encode() for name in TAKEN_BACK}
    assert {name: seen.public[name] for name in DOWN} == dict.fromkeys(DOWN)


def test_missing_guard_is_found(frozen: Both) -> None:
    """The same freeze, without the epoch in the commit: something must be finished twice."""
    _, (site, _) = frozen
    wait_until(lambda: list(doubled(site)), "a double completion is found", seconds=20)
    assert any("told disabled" in words for words in doubled(site)), list(doubled(site))


def test_faults_lose_and_double_nothing(field: Ground) -> None:
    """Kills, freezes, partitions and crashes of the server, over workers whose clocks disagree by two hours."""
    with field.site("chaos", shifts=SHIFTS) as site:
        start_all(site, range(WORKERS))
        chaos = Chaos(
            ground=field,
            site=site,
            workers=WORKERS,
            faults=FAULTS,
            notices=NOTICES,
            backlog=3 * WORKERS,
            seed=SEED,
        )
        chaos.run(3_600 if TORTURE else 240)
        site.wait_until_at_rest(chaos.sent, 300 if TORTURE else 90)
        wait_until(site.is_numbered, "all entries have their number", seconds=60)
        calls = site.calls()
        steps = sum(call.what == "step" for call in calls)
        sys.stdout.write(f"{chaos.figures()}; {steps} steps, {repeated(calls)} acts sent again\n")
        assert findings(site) == []
        assert chaos.left == []
        assert max(seconds for seconds, _ in chaos.takeovers) <= TAKEN_OVER_SECONDS, chaos.figures()
        assert not any("step.crashed" in site.log(number) for number in range(WORKERS))
        assert steps >= (20_000 if TORTURE else 300)
