"""A notice that is taken: what is recorded of it, and what the receipt says."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from receiver.domain.clock import to_micros
from receiver.domain.status import ItemStatus, Track
from receiver.steps.receive import receive_notice
from receiver.steps.received_rows import host_of
from receiver.verification.keys import KeyRing
from receiver.verification.policy import verify_stored
from tests.doubles.web_side import WebSide, notice_json, to_bytes


def test_taken_notice_is_recorded_whole(web: WebSide) -> None:
    items = [
        {"item_id": "a", "url": "https://IMG.example.net:443/1", "hashes": {"md5": "0" * 32}, "note": "seen twice"},
        {"item_id": "b", "url": "not a url"},
    ]
    members = notice_json(items=items, handling={"hold_until": "2027-01-01T00:00:00Z", "legal_hold": True})
    del members["urls"]
    taken = receive_notice(web.hotline.request("POST", "/v1/notices", to_bytes(members)), web.ports)
    notice = web.store.find_notice("hotline", "N-1")
    assert notice is not None
    assert dict(notice.receipt) == dict(taken.receipt)
    assert notice.handling["hold_until"] == 1798761600_000000
    view = web.store.load_notice(notice.id)
    assert [(i.item_id, i.host, i.status) for i in view.items] == [
        ("a", "img.example.net", ItemStatus.RECEIVED),
        ("b", "", ItemStatus.RECEIVED),
    ]
    assert view.items[0].details == {"hashes": {"md5": "0" * 32}, "note": "seen twice"}
    events = web.store.events_of(notice.id)
    assert [(e.sequence, e.item_id, e.status, e.delivered_at is not None) for e in events] == [
        (1, "a", ItemStatus.RECEIVED, True),
        (2, "b", ItemStatus.RECEIVED, True),
    ]
    assert [event.data["item_id"] for event in events] == ["a", "b"]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://img.example.net/a", "img.example.net"),
        ("http://img.example.net:8080?a", "img.example.net"),
        ("http://img.example.net", "img.example.net"),
        ("http://img.example.net@other.example/", "other.example"),
        ("http://img.example.net\\@other.example/", "other.example"),
        ("HTTP://IMG.example.net/", "img.example.net"),
        ("http://[::1]/", "::1"),
        ("http://[/", ""),
    ],
)
def test_host_is_that_of_the_url(url: str, host: str) -> None:
    assert host_of(url) == host


def test_receipt_is_as_promised(web: WebSide) -> None:
    receipt = receive_notice(web.hotline.notice(), web.ports).receipt
    assert set(receipt) == {
        "schema",
        "receipt_id",
        "notice_id",
        "issuer",
        "received_at",
        "body_sha256",
        "items",
        "status_url",
    }
    assert receipt["items"] == [{"item_id": "1", "status": "received"}]
    assert receipt["status_url"] == "https://notices.host.example/v1/notices/N-1"


def test_resolve_is_woken(web: WebSide) -> None:
    receive_notice(web.hotline.notice(), web.ports)
    notice = web.store.find_notice("hotline", "N-1")
    assert notice is not None
    work = web.store.load_work(Track.RESOLVE, notice.id)
    assert work is not None
    assert (work.state, work.priority) == ("resolve", 0)
    assert web.rows("work") == 1


def test_stored_message_verifies_again(web: WebSide) -> None:
    receive_notice(web.hotline.notice(), web.ports)
    notice = web.store.find_notice("hotline", "N-1")
    assert notice is not None
    message = web.store.load_message(notice.message_id)
    now = dt.datetime.now(dt.UTC)
    later = now + dt.timedelta(days=2)
    register = KeyRing([web.hotline.record()])
    again = verify_stored(message, origins=web.ports.origins, register=register, received_at=now, now=later)
    assert again.issuer == "hotline"


def test_credentials_of_others_are_dropped(web: WebSide) -> None:
    request = web.hotline.notice()
    extra = (("Authorization", "Bearer abc"), ("Cookie", "a=b"))
    receive_notice(replace(request, headers=request.headers + extra), web.ports)
    notice = web.store.find_notice("hotline", "N-1")
    assert notice is not None
    names = {name.lower() for name, _ in web.store.load_message(notice.message_id).covered["headers"]}
    assert names.isdisjoint({"authorization", "cookie"})
    assert "content-digest" in names


def test_default_deadline_is_set(web: WebSide) -> None:
    receive_notice(web.hotline.notice(), web.ports)
    notice = web.store.find_notice("hotline", "N-1")
    assert notice is not None
    assert notice.deadline_at == notice.created_at + 24 * 3600 * 1_000_000


@pytest.mark.parametrize("category", ["npi", "ncii"])
def test_review_and_shadow_are_taken(web: WebSide, category: str) -> None:
    assert receive_notice(web.hotline.notice(category=category), web.ports).receipt["items"]


def test_received_is_when_it_was_verified(web: WebSide) -> None:
    class Ticking:
        """Every look at the clock takes a second."""

        def __init__(self) -> None:
            self.time = dt.datetime.now(dt.UTC)
            self.first = self.time + dt.timedelta(seconds=1)

        def now(self) -> dt.datetime:
            self.time += dt.timedelta(seconds=1)
            return self.time

        def monotonic(self) -> float:
            return self.time.timestamp()

    clock = Ticking()
    receive_notice(web.hotline.notice(), replace(web.ports, clock=clock))
    notice = web.store.find_notice("hotline", "N-1")
    assert notice is not None
    assert notice.created_at == web.store.load_message(notice.message_id).created_at == to_micros(clock.first)
