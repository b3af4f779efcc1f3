"""What an item comes to before anything is done; doubt goes to a person."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.contract import DirectoryHit, Observation, OtherName, Pin, Presence, Ref, Version
from receiver.domain.policy import IssuerPolicy, Policy
from receiver.domain.ports import Spent
from receiver.domain.status import ItemStatus
from receiver.resolution.protection import Protected
from receiver.resolution.resolve import (
    Course,
    Question,
    case_identity,
    first_judgement,
    judge_observation,
    judge_unobservable,
    way_to,
)
from receiver.resolution.urls import canonical_url
from tests.doubles.case_rows import item_row, notice_row

REF = Ref(locator=b"acme/a.jpg", scope=b"acme")
HIT = DirectoryHit(
    customer="acme",
    adapter="www",
    ref=REF,
    caches=("cache",),
    gates=("edge",),
    look_at=("10.0.0.1",),
    aliases=("alias.example.net",),
    source="route img.example.net/",
)
ISSUER = IssuerPolicy(
    id="iwf",
    categories={"csam": "act", "npi": "review", "ncii": "shadow"},
    max_acts_per_hour=10,
    max_customers_per_hour=5,
)


def ask(url: str = "https://img.example.net/public/a.jpg?v=1", **changes: Any) -> Question:
    values: dict[str, Any] = {
        "item": item_row(details={"referrer": "https://forum.example.net/"}),
        "notice": notice_row(),
        "url": canonical_url(url),
        "hit": HIT,
        "issuer": ISSUER,
        "policy": Policy(max_resources_per_item=3),
        "protected": (Protected.parse("https://img.example.net/brand/"),),
        "spent": Spent(acts=0, customers=0),
    }
    return Question(**values | changes)


NO_STORE = replace(HIT, adapter=None, ref=None)
BARE = replace(HIT, gates=())


@pytest.mark.parametrize(
    ("question", "course", "status", "reason"),
    [
        (ask(), Course.OBSERVE, None, None),
        (ask(hit=None), Course.END, "not_hosted", "no_route"),
        (ask("https://192.0.2.7/a.jpg"), Course.END, "needs_information", "ip_literal"),
        (ask("https://192.0.2.7/a.jpg", hit=replace(HIT, source="route 192.0.2.7/")), Course.OBSERVE, None, None),
        (ask(notice=notice_row(kind="test")), Course.END, "needs_information", "not_a_test_resource"),
        (ask(notice=notice_row(kind="test"), hit=replace(HIT, customer="test")), Course.OBSERVE, None, None),
        (ask(notice=notice_row(category="npi")), Course.REVIEW, "review", "category_review"),
        (ask(notice=notice_row(category="ncii")), Course.REVIEW, "review", "shadow"),
        (ask(notice=notice_row(category="unheard")), Course.REVIEW, "review", "category_refuse"),
        (ask("https://img.example.net/brand/logo.jpg"), Course.REVIEW, "review", "protected_prefix"),
        (ask(spent=Spent(acts=9, customers=4)), Course.OBSERVE, None, None),
        (ask(spent=Spent(acts=10, customers=0)), Course.REVIEW, "review", "over_limit_acts"),
        (ask(spent=Spent(acts=0, customers=5)), Course.REVIEW, "review", "over_limit_customers"),
        (ask(hit=NO_STORE), Course.URL_ALONE, None, None),
        (ask(hit=replace(NO_STORE, gates=())), Course.REVIEW, "review", "no_adapter"),
        (ask("https://img.example.net/gallery.php?id=7"), Course.URL_ALONE, None, None),
        (ask("https://img.example.net/gallery.php?id=7", hit=BARE), Course.REVIEW, "review", "page_without_gate"),
        (ask("https://img.example.net/index.php?id=7"), Course.URL_ALONE, None, None),
        (ask("https://img.example.net/index.php"), Course.REVIEW, "review", "index"),
    ],
)
def test_first_judgement_follows_its_order(
    question: Question, course: Course, status: str | None, reason: str | None
) -> None:
    judged = first_judgement(question)
    assert (judged.course, judged.status, judged.reason) == (course, status, reason)
    assert not judged.deny


def test_approval_settles_doubt_but_not_ownership() -> None:
    approved = item_row(status=ItemStatus.REVIEW, approved_by="ann")
    assert first_judgement(ask(item=approved, notice=notice_row(category="npi"))).course is Course.OBSERVE
    assert first_judgement(ask(item=approved, hit=None)).status == "not_hosted"
    assert first_judgement(ask(item=approved, notice=notice_row(kind="test"))).reason == "not_a_test_resource"


def seen(names: int = 0, strange: int = 0, versions: int = 1, resolved: bytes = b"") -> Observation:
    mine = tuple(OtherName(locator=b"acme/%d" % n, in_scope=True) for n in range(names))
    others = tuple(OtherName(locator=b"other/%d" % n, in_scope=False) for n in range(strange))
    return Observation(
        ref=REF,
        presence=Presence.PRESENT,
        versions=tuple(Version(pin=Pin(str(n)), size_bytes=1) for n in range(versions)),
        other_names=(*mine, *others),
        resolved=resolved,
    )


@pytest.mark.parametrize(
    ("observation", "reason"),
    [
        (seen(), None),
        (seen(versions=0), None),
        (seen(names=2), None),
        (seen(names=3), "too_many_resources"),
        (seen(versions=3), None),
        (seen(names=1, versions=3), "too_many_resources"),
        (seen(strange=1), "shared"),
    ],
)
def test_shared_or_too_many_goes_to_a_person(observation: Observation, reason: str | None) -> None:
    judged = judge_observation(ask(), observation)
    assert judged.reason == reason
    assert judged.course is (Course.RESOURCE if reason is None else Course.REVIEW)
    assert judged.deny is (reason is not None)
    assert not judge_observation(ask(hit=BARE), observation).deny
    approved = ask(item=item_row(approved_by="ann"))
    assert judge_observation(approved, observation).course is Course.RESOURCE


def test_odd_objects_are_denied_at_gates() -> None:
    assert judge_unobservable(ask()).course is Course.URL_ALONE
    without = judge_unobservable(ask(hit=BARE))
    assert (without.course, without.reason) == (Course.REVIEW, "not_a_plain_object")


def test_two_names_share_a_case() -> None:
    judged = judge_observation(ask(), seen())
    assert case_identity(ask(), judged, seen()) == ("www", REF)
    linked = case_identity(ask(), judged, seen(resolved=b"acme/real.jpg"))
    assert linked == ("www", Ref(locator=b"acme/real.jpg", scope=b"acme"))
    assert case_identity(ask(), judged, None) == ("www", REF)


def test_url_alone_is_its_own_locator() -> None:
    question = ask("https://img.example.net/gallery.php?id=7")
    adapter, ref = case_identity(question, first_judgement(question), None)
    assert (adapter, ref.locator) == ("url", b"https://img.example.net/gallery.php?id=7")


def test_way_is_kept_with_the_case() -> None:
    way = way_to(ask(), stored=True)
    assert (way["raw"], way["referrer"]) == ("https://img.example.net/public/a.jpg?v=1", "https://forum.example.net/")
    assert (way["caches"], way["gates"], way["look_at"], way["aliases"]) == (
        ["cache"], ["edge"], ["10.0.0.1"], ["alias.example.net"]
    )  # fmt: skip
    assert way["deny"]["any_query"] is True
    assert way_to(ask(), stored=False)["deny"]["query"] == {"b64": "dj0x"}
    assert way_to(ask(hit=None), stored=False)["gates"] == []


def test_url_alone_cannot_be_preserved() -> None:
    """Only a gate could act on it, and a gate makes no sealed copy."""
    wanted = notice_row(handling={"act": "preserve_only", "police_reference": "P-1"})
    found = first_judgement(ask(hit=NO_STORE, notice=wanted))
    assert (found.course, found.status, found.reason) == (
        Course.END,
        ItemStatus.NEEDS_INFORMATION,
        "nothing_to_preserve",
    )
