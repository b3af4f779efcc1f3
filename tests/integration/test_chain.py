"""The chain over memory adapters and a real database: what a notice comes to, and what everybody hears."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.contract import AdapterError, Changed, GateReceipt, PurgeStatus, PurgeTicket, Retryable, Unsupported
from receiver.domain.errors import VaultError
from receiver.domain.outcome import Insert, Outcome, Table, Update, Wake
from receiver.domain.rows import WorkRow
from receiver.domain.status import Track
from receiver.steps import evidence
from receiver.steps.beside import Beside
from receiver.store import SqlStore
from tests.doubles.world import HOST, World, make_world

BODY = b"colour field"


@pytest.fixture
def world(tmp_path: Path, store: SqlStore) -> World:
    """On SQLite and on PostgreSQL."""
    return make_world(tmp_path, store)


def down(world: World, path: str = "/public/a.jpg", **changes: Any) -> tuple[str, str]:
    """A notice that was carried out; its URL and row id."""
    url = world.put(path, BODY)
    world.public_get(url)
    notice = world.notify(url, **changes)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    return url, notice


def test_notice_takes_content_down(world: World) -> None:
    url, notice = down(world)
    assert world.public_get(url) is None
    assert world.told(notice) == [(2, "disabled")]
    case = world.case_of(notice)
    assert (case.exposure.state, case.evidence.state) == ("watch", "sealed")
    assert BODY in world.vault.sealed.values()
    event = json.loads(world.mailbox.letters[0][2])
    assert event["type"] == "takedown.item.disabled"
    data = event["data"]
    assert (data["public"], data["was_public"], data["sequence"]) == ("unreachable", True, 2)
    assert data["iccam"] == {"action_type": 3, "reason_id": None}
    assert not world.db.undelivered(notice, 10)


def test_items_of_one_resource_share_a_case(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    notice = world.notify(url, url.replace("https", "http"), url + "?v=1")
    world.run()
    assert world.statuses(notice) == ["disabled"] * 3
    assert len({c for cases in world.notice(notice).claims.values() for c in cases}) == 1
    assert [n for n, _ in world.told(notice)] == [4, 5, 6]


def test_second_issuer_joins_the_case(world: World) -> None:
    url, first = down(world)
    second = world.notify(url, issuer="ncmec")
    world.run()
    assert world.statuses(second) == ["disabled"]
    assert world.case_of(first).case.id == world.case_of(second).case.id


def test_absent_resource_is_unavailable(world: World) -> None:
    notice = world.notify(f"https://{HOST}/never.jpg")
    world.run()
    assert world.statuses(notice) == ["unavailable"]
    assert not world.gate.refuses(HOST, b"/never.jpg")
    assert world.events(notice)[-1].data["iccam"]["action_type"] == 4
    assert world.case_of(notice).case.closed_at is not None


def test_copy_left_in_a_cache_is_purged(world: World) -> None:
    url = world.put("/cached.jpg", BODY)
    world.public_get(url)
    world.memory.delete_as_customer(b"acme/cached.jpg")
    notice = world.notify(url)
    world.run()
    assert world.public_get(url) is None
    assert world.statuses(notice) == ["disabled"]


def test_dynamic_page_is_denied_at_the_gate(world: World) -> None:
    url = "https://gate.example.net/gallery.php?id=7"
    notice = world.notify(url)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    assert world.gate.refuses("gate.example.net", b"/gallery.php?id=7")
    assert not world.gate.refuses("gate.example.net", b"/gallery.php?id=8")
    assert world.events(notice)[-1].data["residual"] == ["resource_not_identified"]


@pytest.mark.parametrize(
    ("url", "status", "reason"),
    [
        ("https://elsewhere.example/x.jpg", "not_hosted", "no_route"),
        ("javascript:alert(1)", "needs_information", "scheme"),
        (f"https://user:pass@{HOST}/a.jpg", "needs_information", "credentials"),
        ("http://2130706433/a.jpg", "needs_information", "ip_literal"),
        (f"https://{HOST}/", "review", "front_page"),
        (f"https://{HOST}/style.css", "review", "shared_asset"),
        ("https://www.host.example/logo.jpg", "review", "protected_prefix"),
    ],
)
def test_doubtful_urls_do_nothing(world: World, url: str, status: str, reason: str) -> None:
    world.put("/style.css", BODY)
    notice = world.notify(url)
    world.run()
    assert (world.statuses(notice), world.reasons(notice)) == ([status], [reason])
    assert world.origin(f"https://{HOST}/style.css") == BODY


@pytest.mark.parametrize(
    ("category", "reason"), [("npi", "category_review"), ("ncii", "shadow"), ("xx", "category_refuse")]
)
def test_category_that_needs_a_person_waits(world: World, category: str, reason: str) -> None:
    url = world.put("/a.jpg", BODY)
    notice = world.notify(url, category=category)
    world.run()
    assert (world.statuses(notice), world.reasons(notice)) == (["review"], [reason])
    assert world.public_get(url) == BODY
    item = world.notice(notice).items[0].id
    world.decide("approve", item=item)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    assert world.public_get(url) is None


def test_refused_item_stays_up(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    notice = world.notify(url, category="npi")
    world.run()
    world.decide("refuse", item=world.notice(notice).items[0].id)
    world.run()
    assert world.statuses(notice) == ["refused"]
    assert world.public_get(url) == BODY


def test_shared_resource_is_denied_meanwhile(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    world.memory.link_as_customer(b"acme/a.jpg", b"other/b.jpg")
    notice = world.notify(url)
    world.run()
    assert (world.statuses(notice), world.reasons(notice)) == (["review"], ["shared"])
    assert world.public_get(url) is None
    assert world.memory.fetch_as_public(b"other/b.jpg") == BODY
    assert world.told(notice) == [(2, "review")]
    world.decide("refuse", item=world.notice(notice).items[0].id)
    world.run()
    assert world.public_get(url) == BODY
    assert world.statuses(notice) == ["refused"]


def test_approved_shared_resource_goes_down(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    world.memory.link_as_customer(b"acme/a.jpg", b"other/b.jpg")
    notice = world.notify(url)
    world.run()
    world.decide("approve", item=world.notice(notice).items[0].id)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    assert world.memory.fetch_as_public(b"other/b.jpg") == BODY
    residual = world.events(notice)[-1].data["residual"]
    assert residual


def test_issuer_over_its_limit_waits_for_a_person(world: World) -> None:


    iwf = world.policy.issuers["iwf"]
    world.rebuild(issuers={"iwf": replace(iwf, max_acts_per_hour=2)})
    urls = [world.put(f"/{n}.jpg", BODY) for n in range(4)]
    for url in urls:
        world.run()
        last = world.notify(url)
    world.run()
    assert (world.statuses(last), world.reasons(last)) == (["review"], ["over_limit_acts"])
    assert [world.public_get(u) is None for u in urls] == [True, True, False, False]


def test_limit_holds_within_one_notice(world: World) -> None:


    iwf = world.policy.issuers["iwf"]
    world.rebuild(issuers={"iwf": replace(iwf, max_acts_per_hour=2)})
    urls = [world.put(f"/{n}.jpg", BODY) for n in range(4)]
    notice = world.notify(*urls)
    world.run()
    assert world.statuses(notice) == ["disabled", "disabled", "review", "review"]


def test_test_notice_acts_on_test_resources_only(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    notice = world.notify(url, kind="test", category="test")
    world.run()
    assert world.reasons(notice) == ["not_a_test_resource"]
    assert world.public_get(url) == BODY
    assert world.events(notice)[-1].data["test"] is True


def test_withdrawal_before_any_act_is_final(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    notice = world.notify(url)
    world.direct(notice, "withdraw")
    world.run()
    assert world.statuses(notice) == ["withdrawn"]
    assert world.public_get(url) == BODY


def test_withdrawal_waits_for_two_people(world: World) -> None:
    url, notice = down(world)
    world.direct(notice, "withdraw")
    world.run()
    assert (world.statuses(notice), world.reasons(notice)) == (["review"], ["withdrawal"])
    assert world.public_get(url) is None
    (asked,) = world.db.list_decisions("asked", limit=10)
    assert (asked.kind, asked.needs, asked.actor) == ("release", 2, "issuer:iwf")
    world.decide("release", case=asked.case)
    world.run()
    assert world.statuses(notice) == ["restored"]
    assert world.public_get(url) == BODY
    assert world.case_of(notice).exposure.state == "open"


def test_withdrawal_by_setting_needs_nobody(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, on_withdrawal="auto")
    url, notice = down(world)
    world.direct(notice, "withdraw")
    world.run()
    assert world.statuses(notice) == ["restored"]
    assert world.public_get(url) == BODY


def test_others_keep_it_down(world: World) -> None:
    url, first = down(world)
    second = world.notify(url, issuer="ncmec")
    world.run()
    world.direct(first, "withdraw")
    world.run()
    assert world.statuses(first) == ["withdrawn"]
    assert world.statuses(second) == ["disabled"]
    assert world.public_get(url) is None


def test_released_case_can_go_down_again(world: World) -> None:
    url, notice = down(world)
    world.decide("release", case=world.case_of(notice).case.id)
    world.run()
    assert world.public_get(url) == BODY
    assert world.statuses(notice) == ["restored"]
    again = world.notify(url)
    world.run()
    assert world.statuses(again) == ["disabled"]
    assert world.public_get(url) is None
    assert world.case_of(again).case.round == 2


def test_preserve_only_seals_and_leaves_up(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    notice = world.notify(
        url, handling={"act": "preserve_only", "police_reference": "P-1"},
        deadline_at=int((world.clock.now().timestamp() + 3600) * 1e6),
    )
    world.run()
    assert world.statuses(notice) == ["preserved_live"]
    assert world.public_get(url) == BODY
    assert BODY in world.vault.sealed.values()
    world.direct(notice, "proceed")
    world.run()
    assert world.statuses(notice) == ["disabled"]
    assert world.public_get(url) is None


def test_nothing_to_preserve_is_told_unavailable(world: World) -> None:
    handling = {"act": "preserve_only", "police_reference": "P-1"}
    ends = int((world.clock.now().timestamp() + 3600) * 1e6)
    notice = world.notify("https://img.example.net/gone.jpg", handling=handling, deadline_at=ends)
    world.run()
    assert world.told(notice) == [(2, "unavailable")]
    url = world.put("/a.jpg", BODY)
    world.public_get(url)
    world.memory.delete_as_customer(b"acme/a.jpg")
    cached = world.notify(url, handling=handling, deadline_at=ends)
    world.run()
    assert world.told(cached) == []
    assert "holds nothing" in (world.case_of(cached).evidence.last_error or "")
    world.later(hours=2)
    world.run()
    assert world.told(cached) == [(2, "disabled")]
    world.later(minutes=2)
    again = world.notify("https://img.example.net/gone.jpg")
    world.run()
    assert world.told(again) == [(2, "unavailable")]


def test_preserve_only_ends_at_its_deadline(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    notice = world.notify(
        url, handling={"act": "preserve_only", "police_reference": "P-1"},
        deadline_at=int((world.clock.now().timestamp() + 3600) * 1e6),
    )
    world.run()
    world.later(hours=2)
    world.run()
    assert world.statuses(notice) == ["disabled"]


def test_hold_is_told_and_bars_removal(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, remove_after_days=1)
    _, notice = down(world)
    world.direct(notice, "hold", reference="P-9")
    world.run()
    assert world.events(notice)[-1].data["hold"] is True
    world.later(days=2)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    world.direct(notice, "release_hold")
    world.run()
    world.later(days=1)
    world.run()
    assert world.statuses(notice) == ["removed"]


def test_people_are_asked_when_a_hold_ends(world: World) -> None:
    _, notice = down(world)
    world.direct(notice, "hold", until_at=int((world.clock.now().timestamp() + 600) * 1e6))
    world.direct(notice, "withdraw")
    world.run()
    world.later(minutes=11)
    world.run()
    assert [d.kind for d in world.db.list_decisions("asked", limit=10)] == ["release"]
    world.decide("release", case=world.case_of(notice).case.id)
    world.run()
    assert world.statuses(notice) == ["restored"]


def test_copy_is_removed_when_due(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, remove_after_days=1)
    _, notice = down(world)
    assert world.memory.removed == {}
    world.later(days=1, minutes=5)
    world.run()
    assert world.statuses(notice) == ["removed"]
    assert world.case_of(notice).evidence.state == "vaulted"
    assert len(world.memory.removed) == 1
    removed = world.events(notice)[-1].data
    assert removed["iccam"] is None  # given once, with `disabled`


def test_block_only_is_never_removed(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, remove_after_days=0)
    _, notice = down(world, handling={"act": "block_only"})
    world.later(days=400)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    assert world.memory.removed == {}


def test_wrong_hash_keeps_the_copy(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, remove_after_days=0)
    _, notice = down(world, details={"hashes": {"sha256": "00" * 32}})
    world.later(days=1)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    assert world.case_of(notice).seals[0].hash_match is False
    assert [p.kind for p in world.db.open_pages(10)] == ["evidence.hash_mismatch"]


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


def test_caches_are_purged_twice_more(world: World) -> None:
    _, notice = down(world)
    purges = [a for a in world.case_of(notice).acts if a.kind == "purge"]
    for seconds in (31, 280):
        world.later(seconds=seconds)
        world.run()
    assert len([a for a in world.case_of(notice).acts if a.kind == "purge"]) == len(purges) + 2
    assert world.told(notice) == [(2, "disabled")]


def test_gate_away_does_not_delay_the_block(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    url = world.put("/a.jpg", BODY)
    deny = world.gate._deny

    def away(*args: Any) -> Any:
        raise Retryable("gate is away")

    monkeypatch.setattr(world.gate, "_deny", away)
    notice = world.notify(url)
    world.run()
    assert world.origin(url) is None
    assert world.statuses(notice) == ["disabled"]
    assert not world.gate.refuses(HOST, b"/a.jpg")
    monkeypatch.setattr(world.gate, "_deny", deny)
    world.later(minutes=20)
    world.run()
    assert world.gate.refuses(HOST, b"/a.jpg")
    assert world.told(notice) == [(2, "disabled")]


def test_restored_is_told_when_both_cases_are_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any) -> Any:
        raise ConnectionError

    url, observe = world.put("/a.jpg", BODY), world.store._observe
    monkeypatch.setattr(world.store, "_observe", away)
    notice = world.notify(url)
    world.run()
    monkeypatch.setattr(world.store, "_observe", observe)
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


def test_gate_that_cannot_deny_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any) -> Any:
        raise Unsupported("URLs this long")

    url = world.put("/a.jpg", BODY)
    monkeypatch.setattr(world.gate, "_deny", never)
    notice = world.notify(url)
    world.run()
    assert world.origin(url) is None
    assert world.statuses(notice) == ["disabled"]
    assert world.events(notice)[-1].data["residual"] == ["gate_not_denying: edge"]
    assert "gate.failed" in [p.kind for p in world.db.open_pages(10)]


def test_url_alone_waits_for_its_gate(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any) -> Any:
        raise Retryable("gate is away")

    deny = world.gate._deny
    monkeypatch.setattr(world.gate, "_deny", away)
    notice = world.notify("https://gate.example.net/gallery.php?id=7")
    world.run()
    assert world.statuses(notice) == ["received"]
    assert "gate is away" in (world.case_of(notice).exposure.last_error or "")
    for _ in range(8):
        world.later(minutes=5)
        world.run()
    assert (world.statuses(notice), world.reasons(notice)) == (["failed"], ["unconfirmed"])
    monkeypatch.setattr(world.gate, "_deny", deny)
    world.later(minutes=20)
    world.run()
    assert [s for _, s in world.told(notice)] == ["failed", "disabled"]


def test_writer_in_a_loop_cannot_hold_the_worker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(*args: Any) -> Any:
        raise Changed("rewritten")

    url = world.put("/a.jpg", BODY)
    monkeypatch.setattr(world.store, "_block", changed)
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


def test_pause_stops_removals_too(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, remove_after_days=1)
    _, notice = down(world)
    pause = Insert(table=Table.PAUSE, values={"scope": "all", "actor": "ann", "since_at": 1})
    world.commit(Outcome(changes=(pause,)))
    world.later(days=3)
    world.run()
    assert world.memory.removed == {}
    assert world.statuses(notice) == ["disabled"]


def test_removal_waits_while_people_decide(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, remove_after_days=1)
    _, notice = down(world)
    world.decide("release", case=world.case_of(notice).case.id, state="asked")
    world.later(days=3)
    world.run()
    assert world.memory.removed == {}


def test_bad_seal_bars_the_removal(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, remove_after_days=1)
    _, notice = down(world)
    world.vault.sealed = dict.fromkeys(world.vault.sealed, b"other")
    world.later(days=3)
    world.run()
    assert world.memory.removed == {}
    assert world.case_of(notice).evidence.state == "stuck"
    assert "evidence.stuck" in [p.kind for p in world.db.open_pages(10)]


def test_in_place_makes_no_copy(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, preserve="in_place", remove_after_days=0)
    _, notice = down(world)
    world.later(days=3)
    world.run()
    assert world.vault.sealed == {}
    assert world.memory.removed == {}
    assert world.case_of(notice).evidence.state == "sealed"


def test_preserving_a_page_needs_more_to_go_on(world: World) -> None:
    notice = world.notify(
        "https://gate.example.net/gallery.php?id=7", handling={"act": "preserve_only", "police_reference": "P-1"}
    )
    world.run()
    assert world.reasons(notice) == ["nothing_to_preserve"]
    assert not world.gate.refuses("gate.example.net", b"/gallery.php?id=7")


def test_preserving_never_denies_meanwhile(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    world.memory.link_as_customer(b"acme/a.jpg", b"other/b.jpg")
    notice = world.notify(url, handling={"act": "preserve_only", "police_reference": "P-1"})
    world.run()
    assert world.reasons(notice) == ["shared"]
    assert world.public_get(url) == BODY


def test_slow_gate_keeps_nobody_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that takes long to reload: blocked, purged, seen gone and told meanwhile; and taken back in order."""
    reloaded, deny = threading.Event(), world.gate._deny

    def slow(targets: Any, op_id: str) -> GateReceipt:
        assert reloaded.wait(30)
        return deny(targets, op_id)

    monkeypatch.setattr(world.gate, "_deny", slow)
    with ThreadPoolExecutor() as pool:
        world.tools = replace(world.tools, beside=Beside(pool))
        url = world.put("/a.jpg", BODY)
        notice = world.notify(url)
        world.run()
        assert world.statuses(notice) == ["disabled"]
        assert [act.kind for act in world.case_of(notice).acts if act.ended_at is None] == ["deny"]
        reloaded.set()
        world.decide("release", case=world.case_of(notice).case.id)
        world.run()
    assert world.public_get(url) == BODY
    assert world.statuses(notice) == ["restored"]
    assert all(act.ended_at is not None for act in world.case_of(notice).acts)


def test_slow_gate_is_heard_at_the_next_look(world: World) -> None:
    gate_answers = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(gate_answers.wait, 30)
        world.tools = replace(world.tools, beside=Beside(pool))
        notice = world.notify(world.put("/a.jpg", BODY))
        world.run()
        gate_answers.set()
        pool.submit(int).result()  # whatever waited before it has run
        world.later(seconds=31)
        world.run()
    assert all(act.ended_at is not None for act in world.case_of(notice).acts)
    assert world.told(notice) == [(2, "disabled")]


def test_slow_purge_delays_no_evidence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pending = PurgeTicket(op_id="op", status=PurgeStatus.PENDING)
    monkeypatch.setattr(world.cache, "_purge", lambda _keys, _op_id: pending)
    monkeypatch.setattr(world.cache, "_status", lambda _ticket: PurgeStatus.PENDING)
    notice = world.notify(world.put("/a.jpg", BODY))
    world.run()
    assert world.case_of(notice).evidence.state == "sealed"
    assert world.told(notice) == []


def test_purge_that_failed_is_asked_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    purge = world.cache._purge

    def lost(keys: Any, op_id: str) -> PurgeTicket:
        asked.append(op_id)
        return PurgeTicket(op_id=op_id, status=PurgeStatus.PENDING)

    monkeypatch.setattr(world.cache, "_purge", lost)
    monkeypatch.setattr(world.cache, "_status", lambda _ticket: PurgeStatus.FAILED)
    url = world.put("/a.jpg", BODY)
    notice = world.notify(url)
    world.run()
    world.later(seconds=10)
    world.run()
    assert len(asked) == len(set(asked)) >= 2  # each time under another name, which a vendor takes as a new purge
    monkeypatch.setattr(world.cache, "_purge", purge)
    for _ in range(3):
        world.later(minutes=5)
        world.run()
    assert world.statuses(notice) == ["disabled"]


@pytest.mark.parametrize("method", ["_observe", "_block", "_origin_state", "_freeze", "_open"])
def test_store_away_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    url = world.put("/a.jpg", BODY)
    whole = getattr(world.store, method)

    def away(*args: Any) -> Any:
        raise ConnectionError

    monkeypatch.setattr(world.store, method, away)
    notice = world.notify(url)
    world.run()
    monkeypatch.setattr(world.store, method, whole)
    world.later(minutes=20)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    assert world.origin(url) is None
    (case,) = [case for case in world.cases_of(notice) if case.case.adapter == "www"]
    assert case.evidence.state == "sealed"
    assert len([a for a in case.acts if a.kind == "block"]) == 1


def test_gates_do_not_wait_for_the_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any) -> Any:
        raise ConnectionError

    url = world.put("/a.jpg", BODY)
    monkeypatch.setattr(world.store, "_observe", away)
    notice = world.notify(url)
    world.run()
    assert world.public_get(url) is None
    assert world.origin(url) == BODY
    assert world.statuses(notice) == ["disabled"]
    assert world.events(notice)[-1].data["residual"] == ["resource_not_identified"]


def test_vault_away_is_waited_for(world: World) -> None:
    world.vault.broken = VaultError("full")
    _, notice = down(world)
    assert world.case_of(notice).evidence.state == "seal"
    world.vault.broken = None
    world.later(minutes=20)
    world.run()
    assert world.case_of(notice).evidence.state == "sealed"


def test_broken_adapter_pages_and_retry_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    url = world.put("/a.jpg", BODY)
    whole = world.store._block

    def broken(*args: Any) -> Any:
        raise AdapterError("a bug")

    monkeypatch.setattr(world.store, "_block", broken)
    notice = world.notify(url)
    world.run()
    assert (world.statuses(notice), world.reasons(notice)) == (["failed"], ["stuck"])
    assert world.case_of(notice).exposure.state == "stuck"
    assert world.public_get(url) is None  # the gate denies it all the same
    assert [p.kind for p in world.db.open_pages(10)] == ["exposure.stuck"]
    monkeypatch.setattr(world.store, "_block", whole)
    world.decide("retry", case=world.case_of(notice).case.id)
    world.run()
    assert world.statuses(notice) == ["disabled"]


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


def test_joiner_does_not_hear_removed_first(tmp_path: Path, store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody joins between the intent to remove and the step that does it."""
    world = make_world(tmp_path, store, remove_after_days=1)
    url, first = down(world)
    take, joined = world.step, list[str]()

    def step(work: WorkRow) -> list[WorkRow]:
        if work.track is Track.EVIDENCE and work.state == "remove" and not joined:
            joined.append(world.notify(url, issuer="ncmec", handling={"act": "block_only"}))
            (resolve,) = world.db.claim(world.worker, Track.RESOLVE, 0, 1)
            take(resolve)
        return take(work)

    monkeypatch.setattr(world, "step", step)
    world.later(days=1, minutes=5)
    world.run()
    assert [status for _, status in world.told(first)] == ["disabled", "removed"]
    assert [status for _, status in world.told(joined[0])][:1] == ["disabled"]


def test_preserving_what_is_down_is_not_told_preserved_live(world: World) -> None:
    url, first = down(world)
    second = world.notify(url, issuer="ncmec", handling={"act": "preserve_only", "police_reference": "P-1"})
    world.run()
    world.direct(first, "withdraw")
    world.run()
    assert "preserved_live" not in [status for _, status in world.told(second)]
    assert world.public_get(url) is None


def test_earlier_round_is_named_as_a_loss(world: World) -> None:
    url, notice = down(world)
    world.memory.write_as_customer(b"acme/public/a.jpg", b"second field")
    world.later(hours=2)
    world.run()
    world.decide("release", case=world.case_of(notice).case.id)
    world.run()
    assert world.public_get(url) == b"second field"
    assert world.events(notice)[-1].data["residual"] == ["earlier_version_kept"]


def test_changed_after_sealing_is_sealed_again(tmp_path: Path, store: SqlStore) -> None:
    """A store that cannot freeze: what is removed in the end is what was sealed, never something else."""
    world = make_world(tmp_path, store, remove_after_days=1)
    _, notice = down(world)
    (block,) = world.memory.blocks.values()
    block.taken.frozen = False
    world.memory._write(block.taken, b"rewritten")
    world.later(days=2)
    world.run()
    assert world.memory.removed == {}
    assert [page.kind for page in world.db.open_pages(10)] == ["evidence.changed"]
    world.later(hours=2)
    world.run()
    assert set(world.vault.sealed.values()) >= {BODY, b"rewritten"}
    assert world.statuses(notice) == ["disabled"]
    world.later(hours=2)
    world.run()
    assert len(world.memory.removed) == 1
    assert world.told(notice)[-1][1] == "removed"


def test_purge_that_hangs_is_asked_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def lost(keys: Any, op_id: str) -> PurgeTicket:
        asked.append(op_id)
        return PurgeTicket(op_id=op_id, status=PurgeStatus.PENDING)

    monkeypatch.setattr(world.cache, "_purge", lost)
    monkeypatch.setattr(world.cache, "_status", lambda _ticket: PurgeStatus.PENDING)
    world.notify(world.put("/a.jpg", BODY))
    world.run()
    world.later(minutes=5)
    world.run()
    assert len(asked) == 1
    world.later(minutes=6)
    world.run()
    assert len(set(asked)) == 2


def test_store_that_was_wrong_first_is_believed_later(world: World) -> None:
    """It held nothing when we came, so a gate alone kept it down; what stands there now is blocked and sealed."""
    url = world.put("/a.jpg", BODY)
    hidden = world.memory.names.pop(b"acme/a.jpg")
    world.cache._kept[url] = BODY
    notice = world.notify(url)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    world.memory.names[b"acme/a.jpg"] = hidden
    world.later(hours=2)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    assert world.case_of(notice).evidence.state == "sealed"
    assert BODY in world.vault.sealed.values()


def test_what_stays_up_is_told_and_paged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.cache, "_purge", lambda _keys, op_id: PurgeTicket(op_id=op_id, status=PurgeStatus.DONE))
    url = world.put("/a.jpg", BODY)
    world.public_get(url)
    monkeypatch.setattr(world.gate, "refuses", lambda _host, _target: False)
    notice = world.notify(url)
    for _ in range(4):
        world.run()
        world.later(minutes=6)
    assert world.told(notice) == [(2, "failed")]
    assert world.reasons(notice) == ["unconfirmed"]
    assert "seen.unclear" in [page.kind for page in world.db.open_pages(10)]


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


def test_too_large_stays_blocked_unsealed(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, max_seal_bytes=len(BODY) - 1)
    _, notice = down(world)
    assert world.vault.sealed == {}
    assert world.statuses(notice) == ["disabled"]
    case = world.case_of(notice)
    assert case.evidence.state == "stuck"
    assert "max_seal_gib" in (case.evidence.last_error or "")
    world.rebuild(max_seal_bytes=len(BODY))
    world.decide("retry", case=case.case.id)
    world.run()
    assert BODY in world.vault.sealed.values()


def test_growing_file_is_bounded_as_it_is_read(
    tmp_path: Path, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path, store, max_seal_bytes=len(BODY) - 1)
    monkeypatch.setattr(evidence, "_refuse_too_large", lambda _view, _pins, _tools: None)
    _, notice = down(world)
    assert world.vault.sealed == {}
    assert world.case_of(notice).evidence.state == "stuck"
