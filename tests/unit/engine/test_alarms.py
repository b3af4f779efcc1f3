"""Each condition calls a person once; what was acknowledged calls again only when it comes back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.domain.causes import Unconfirmed, Waiting
from receiver.domain.clock import from_micros, to_micros
from receiver.domain.outcome import Outcome, Page, Update
from receiver.domain.ports import PageRow
from receiver.engine.alarms import AGAIN_MICROS, Alarm, Alarms, clock_alarms, review_alarms, sweep_alarms
from receiver.engine.sweeps import DEADLINE, sweeps_for
from tests.doubles.case_rows import NOW, SECOND
from tests.doubles.make_world import make_world
from tests.doubles.pages import acknowledge
from tests.doubles.world import World
from tests.doubles.world_parts import SteeredClock


class Book:
    def __init__(self) -> None:
        self.at = NOW
        self.paged: dict[tuple[str, str], tuple[int, bool]] = {}
        self.calls: list[tuple[str, str]] = []
        self.ages: dict[str, int] = {}
        self.review: dict[str, tuple[int, int]] = {}
        self.waiting: tuple[Waiting, ...] = ()
        self.unclear: tuple[Unconfirmed, ...] = ()
        self.stuck: set[tuple[str, str]] = set()
        self.open: tuple[PageRow, ...] = ()
        self.changes: list[tuple[str, str]] = []

    def now(self) -> int:
        return self.at

    def sweep_ages(self) -> dict[str, int]:
        return self.ages

    def last_paged(self, kind: str) -> dict[str, tuple[int, bool]]:
        return {subject: found for (name, subject), found in self.paged.items() if name == kind}

    def waiting_in_review(self) -> dict[str, tuple[int, int]]:
        return self.review

    def long_waiting(self) -> tuple[Waiting, ...]:
        return self.waiting

    def long_unconfirmed(self) -> tuple[Unconfirmed, ...]:
        return self.unclear

    def still_stuck(self) -> set[tuple[str, str]]:
        return self.stuck

    def open_pages(self, limit: int) -> tuple[PageRow, ...]:
        return self.open[:limit]

    def change(self, change: Update) -> None:
        assert change.where == {"id": change.where["id"], "count": 1, "acknowledged_at": None}
        self.changes += [(change.where["id"], name) for name in change.values]

    def page(self, kind: str, subject: str, _words: str) -> None:
        self.calls.append((kind, subject))
        self.paged[kind, subject] = (self.at, True)

    def acknowledge(self, kind: str, subject: str) -> None:
        self.paged[kind, subject] = (self.paged[kind, subject][0], False)


def test_one_call_until_it_comes_back() -> None:
    book = Book()
    alarms = Alarms(book, [lambda: [Alarm(kind="space.low", subject="vault", text="t")]], book.page, book.change)
    for _ in range(2):
        alarms()
    assert book.calls == [("space.low", "vault")]
    book.acknowledge("space.low", "vault")
    alarms()
    assert len(book.calls) == 1
    book.at += AGAIN_MICROS + 1
    alarms()
    assert len(book.calls) == 2


def test_newer_items_call_anew_after_acknowledgement() -> None:
    book = Book()
    alarms = Alarms(book, [lambda: review_alarms(book)], book.page, book.change)
    book.review = {"iwf": (3, NOW - SECOND)}
    alarms()
    book.acknowledge("review.waiting", "iwf")
    book.at += AGAIN_MICROS * 3
    alarms()
    assert book.calls == [("review.waiting", "iwf")]
    book.review = {"iwf": (4, NOW + SECOND)}
    alarms()
    assert len(book.calls) == 2


@pytest.mark.parametrize(
    ("ages", "up_for", "late"),
    [
        ({"pages": 100}, 10_000, []),
        ({"pages": 301}, 10_000, ["pages"]),
        ({"pages": 301}, 100, []),
        ({}, 301, ["pages"]),
        ({}, 100, []),
    ],
)
def test_sweeps_without_success_call(ages: dict[str, int], up_for: int, late: list[str]) -> None:
    book = Book()
    book.ages = ages
    begun_at = NOW - up_for * SECOND
    assert [alarm.subject for alarm in sweep_alarms(book, ["pages"], begun_at)] == late


@pytest.mark.parametrize(("seconds", "wrong"), [(0, False), (59, False), (61, True), (-61, True)])
def test_clocks_apart_call(seconds: int, wrong: bool) -> None:
    book, clock = Book(), SteeredClock()
    clock.at = from_micros(NOW) + dt.timedelta(seconds=seconds)
    assert [alarm.kind for alarm in clock_alarms(book, clock, "node")] == (["clock.wrong"] if wrong else [])


# --- with a real store


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.db.close()


def test_review_is_called_about_once(world: World) -> None:
    def page(kind: str, subject: str, words: str) -> None:
        world.commit(Outcome(pages=(Page(kind=kind, subject=subject, text=words),)))

    alarms = Alarms(world.db, [lambda: review_alarms(world.db)], page, lambda _change: None)
    alarms()
    assert world.db.open_pages(5) == ()
    for number in range(2):
        world.notify(world.put(f"/{number}.txt", b"text"), category="npi")
    world.run()
    for _ in range(2):
        alarms()
    (found,) = world.db.open_pages(5)
    assert (found.kind, found.subject, found.count) == ("review.waiting", "iwf", 1)
    assert "2 item(s)" in found.text
    assert acknowledge(world.db, found.id)
    alarms()
    assert world.db.open_pages(5) == ()


def test_an_acknowledged_deadline_stays_so(world: World) -> None:
    class Direct:
        def submit(self, outcome: Outcome) -> None:
            world.commit(outcome)

    def sweep() -> None:
        made = sweeps_for(world.db, world.db, Direct(), page_again_minutes=(), issuers=())  # type: ignore[arg-type]
        next(one for one in made if one.name == "deadlines").job()

    passed = to_micros(world.clock.now()) - SECOND
    notice = world.notify(world.put("/a.txt", b"text"), category="npi", deadline_at=passed)
    world.run()
    sweep()
    (found,) = world.db.open_pages(5)
    assert (found.kind, found.subject, found.count) == (DEADLINE, notice, 1)
    assert acknowledge(world.db, found.id)
    sweep()
    assert world.db.open_pages(5) == ()
