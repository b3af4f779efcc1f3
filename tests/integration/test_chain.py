"""The chain over memory adapters and a real database: what a notice comes to, and what everybody hears."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.store import SqlStore
from tests.doubles.make_world import make_world
from tests.doubles.world import HOST, World
from tests.integration.chain_steps import BODY, down


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
