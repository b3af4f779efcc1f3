"""A crash at every point of every main story, and a new worker after it: nothing is lost, nothing is done twice."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from receiver.domain.clock import to_micros
from receiver.domain.rows import CaseView
from receiver.domain.status import Track
from receiver.domain.want import held_blocks, live_acts, want
from tests.doubles.crashing import Tripwire
from tests.doubles.databases import make_database
from tests.doubles.make_world import make_world
from tests.doubles.world import World

BODY, SECOND = b"colour field", b"second field"
Make = Callable[..., World]


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Worlds of their own on one kind of database, closed in the end."""
    numbers, opened = itertools.count(), []

    def one(kind: str = "sqlite", **policy: Any) -> World:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        opened.append(make_database(request, kind, folder).open())
        return make_world(folder, opened[-1], **policy)

    yield one
    for store in opened:
        store.close()


@dataclass(frozen=True, kw_only=True)
class Story:
    """What happens to a world. `tell` gets the world and its worker, and returns the notices' row ids."""

    tell: Callable[[World, Tripwire], list[str]]
    policy: dict[str, Any]
    statuses: list[list[str]]
    public: bytes | None = None
    blocks: int = 1


URL = "https://img.example.net/public/a.jpg"


def _take_down(world: World, wire: Tripwire) -> list[str]:
    world.public_get(world.put("/public/a.jpg", BODY))
    first = world.notify(URL, URL.replace("https", "http"), "https://elsewhere.example/x.jpg")
    wire.work()
    second = world.notify(URL + "?v=2", issuer="ncmec")
    wire.work()
    world.later(seconds=31)
    wire.work()
    return [first, second]


def _preserve_then_proceed(world: World, wire: Tripwire) -> list[str]:
    world.put("/public/a.jpg", BODY)
    ends = to_micros(world.clock.now()) + 3_600_000_000
    police = {"act": "preserve_only", "police_reference": "P-1"}
    notice = world.notify(URL, handling=police, deadline_at=ends)
    wire.work()
    assert world.statuses(notice) == ["preserved_live"]
    world.direct(notice, "proceed")
    wire.work()
    return [notice]


def _withdraw(world: World, wire: Tripwire) -> list[str]:
    world.put("/public/a.jpg", BODY)
    notice = world.notify(URL, URL + "?v=2")
    wire.work()
    world.direct(notice, "withdraw")
    wire.work()
    return [notice]


def _removal(world: World, wire: Tripwire) -> list[str]:
    world.put("/public/a.jpg", BODY)
    notice = world.notify(URL)
    wire.work()
    world.later(days=1, hours=2)
    wire.work()
    return [notice]


def _reupload(world: World, wire: Tripwire) -> list[str]:
    world.put("/public/a.jpg", BODY)
    notice = world.notify(URL)
    wire.work()
    world.put("/public/a.jpg", SECOND)
    world.later(hours=2)
    wire.work()
    return [notice]


def _gate_only(world: World, wire: Tripwire) -> list[str]:
    notice = world.notify("https://gate.example.net/gallery.php?id=7")
    wire.work()
    return [notice]


STORIES = {
    "take_down": Story(tell=_take_down, policy={}, statuses=[["disabled", "disabled", "not_hosted"], ["disabled"]]),
    "preserve_then_proceed": Story(tell=_preserve_then_proceed, policy={}, statuses=[["disabled"]]),
    "withdraw": Story(
        tell=_withdraw,
        policy={"on_withdrawal": "auto"},
        statuses=[["restored", "restored"]],
        public=BODY,
        blocks=0,
    ),
    "removal": Story(tell=_removal, policy={"remove_after_days": 1}, statuses=[["removed"]]),
    "reupload": Story(tell=_reupload, policy={}, statuses=[["disabled"]], blocks=2),
    "gate_only": Story(tell=_gate_only, policy={}, statuses=[["disabled"]], blocks=0),
}


def run_story(make: Make, story: Story, dies_at: int | None, kind: str = "sqlite") -> tuple[Tripwire, list[Any]]:
    """Tell it, and check what must hold whenever and wherever it died. Returns what the issuers were told."""
    world = make(kind, **story.policy)
    wire = Tripwire(world=world, dies_at=dies_at)
    notices = story.tell(world, wire)
    assert [world.statuses(n) for n in notices] == story.statuses
    assert world.public_get(URL) == story.public
    for case in {c for n in notices for cases in world.notice(n).claims.values() for c in cases}:
        check_case(world, world.db.load_case(case), story)
    for notice in notices:
        check_letters(world, notice)
    return wire, [world.told(n) for n in notices]


def check_case(world: World, view: CaseView, story: Story) -> None:
    assert max(Counter(seal.pin for seal in view.seals).values(), default=1) == 1
    assert len(live_acts(view, "block")) == story.blocks
    assert all(act.ended_at is not None for act in view.acts)
    receipts = [act.receipt for act in held_blocks(view) if act.receipt is not None]
    assert {pin["value"] for receipt in receipts for pin in receipt["pins"]} <= {s.pin for s in view.seals}
    for seal in view.seals:
        assert world.vault.sealed[seal.id] in (BODY, SECOND)
    now = to_micros(world.clock.now())
    assert view.case.want is want(view, now=now, keep_up_decide_minutes=30)


def check_letters(world: World, notice: str) -> None:
    """Every event heard, in order, none with two names or two contents, and no number left out."""
    name = world.notice(notice).notice.notice_id
    events = world.events(notice)
    assert [e.sequence for e in events] == list(range(1, len(events) + 1))
    assert not world.db.undelivered(notice, 10)
    heard: dict[str, dict[str, Any]] = {}
    for _, _, body in world.mailbox.letters:
        read = json.loads(body)
        for event in read if isinstance(read, list) else [read]:
            if event["data"]["notice_id"] == name:
                assert heard.setdefault(event["id"], event) == event
    assert list(heard) == [e.id for e in events if e.status != "received"]
    work = world.db.load_work(Track.DELIVER, notice)
    assert work is not None
    assert (work.due_at, work.owner) == (None, None)


@pytest.mark.parametrize("name", STORIES)
def test_crash_anywhere_changes_nothing(make: Make, name: str) -> None:
    story = STORIES[name]
    whole, told = run_story(make, story, None)
    assert len(whole.calls) > 8
    for point in range(len(whole.calls)):
        try:
            assert run_story(make, story, point)[1] == told
        except (AssertionError, Exception) as exc:
            exc.add_note(f"died at {point}, before {whole.calls[point]}, after {whole.calls[:point][-3:]}")
            raise


def test_crash_anywhere_on_postgresql(make: Make) -> None:
    story = STORIES["gate_only"]
    whole, told = run_story(make, story, None, "postgresql")
    for point in range(len(whole.calls)):
        assert run_story(make, story, point, "postgresql")[1] == told
