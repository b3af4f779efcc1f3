"""Two issuers, withdrawals, holds, clocks and notices that meet each other in the worst order."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from receiver.domain.errors import ConflictError
from receiver.domain.outcome import Outcome
from receiver.domain.status import Track
from receiver.pipeline import advance
from receiver.store import SqlStore
from tests.doubles.make_world import make_world
from tests.doubles.world import World
from tests.integration.chain_steps import BODY, down

DAY = 24


@pytest.mark.parametrize("first_to_go", [0, 1])
def test_each_issuer_speaks_for_itself_alone(tmp_path: Path, store: SqlStore, first_to_go: int) -> None:
    """Whoever withdraws first changes nothing for the other; after both, people bring it back once."""
    world = make_world(tmp_path, store)
    url, mine = down(world)
    theirs = world.notify(url, issuer="ncmec")
    world.run()
    first, last = (mine, theirs)[first_to_go], (mine, theirs)[1 - first_to_go]
    told = world.told(last)
    world.direct(first, "withdraw")
    world.run()
    assert (world.statuses(first), world.statuses(last)) == (["withdrawn"], ["disabled"])
    assert (world.public_get(url), world.told(last)) == (None, told)
    assert world.case_of(last).decisions == ()
    world.direct(last, "withdraw")
    world.run()
    assert (world.statuses(last), world.public_get(url)) == (["review"], None)
    world.decide("release", case=world.case_of(last).case.id)
    world.run()
    assert world.public_get(url) == BODY
    assert (world.statuses(first), world.statuses(last)) == (["withdrawn"], ["restored"])


def test_withdrawal_after_the_seal_keeps_both(world: World) -> None:
    """The copy is back for good, and the evidence stays: no removal falls due for what was given back."""
    url, notice = down(world)
    case = world.case_of(notice)
    assert (case.evidence.state, len(case.seals)) == ("sealed", 1)
    world.direct(notice, "withdraw")
    world.run()
    world.decide("release", case=case.case.id)
    world.run()
    for _ in range(5):
        world.later(days=31)
        world.run()
    after = world.case_of(notice)
    assert (world.public_get(url), world.origin(url)) == (BODY, BODY)
    assert [seal.removed_at for seal in after.seals] == [None]
    assert BODY in world.vault.sealed.values()
    assert world.statuses(notice) == ["restored"]


def test_hold_of_another_outlives_a_release(world: World) -> None:
    """People agreed to the way back; the other issuer's hold still keeps it down, and it comes up when that ends."""
    url, mine = down(world)
    theirs = world.notify(url, issuer="ncmec")
    world.run()
    world.direct(theirs, "hold")
    world.run()
    world.direct(theirs, "withdraw")
    world.direct(mine, "withdraw")
    world.run()
    world.decide("release", case=world.case_of(mine).case.id)
    world.run()
    assert world.public_get(url) is None
    assert "restored" not in world.statuses(mine) + world.statuses(theirs)
    world.later(days=40)
    world.run()
    assert (world.public_get(url), [seal.removed_at for seal in world.case_of(mine).seals]) == (None, [None])
    world.direct(theirs, "release_hold")
    world.run()
    case = world.case_of(mine)
    if world.public_get(url) is None:
        # Settings may ask people again, now that nothing stands against it.
        assert [d.state for d in case.decisions].count("asked") == 1
        world.decide("release", case=case.case.id)
        world.run()
    assert world.public_get(url) == BODY


@pytest.mark.parametrize("hours", [DAY, -1])
def test_clock_that_jumps_ends_nothing_early(tmp_path: Path, store: SqlStore, hours: int) -> None:
    """Forward before every step, or back an hour: it goes down, is told once, and is not removed before its time."""
    world = make_world(tmp_path, store, remove_after_days=30)
    url = world.put("/public/a.jpg", BODY)
    notice = world.notify(url)
    for _ in range(20):
        world.later(hours=hours)
        rows = [
            row for track in Track for cls in (0, 1, 2, 3, 9) for row in world.db.claim(world.worker, track, cls, 5)
        ]
        while rows:
            rows = [*world.step(rows[0]), *rows[1:]]
        if hours < 0:
            # Set right again, as the time service does.
            world.later(hours=-hours)
    world.run()
    case = world.case_of(notice)
    assert (world.statuses(notice), world.public_get(url)) == (["disabled"], None)
    assert [status for _, status in world.told(notice)].count("disabled") == 1
    assert [seal.removed_at for seal in case.seals] == [None]


def test_same_urls_in_another_order_meet_in_one_case(world: World) -> None:
    urls = [world.put(f"/public/{number}.jpg", BODY) for number in range(4)]
    notices = [world.notify(*order) for order in itertools.permutations(urls)]
    world.run(steps=2000)
    cases = {world.case_of(notice, item).case.id for notice in notices for item in range(len(urls))}
    assert len(cases) == len(urls)
    for notice in notices:
        assert world.statuses(notice) == ["disabled"] * len(urls)
        sequences = [event.sequence for event in world.events(notice)]
        assert sequences == list(range(1, len(sequences) + 1))


def committed_at_once(world: World, outcomes: Sequence[Outcome]) -> list[Exception | None]:
    together = threading.Barrier(len(outcomes))

    def commit(outcome: Outcome) -> Exception | None:
        together.wait(30)
        (result,) = world.db.commit([outcome])
        return result.error

    with ThreadPoolExecutor(len(outcomes)) as pool:
        return list(pool.map(commit, outcomes))


def test_two_workers_open_the_same_cases_once(tmp_path: Path, store: SqlStore) -> None:
    """Two notices of the same URLs, the other way round, committed at one moment: no lock stays, nothing is doubled."""
    world = make_world(tmp_path, store)
    for turn in range(3):
        urls = [world.put(f"/public/{turn}-{number}.jpg", BODY) for number in range(8)]
        notices = [world.notify(*urls), world.notify(*reversed(urls))]
        rows = world.db.claim(world.worker, Track.RESOLVE, 0, 10)
        errors = committed_at_once(world, [advance(row, world.tools).outcome for row in rows])
        assert all(error is None or isinstance(error, ConflictError) for error in errors)
        # What either of them leased is given back, as when its worker has died.
        world.reboot()
        world.run(steps=2000)
        cases = {case.case.id for notice in notices for item in range(8) for case in world.cases_of(notice, item)}
        assert len(cases) == len(urls)
        for notice in notices:
            assert world.statuses(notice) == ["disabled"] * len(urls)
