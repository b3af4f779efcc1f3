"""A database's clock that is set back leaves nothing asleep until the right time has caught up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.domain.errors import StoreUnavailableError
from receiver.domain.outcome import CommitResult, Outcome
from receiver.domain.status import Track
from receiver.engine.stepped_clock import SteppedClock
from receiver.engine.sweeps import Sweep, Sweeper
from tests.doubles.make_world import make_world
from tests.doubles.world import World
from tests.support import wait_until

BODY = b"colour field"


class Steady:
    """The clock that nobody can set."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.db.close()


def watch(world: World, steady: Steady, stepped: list[int]) -> SteppedClock:
    def submit(outcome: Outcome) -> CommitResult:
        return world.db.commit([outcome])[0]

    return SteppedClock(world.db, submit, lambda: stepped.append(1), node="one", monotonic=steady)


def pass_time(world: World, steady: Steady, **delta: float) -> None:
    world.later(**delta)
    steady.seconds += delta.get("seconds", 0.0) + 60 * delta.get("minutes", 0.0)


def set_back(world: World, **delta: float) -> None:
    world.clock.move(**{unit: -much for unit, much in delta.items()})
    world.reboot()


def test_notice_is_not_left_for_a_day(world: World) -> None:
    steady, stepped = Steady(), list[int]()
    clock = watch(world, steady, stepped)
    clock.look()
    notice = world.notify(world.put("/a.jpg", BODY))
    set_back(world, days=1)
    world.run()
    assert world.statuses(notice) == ["received"]
    pass_time(world, steady, seconds=5)
    clock.look()
    world.run()
    assert (world.statuses(notice), stepped) == (["disabled"], [1])
    assert [(page.kind, page.subject) for page in world.db.open_pages(5)] == [("clock.wrong", "one step")]


def test_next_try_does_not_wait_for_a_day(world: World) -> None:
    """It was to be tried again minutes later, by the wrong time."""
    steady, stepped = Steady(), list[int]()
    clock = watch(world, steady, stepped)
    world.visitor.blind = True
    notice = world.notify(world.put("/a.jpg", BODY))
    for _ in range(8):
        world.run()
        pass_time(world, steady, minutes=2)
        clock.look()
    set_back(world, days=1)
    world.visitor.blind = False
    clock.look()
    world.run()
    assert world.statuses(notice) == ["disabled"]


def test_a_removal_is_not_brought_forward(world: World) -> None:
    steady, stepped = Steady(), list[int]()
    clock = watch(world, steady, stepped)
    notice = world.notify(world.put("/a.jpg", BODY))
    world.run()
    pass_time(world, steady, minutes=29 * 24 * 60)
    world.run()
    clock.look()
    set_back(world, days=2)
    clock.look()
    world.run()
    assert stepped == [1]
    assert [seal.removed_at for seal in world.case_of(notice).seals] == [None]
    assert world.statuses(notice) == ["disabled"]


@pytest.mark.parametrize("seconds", [0.0, 59.0, -3600.0])
def test_everyday_corrections_wake_nobody(world: World, seconds: float) -> None:
    """Slewing a little, or jumping ahead, leaves nothing asleep."""
    steady, stepped = Steady(), list[int]()
    clock = watch(world, steady, stepped)
    clock.look()
    set_back(world, seconds=seconds)
    pass_time(world, steady, seconds=5)
    clock.look()
    assert (stepped, world.db.open_pages(5)) == ([], ())


@pytest.mark.parametrize(("back_minutes", "woken"), [(5, True), (0, False)])
def test_step_while_nobody_ran_is_seen_at_the_start(world: World, back_minutes: int, woken: bool) -> None:
    world.db.sweep_done("pages")
    notice = world.notify(world.put("/a.jpg", BODY))
    set_back(world, minutes=back_minutes)
    stepped = list[int]()
    watch(world, Steady(), stepped).look()
    world.run()
    assert (world.statuses(notice), bool(stepped)) == (["disabled"], woken)


def test_what_could_not_be_woken_is_woken_later(world: World) -> None:
    steady, errors = Steady(), [StoreUnavailableError("away"), None]

    def submit(outcome: Outcome) -> CommitResult:
        error = errors.pop(0) if errors else None
        return CommitResult(error=error) if error else world.db.commit([outcome])[0]

    clock = SteppedClock(world.db, submit, lambda: None, node="one", monotonic=steady)
    clock.look()
    notice = world.notify(world.put("/a.jpg", BODY))
    set_back(world, days=1)
    with pytest.raises(StoreUnavailableError):
        clock.look()
    clock.look()
    world.run()
    assert world.statuses(notice) == ["disabled"]


def test_it_runs_beside_the_worker(world: World) -> None:
    looked = threading.Event()

    class Times:
        def now(self) -> int:
            looked.set()
            raise StoreUnavailableError("away")

        def last_sweep_at(self) -> int | None:
            return None

        def due_within(self, _until_at: int) -> tuple[tuple[Track, str], ...]:
            return ()

    clock = SteppedClock(Times(), lambda _outcome: CommitResult(), lambda: None, node="one")
    clock.start()
    assert looked.wait(30)
    clock.stop()


def test_sweeps_run_at_once_after_a_step(world: World) -> None:
    """Their turns were set by the wrong time too."""
    ran = threading.Event()
    sweep = Sweep(name="pages", every_seconds=86_400, job=ran.set)
    sweeper = Sweeper((sweep,), queue=world.db, lead=world.db.try_lead)
    sweeper.start()
    sweeper.at_once()
    wait_until(ran.is_set, "the sweep's turn", seconds=60)
    wait_until(lambda: "pages" in world.db.sweep_ages(), "its note", seconds=60)
    sweeper.stop()
