"""The chain where several things go wrong or meet at once. Each of these once came out wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.contract import AdapterError, BlockReceipt, OriginState, Ref, Retryable
from adapters.memory.storage import MemoryStorage
from receiver.domain.clock import to_micros
from receiver.store import SqlStore
from tests.doubles.databases import Database
from tests.doubles.make_world import make_world
from tests.doubles.world import HOST, World

BODY = b"colour field"
URL = f"https://{HOST}/public/a.jpg"
POLICE = {"act": "preserve_only", "police_reference": "P-1"}


@pytest.fixture
def db(sqlite_database: Database) -> Any:
    opened = sqlite_database.open()
    yield opened
    opened.close()


@pytest.fixture
def world(tmp_path: Path, db: SqlStore) -> World:
    return make_world(tmp_path, db, on_withdrawal="auto", remove_after_days=1)


def down(world: World, *urls: str, **changes: Any) -> str:
    world.put("/public/a.jpg", BODY)
    notice = world.notify(*(urls or (URL,)), **changes)
    world.run()
    assert set(world.statuses(notice)) == {"disabled"}
    return notice


class UploadedAfterBlock(MemoryStorage):
    """Once, the customer puts something new there when the host has just looked whether the block is whole."""

    def __init__(self) -> None:
        super().__init__()
        self._uploads = [b"second field"]

    def _origin_state(self, ref: Ref, receipt: BlockReceipt) -> OriginState:
        seen = super()._origin_state(ref, receipt)
        if self._uploads:
            self.store.write_as_customer(ref.locator, self._uploads.pop())
        return seen


def pages(world: World) -> list[str]:
    return sorted(page.kind for page in world.db.open_pages(20))


def test_hold_delays_a_withdrawal(world: World) -> None:
    notice = down(world)
    world.direct(notice, "hold")
    world.run()
    world.direct(notice, "withdraw")
    world.run()
    assert (world.statuses(notice), world.public_get(URL)) == (["review"], None)
    world.direct(notice, "release_hold")
    world.run()
    assert (world.statuses(notice), world.public_get(URL)) == (["restored"], BODY)


def test_deny_that_came_late_is_taken_back(world: World) -> None:
    """The gate was away all along: what it denies when it returns must not outlive the release."""
    world.failures |= {"gate": ConnectionError(), "store": ConnectionError()}
    world.put("/public/a.jpg", BODY)
    notice = world.notify(URL)
    world.run()
    world.direct(notice, "withdraw")
    world.run()
    world.failures.clear()
    for _ in range(3):
        world.later(minutes=20)
        world.run()
    assert world.public_get(URL) == BODY
    assert world.statuses(notice)[0] in ("restored", "withdrawn")


def test_upload_after_removal_is_a_new_round(world: World) -> None:
    notice = down(world)
    world.later(days=1, hours=2)
    world.run()
    assert world.statuses(notice) == ["removed"]
    world.put("/public/a.jpg", b"second field")
    world.later(hours=25)
    world.run()
    assert [s for _, s in world.told(notice)] == ["disabled", "removed", "reappeared", "disabled"]
    case = world.case_of(notice)
    assert (world.origin(URL), case.evidence.state) == (None, "sealed")
    assert b"second field" in world.vault.sealed.values()
    # What was uploaded last has its own time until it goes.
    world.later(hours=20)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    world.later(hours=10)
    world.run()
    assert world.statuses(notice) == ["removed"]
    assert len(world.memory.removed) == 2
    assert "exposure.stuck" not in pages(world)


def test_silence_about_a_conflict_means_down(world: World) -> None:
    world.put("/public/a.jpg", BODY)
    ends = to_micros(world.clock.now()) + 72 * 3_600_000_000
    police = world.notify(URL, handling=POLICE, deadline_at=ends)
    world.run()
    order = world.notify(URL, issuer="ncmec")
    world.run()
    assert (world.statuses(order), world.public_get(URL)) == (["received"], BODY)
    assert pages(world) == ["preserve.conflict"]
    world.later(minutes=31)
    world.run()
    assert (world.statuses(order), world.public_get(URL)) == (["disabled"], None)
    assert world.statuses(police) == ["disabled"]


def test_passed_deadline_of_another_does_not_spin(world: World) -> None:
    world.put("/public/a.jpg", BODY)
    now = to_micros(world.clock.now())
    world.notify(URL, handling=POLICE, deadline_at=now + 72 * 3_600_000_000)
    world.run()
    world.notify(URL, issuer="ncmec", deadline_at=now - 1)
    assert world.run() < 10


def test_second_preserver_hears_of_the_seal(world: World) -> None:
    world.put("/public/a.jpg", BODY)
    ends = to_micros(world.clock.now()) + 3_600_000_000
    notices = []
    for issuer in ("iwf", "ncmec"):
        notices.append(world.notify(URL, issuer=issuer, handling=POLICE, deadline_at=ends))
        world.run()
    assert [world.statuses(n) for n in notices] == [["preserved_live"]] * 2
    assert len(world.case_of(notices[0]).seals) == 1


def test_block_that_stood_is_never_unavailable(world: World) -> None:
    """The store was blocked, the step failed for another reason: going on must not find `nothing there`."""
    world.failures["store.origin_state"] = AdapterError("a bug")
    world.put("/public/a.jpg", BODY)
    notice = world.notify(URL)
    world.run()
    assert (world.statuses(notice), world.reasons(notice)) == (["failed"], ["stuck"])
    world.failures.clear()
    world.decide("retry", case=world.case_of(notice).case.id)
    world.run()
    assert world.statuses(notice) == ["disabled"]


def test_who_joins_a_stuck_case_hears_so(world: World) -> None:
    world.failures["store.block"] = AdapterError("a bug")
    world.put("/public/a.jpg", BODY)
    world.notify(URL)
    world.run()
    second = world.notify(URL, issuer="ncmec")
    world.run()
    assert (world.statuses(second), world.reasons(second)) == (["failed"], ["stuck"])


def test_retry_frees_stuck_evidence_too(world: World) -> None:
    world.failures["store.freeze"] = AdapterError("a bug")
    notice = down(world)
    assert world.case_of(notice).evidence.state == "stuck"
    world.failures.clear()
    world.decide("retry", case=world.case_of(notice).case.id)
    world.run()
    assert (world.case_of(notice).evidence.state, world.statuses(notice)) == ("sealed", ["disabled"])


def test_store_away_while_watching_is_waited_for(world: World) -> None:
    notice = down(world)
    world.failures["store.origin_state"] = Retryable("away")
    world.later(hours=2)
    world.run()
    case = world.case_of(notice)
    assert (case.exposure.state, case.exposure.attempts) == ("watch", 1)
    world.failures.clear()
    world.later(hours=2)
    world.run()
    assert world.case_of(notice).exposure.last_error is None


def test_upload_between_block_and_look_is_blocked(world: World) -> None:
    """Without a gate the new upload is public at once, and the first look sees it."""
    world.routes[0] = replace(world.routes[0], gates=())
    world.store = UploadedAfterBlock()
    world.rebuild()
    world.put("/public/a.jpg", BODY)
    notice = world.notify(URL)
    for _ in range(3):
        world.run()
        world.later(seconds=20)
    assert (world.statuses(notice), world.public_get(URL)) == (["disabled"], None)
    world.later(minutes=5)
    world.run()
    assert {BODY, b"second field"} <= set(world.vault.sealed.values())


def test_claim_that_joins_on_the_way_up_counts(world: World) -> None:
    notice = down(world)
    world.failures["store.unblock"] = Retryable("away")
    world.direct(notice, "withdraw")
    world.run()
    assert world.case_of(notice).exposure.state == "unblock"
    second = world.notify(URL, issuer="ncmec")
    world.run()
    world.failures.clear()
    world.later(minutes=1)
    world.run()
    assert (world.statuses(notice), world.statuses(second)) == (["restored"], ["disabled"])
    assert world.public_get(URL) is None


def test_cached_copy_reappears_and_evidence_goes_on(world: World) -> None:
    """A cache alone brings it back: no new block comes, so the evidence must not wait for one."""
    world.routes[0] = replace(world.routes[0], gates=())
    world.rebuild()
    notice = down(world)
    for seconds in (31, 301):
        world.later(seconds=seconds)
        world.run()
    world.cache._kept[URL] = BODY  # an edge that was filling meanwhile
    world.later(hours=2)
    world.run()
    assert [s for _, s in world.told(notice)] == ["disabled", "reappeared", "disabled"]
    assert world.case_of(notice).evidence.state == "sealed"
    world.later(days=1)
    world.run()
    assert world.statuses(notice) == ["removed"]
