"""One cause is one page however many cases wait for it, and it closes when the last of them is through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.contract import Denied, Retryable
from receiver.domain.backoff import PAGE_AFTER_ATTEMPTS
from receiver.domain.causes import SORTS, Waiting, at, place_of
from receiver.domain.errors import VaultError
from receiver.domain.outcome import Outcome, Table, Update
from receiver.domain.ports import PageRow
from receiver.domain.status import Track
from receiver.domain.web import Look, LookTarget, Seen
from receiver.engine.alarms import MANY, OVER, Alarms, waiting_alarms
from tests.doubles.calling import call_people
from tests.doubles.case_rows import NOW, SECOND
from tests.doubles.make_world import make_world
from tests.doubles.pages import acknowledge
from tests.doubles.world import Visitor, World
from tests.unit.engine.test_alarms import Book

BODY = b"colour field" * 50
COUNT = 12


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.db.close()


class Stubborn(Visitor):
    """Finds one picture whatever is done about it."""

    def look(self, target: LookTarget) -> tuple[Look, ...]:
        looks = super().look(target)
        return tuple(replace(one, verdict=Seen.UP) for one in looks) if target.url.endswith("/up.jpg") else looks


def notify_many(world: World, count: int = COUNT) -> list[str]:
    return [world.notify(world.put(f"/{number}.jpg", BODY)) for number in range(count)]


def keep_trying(world: World) -> None:
    for _ in range(PAGE_AFTER_ATTEMPTS + 2):
        world.run(steps=2000)
        world.later(minutes=2)


def kinds(world: World) -> list[tuple[str, str]]:
    return sorted((page.kind, page.subject) for page in call_people(world))


def test_a_store_that_is_away_is_one_page(world: World) -> None:
    world.failures["store.block"] = Retryable("the agent is away")
    notices = notify_many(world)
    keep_trying(world)
    (page,) = [page for page in call_people(world) if page.kind == "place.failing"]
    assert page.subject == "store www"
    assert f"waiting for it: exposure {COUNT}; the oldest since " in page.text
    assert "the agent is away" in page.text
    world.failures.clear()
    world.later(minutes=20)
    world.run(steps=2000)
    assert {status for notice in notices for status in world.statuses(notice)} == {"disabled"}
    assert call_people(world) == ()


def test_a_page_says_how_many_still_wait(world: World) -> None:
    world.failures["store.block"] = Retryable("the agent is away")
    notify_many(world, 3)
    keep_trying(world)
    assert "exposure 3" in call_people(world)[0].text
    last = world.notify(world.put("/last.jpg", BODY))
    keep_trying(world)
    (page,) = [page for page in call_people(world) if page.kind == "place.failing"]
    assert ("exposure 4" in page.text, page.count, last != "") == (True, 1, True)


def test_all_who_wait_for_the_vault_are_one_page(world: World) -> None:
    world.vault.broken = VaultError("the vault cannot be written")
    notify_many(world)
    keep_trying(world)
    assert kinds(world) == [("place.failing", "vault")]


def test_looks_that_see_nothing_are_two_pages(world: World) -> None:
    """That nobody can see, and that a quarter of an hour is over: each once, and closed when the looks are clear."""
    world.visitor.blind = True
    notify_many(world)
    keep_trying(world)
    world.later(minutes=20)
    world.run(steps=2000)
    assert kinds(world) == [("place.failing", "outside www"), ("seen.unclear", "www")]
    assert all(f"{COUNT}" in page.text for page in call_people(world))
    world.visitor.blind = False
    world.later(minutes=20)
    world.run(steps=2000)
    assert kinds(world) == []


def test_what_is_unclear_later_calls_anew(world: World) -> None:
    """Nobody may miss a picture that may be up because somebody knew of another one."""
    world.visitor.blind = True
    for number in range(2):
        world.notify(world.put(f"/{number}.jpg", BODY))
        keep_trying(world)
        world.later(minutes=20)
        world.run(steps=2000)
        (page,) = [page for page in call_people(world) if page.kind == "seen.unclear"]
        assert f"{number + 1} case(s)" in page.text
        assert acknowledge(world.db, page.id)
        world.later(minutes=1)
        assert "seen.unclear" not in [page.kind for page in call_people(world)]


def test_one_refusal_for_many_is_one_page(world: World) -> None:
    world.failures["store.block"] = Denied("the agent may not move this file")
    notices = notify_many(world)
    world.run(steps=2000)
    (page,) = call_people(world)
    assert (page.kind, page.count) == ("exposure.stuck", COUNT)
    world.failures.clear()
    for left, notice in enumerate(reversed(notices)):
        assert len(call_people(world)) == 1, left
        case = world.case_of(notice).case.id
        again = {"state": "block", "stuck_from": None, "due_at": NOW}
        where = {"track": Track.EXPOSURE.value, "subject": case}
        world.commit(Outcome(changes=(Update(table=Table.WORK, where=where, values=again),)))
        world.run()
    assert call_people(world) == ()


def test_a_trouble_of_its_own_keeps_its_page(world: World) -> None:
    """One picture that stays up stands beside the many that wait for the vault, and is not one of them."""
    world.vault.broken = VaultError("the vault cannot be written")
    notify_many(world, 3)
    up = world.notify(world.put("/up.jpg", BODY))
    world.visitor = Stubborn(world)
    world.rebuild()
    keep_trying(world)
    own = world.case_of(up).case.id
    assert ("exposure.waiting", own) in kinds(world)
    assert ("place.failing", "vault") in kinds(world)
    assert len(kinds(world)) == 2


# --- the deciding alone


def page_row(kind: str, subject: str, **changes: object) -> PageRow:
    values: dict[str, object] = {
        "id": f"{kind} {subject}",
        "kind": kind,
        "subject": subject,
        "text": "t",
        "count": 1,
        "created_at": NOW,
        "last_at": NOW,
        "acknowledged_at": None,
        "acknowledged_by": None,
    }
    return PageRow(**values | changes)  # type: ignore[arg-type]  # the members' own types


def settle(book: Book) -> None:
    Alarms(book, [lambda: waiting_alarms(book)], book.page, book.change)()


@pytest.mark.parametrize(
    ("kind", "subject", "over"),
    [
        ("place.failing", "store www", False),
        ("place.failing", "store old", True),
        ("resolve.waiting", "n1", False),
        ("resolve.waiting", "n2", True),
        ("evidence.waiting", "c1", True),
        ("exposure.waiting", "n1", True),
        ("exposure.stuck", "c1", False),
        ("evidence.stuck", "c1", True),
        ("space.low", "vault", False),
        ("immediate_risk", "n2", False),
    ],
)
def test_only_what_is_over_closes(kind: str, subject: str, over: bool) -> None:
    book = Book()
    book.stuck = {("exposure", "c1")}
    own = Waiting(track=Track.RESOLVE, subject="n1", words="odd", count=1, oldest_at=NOW)
    placed = Waiting(track=Track.EXPOSURE, subject=None, words=at("store www", "away"), count=2, oldest_at=NOW)
    book.waiting = (own, placed)
    book.open = (page_row(kind, subject),)
    settle(book)
    closed = [("acknowledged_at"), ("acknowledged_by")]
    assert [name for _, name in book.changes if name != "text"] == (closed if over else [])


def test_a_call_ends_under_no_persons_name(world: World) -> None:
    world.failures["store.block"] = Retryable("away")
    world.notify(world.put("/a.jpg", BODY))
    keep_trying(world)
    (page,) = [page for page in call_people(world) if page.kind == "place.failing"]
    world.failures.clear()
    world.later(minutes=20)
    world.run()
    call_people(world)
    assert not acknowledge(world.db, page.id)
    with world.db._db.read() as conn:
        who = conn.exec_driver_sql("SELECT acknowledged_by FROM page WHERE kind = 'place.failing'").scalar_one()
    assert who == OVER


def test_the_same_outage_calls_nobody_twice() -> None:
    book = Book()
    words = at("gate edge", "deny: away")
    book.waiting = (Waiting(track=Track.EXPOSURE, subject=None, words=words, count=2, oldest_at=NOW - SECOND),)
    settle(book)
    book.acknowledge("place.failing", "gate edge")
    book.at += 86_400 * SECOND * 2
    settle(book)
    assert book.calls == [("place.failing", "gate edge")]
    book.waiting = (Waiting(track=Track.EXPOSURE, subject=None, words=words, count=2, oldest_at=book.at),)
    settle(book)
    assert len(book.calls) == 2


def test_many_of_one_trouble_are_one_page() -> None:
    """A cache that says it purged and did not is no place that fails; hundreds of pages would hide all others."""
    book = Book()

    def still_up(count: int) -> tuple[Waiting, ...]:
        return tuple(
            Waiting(track=Track.EXPOSURE, subject=f"c{n}", words="still up", count=1, oldest_at=NOW - n * SECOND)
            for n in range(count)
        )

    book.waiting = still_up(MANY)
    settle(book)
    assert len(book.calls) == MANY
    book.waiting = still_up(MANY * 40)
    settle(book)
    assert book.calls[MANY:] == [("exposure.waiting", "still up")]
    book.open = (page_row("exposure.waiting", "c1"),)
    settle(book)
    assert [name for _, name in book.changes] == ["acknowledged_at", "acknowledged_by"]
    book.waiting = still_up(MANY)
    settle(book)
    assert len(book.calls) == MANY + 1


@pytest.mark.parametrize("sort", SORTS)
def test_place_is_found_in_its_words(sort: str) -> None:
    assert place_of(at(f"{sort} a-b.c", "block: x] y")) == f"{sort} a-b.c"
    assert place_of(at(sort, "x")) == sort


@pytest.mark.parametrize("words", ["", "away", "[Errno 13] no", "[stores] x", "x [store www] y", "[store www"])
def test_own_words_name_no_place(words: str) -> None:
    assert place_of(words) is None
