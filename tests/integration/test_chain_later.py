"""What comes after: looks that find it up again, letters that nobody takes, pauses, people who are late."""

from __future__ import annotations

import json
from collections.abc import Sequence

from adapters.contract import CacheKey, Changed, PurgeStatus, PurgeTicket
from adapters.memory.cache import MemoryCache
from receiver.domain.outcome import Insert, Outcome, Table, Update, Wake
from receiver.domain.status import Track
from tests.doubles.calling import call_people
from tests.doubles.failing import SayingGate
from tests.doubles.world import World
from tests.integration.chain_steps import BODY, down


def test_reupload_starts_a_new_round(world: World) -> None:
    url, notice = down(world)
    world.memory.write_as_customer(b"acme/public/a.jpg", b"second field")
    world.cache._kept.clear()
    world.later(hours=2)
    world.run()
    assert [s for _, s in world.told(notice)] == ["disabled", "reappeared", "disabled"]
    assert world.origin(url) is None
    case = world.case_of(notice)
    assert case.case.round == 2
    assert {BODY, b"second field"} <= set(world.vault.sealed.values())
    assert (case.exposure.state, case.evidence.state) == ("watch", "sealed")


def test_restored_is_told_when_both_cases_are_up(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    world.failures["store.observe"] = ConnectionError()
    notice = world.notify(url)
    world.run()
    world.failures.clear()
    world.later(minutes=20)
    world.run()
    first, second = (case.case.id for case in world.cases_of(notice))
    world.decide("release", case=first)
    world.run()
    assert world.public_get(url) is None
    assert world.statuses(notice) != ["restored"]
    world.decide("release", case=second)
    world.run()
    assert world.public_get(url) == BODY
    assert world.statuses(notice) == ["restored"]


def test_writer_in_a_loop_cannot_hold_the_worker(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    world.failures["store.block"] = Changed("rewritten")
    notice = world.notify(url)
    assert world.run(steps=40) < 40
    assert world.public_get(url) is None
    assert world.statuses(notice) == ["received"]


def test_stale_agreement_releases_nothing(world: World) -> None:
    url, first = down(world)
    world.direct(first, "withdraw")
    world.run()
    world.later(minutes=1)
    second = world.notify(url, issuer="ncmec")
    world.run()
    (asked,) = world.db.list_decisions("asked", limit=10)
    world.commit(
        Outcome(
            changes=(Update(table=Table.DECISION, where={"id": asked.id}, values={"state": "approved"}),),
            wakes=(Wake(track=Track.EXPOSURE, subject=asked.case or ""),),
        )
    )
    world.run()
    assert world.statuses(second) == ["disabled"]
    assert world.public_get(url) is None
    assert "release.stale" in [p.kind for p in world.db.open_pages(10)]


def test_immediate_risk_pages_even_while_paused(world: World) -> None:
    pause = Insert(table=Table.PAUSE, values={"scope": "all", "actor": "ann", "since_at": 1})
    world.commit(Outcome(changes=(pause,)))
    world.notify(world.put("/a.jpg", BODY), handling={"priority": "immediate_risk"})
    for _ in range(3):
        world.run()
        world.later(minutes=1)
    (page,) = world.db.open_pages(10)
    assert (page.kind, page.count) == ("immediate_risk", 1)


def test_unclear_looks_are_never_gone(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    world.visitor.blind = True
    notice = world.notify(url)
    world.run()
    assert world.statuses(notice) == ["received"]
    for _ in range(12):
        world.later(minutes=5)
        world.run()
    assert (world.statuses(notice), world.reasons(notice)) == (["failed"], ["unconfirmed"])
    assert [s for _, s in world.told(notice)] == ["failed"]
    world.visitor.blind = False
    world.later(minutes=20)
    world.run()
    assert [s for _, s in world.told(notice)] == ["failed", "disabled"]


def test_silent_issuer_gets_everything_later(world: World) -> None:
    world.mailbox.answer = 503
    _, notice = down(world)
    assert world.mailbox.letters == []
    world.direct(notice, "hold")
    world.run()
    world.mailbox.answer = 204
    world.later(minutes=5)
    world.run()
    (letter,) = world.mailbox.letters
    assert [e["data"]["sequence"] for e in json.loads(letter[2])] == [2, 3]


def test_letter_dies_after_three_days(world: World) -> None:
    world.mailbox.answer = 503
    _, notice = down(world)
    for _ in range(60):
        world.later(hours=2)
        world.run()
    (dead,) = world.db.dead_events(after=None, limit=10)
    assert dead.status == "disabled"
    assert "callback.dead" in [p.kind for p in world.db.open_pages(10)]
    work = world.db.load_work(Track.DELIVER, notice)
    assert work is not None
    assert work.due_at is None


def test_gone_endpoint_ends_letters_at_once(world: World) -> None:
    world.mailbox.answer = 410
    down(world)
    assert len(world.db.dead_events(after=None, limit=10)) == 1


def test_pause_accepts_and_does_not_act(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    world.commit(
        Outcome(changes=(Insert(table=Table.PAUSE, values={"scope": "issuer:iwf", "actor": "ann", "since_at": 1}),))
    )
    notice = world.notify(url)
    world.run()
    assert world.statuses(notice) == ["received"]
    assert world.public_get(url) == BODY
    work = world.db.load_work(Track.RESOLVE, notice)
    assert work is not None
    assert "paused" in (work.last_error or "")


def test_unverified_row_is_never_acted_on(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    world.verify = lambda _message: "signature"
    world.rebuild()
    notice = world.notify(url)
    world.run()
    assert (world.statuses(notice), world.reasons(notice)) == (["failed"], ["not_verified_again"])
    assert world.public_get(url) == BODY


def test_gone_behind_our_own_gate_is_not_unavailable(world: World) -> None:
    """The gate of the item's URL case answers 404: that proves nothing about the store's copy."""
    url = world.put("/a.jpg", BODY)
    world.memory.link_as_customer(b"acme/a.jpg", b"other/b.jpg")
    notice = world.notify(url)
    world.run()
    world.memory.delete_as_customer(b"acme/a.jpg")
    world.decide("approve", item=world.notice(notice).items[0].id)
    world.run()
    assert "unavailable" not in [status for _, status in world.told(notice)]


class DeafCache(MemoryCache):
    """Says that it purged, and serves on what it has."""

    def _purge(self, keys: Sequence[CacheKey], op_id: str) -> PurgeTicket:
        del keys
        return PurgeTicket(op_id=op_id, status=PurgeStatus.DONE)


def test_what_stays_up_is_told_and_paged(world: World) -> None:
    world.gate, world.cache = SayingGate(), DeafCache(world.origin)
    world.rebuild()
    url = world.put("/a.jpg", BODY)
    world.public_get(url)
    notice = world.notify(url)
    for _ in range(4):
        world.run()
        world.later(minutes=6)
    assert world.told(notice) == [(2, "failed")]
    assert world.reasons(notice) == ["unconfirmed"]
    assert "seen.unclear" in [page.kind for page in call_people(world)]


def test_paused_issuer_stops_its_open_cases(world: World) -> None:
    pause = Insert(table=Table.PAUSE, values={"scope": "issuer:iwf", "actor": "ann", "since_at": 1})
    url = world.put("/a.jpg", BODY)
    first = world.notify(url, handling={"act": "preserve_only", "police_reference": "P-1"})
    world.run()
    world.commit(Outcome(changes=(pause,)))
    world.direct(first, "proceed")
    world.run()
    assert world.public_get(url) == BODY
    world.notify(url, issuer="ncmec")
    world.later(hours=1)
    world.run()
    assert world.public_get(url) is None  # another issuer asks for it too
