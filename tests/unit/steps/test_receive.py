from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from receiver.domain.clock import to_micros
from receiver.domain.errors import ConflictError, StoreUnavailableError
from receiver.domain.outcome import CommitResult, Outcome
from receiver.domain.status import ItemStatus, Track
from receiver.steps.receive import receive_notice
from receiver.steps.refusals import RefusedError
from receiver.verification.keys import KeyRing
from receiver.verification.policy import verify_stored
from tests.doubles.web_side import WebSide, make_web_side, notice_json, to_bytes, with_issuer


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebSide]:
    side = make_web_side(tmp_path)
    yield side
    side.store.close()


def refusal(call: Callable[..., Any], *args: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        call(*args)
    return caught.value


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


def test_same_notice_gets_same_receipt(web: WebSide) -> None:
    first = receive_notice(web.hotline.notice(), web.ports)
    reordered = json.dumps(dict(reversed(notice_json().items())), indent=2).encode()
    again = receive_notice(web.hotline.request("POST", "/v1/notices", reordered), web.ports)
    assert again.repeated
    assert dict(again.receipt) == dict(first.receipt)
    assert (web.rows("notice"), web.rows("nonce"), web.rows("entry")) == (1, 2, 1)


def test_same_id_other_content_is_422(web: WebSide) -> None:
    receive_notice(web.hotline.notice(), web.ports)
    found = refusal(receive_notice, web.hotline.notice(urls=["https://img.example.net/other"]), web.ports)
    assert (found.status, found.slug) == (422, "notice-id-reused")
    assert (web.rows("notice"), web.rows("nonce"), web.rows("entry")) == (1, 2, 2)


def test_same_id_of_another_issuer_stands_apart(web: WebSide) -> None:
    receive_notice(web.hotline.notice(), web.ports)
    assert not receive_notice(web.other.notice(), web.ports).repeated
    assert web.rows("notice") == 2


def test_very_same_request_is_409(web: WebSide) -> None:
    request = web.hotline.notice()
    receive_notice(request, web.ports)
    rows = web.total_rows()
    found = refusal(receive_notice, request, web.ports)
    assert (found.status, found.slug) == (409, "already-recorded")
    assert found.status_url == "https://notices.host.example/v1/notices/N-1"
    assert web.total_rows() == rows


def test_nonce_with_another_request_is_409(web: WebSide) -> None:
    nonce = "n" * 24
    body = to_bytes(notice_json())
    receive_notice(web.hotline.request("POST", "/v1/notices", body, nonce=nonce), web.ports)
    other = to_bytes(notice_json(notice_id="N-2"))
    found = refusal(receive_notice, web.hotline.request("POST", "/v1/notices", other, nonce=nonce), web.ports)
    assert (found.status, found.slug, found.status_url) == (409, "nonce-used", "")
    assert web.rows("notice") == 1


@pytest.mark.parametrize("category", ["terrorism", "unheard-of"])
def test_category_not_open_is_403(web: WebSide, category: str) -> None:
    found = refusal(receive_notice, web.hotline.notice(category=category), web.ports)
    assert (found.status, found.slug) == (403, "category-not-allowed")
    assert (web.rows("nonce"), web.rows("entry"), web.rows("message"), web.rows("notice")) == (1, 1, 0, 0)


@pytest.mark.parametrize("category", ["npi", "ncii"])
def test_review_and_shadow_are_taken(web: WebSide, category: str) -> None:
    assert receive_notice(web.hotline.notice(category=category), web.ports).receipt["items"]


def test_refused_request_again_is_409(web: WebSide) -> None:
    request = web.hotline.notice(category="terrorism")
    refusal(receive_notice, request, web.ports)
    found = refusal(receive_notice, request, web.ports)
    assert (found.status, found.slug, found.status_url) == (409, "already-answered", "")
    assert web.rows("entry") == 1


def test_refusal_is_entered_without_content(web: WebSide) -> None:
    found = refusal(receive_notice, web.hotline.notice(category="terrorism"), web.ports)
    assert found.key_id == "hotline-1"
    (entry,) = web.store.entries_about("hotline", 10)
    assert entry.kind == "notice.refused"
    assert entry.detail is not None
    assert set(entry.detail["detail"]) == {"answer", "type", "request_sha256", "key_thumbprint"}


def test_foreign_issuer_in_body_is_422(web: WebSide) -> None:
    body = to_bytes(notice_json(issuer="other"))
    found = refusal(receive_notice, web.hotline.request("POST", "/v1/notices", body), web.ports)
    assert (found.status, found.slug) == (422, "wrong-issuer")
    assert web.rows("notice") == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"notice_id": "a", "notice_id": "b"}', 400),
        (b"[" * 40 + b"]" * 40, 400),
        (b'{"notice_id": NaN}', 400),
        (b"[]", 422),
        (to_bytes(notice_json(unknown=1)), 422),
        (to_bytes(notice_json(urls=["https://x.example/"] * 251)), 422),
        (to_bytes(notice_json(attachments=["x"])), 422),
    ],
)
def test_bad_bodies_are_refused_and_entered(web: WebSide, body: bytes, status: int) -> None:
    found = refusal(receive_notice, web.hotline.request("POST", "/v1/notices", body), web.ports)
    assert found.status == status
    assert (web.rows("nonce"), web.rows("entry"), web.rows("message")) == (1, 1, 0)


def test_keep_up_needs_leave(web: WebSide) -> None:
    in_a_day = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=24)).isoformat()
    asked = {"handling": {"act": "preserve_only", "police_reference": "P-1"}, "deadline": in_a_day}
    assert refusal(receive_notice, web.hotline.notice(**asked), web.ports).status == 422
    allowed = with_issuer(web, may_keep_up=True)
    assert receive_notice(web.hotline.notice(**asked), allowed).receipt["notice_id"] == "N-1"


def test_issuer_without_settings_may_nothing(web: WebSide) -> None:
    ports = replace(web.ports, policy=replace(web.ports.policy, issuers={}))
    assert refusal(receive_notice, web.hotline.notice(), ports).status == 403


def test_stranger_leaves_no_row(web: WebSide) -> None:
    stranger = replace(web.hotline, key=web.other.key)
    request = web.hotline.notice()
    unsigned = replace(request, headers=tuple(h for h in request.headers if not h[0].startswith("Signature")))
    tampered = replace(request, body=request.body.replace(b"N-1", b"N-2"))
    foreign = replace(request, headers=(("Host", "elsewhere.example"), *request.headers[1:]))
    answers = [refusal(receive_notice, bad, web.ports) for bad in (stranger.notice(), unsigned, tampered, foreign)]
    assert [found.status for found in answers] == [401, 401, 401, 421]
    assert all(found.unsigned for found in answers)
    assert web.total_rows() == 0


def test_every_401_looks_the_same(web: WebSide) -> None:
    expired = web.hotline.request("POST", "/v1/notices", b"{}", now=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    unknown = replace(web.hotline, key_id="nobody").notice()
    one, two = refusal(receive_notice, expired, web.ports), refusal(receive_notice, unknown, web.ports)
    assert (one.slug, one.title, one.detail) == (two.slug, two.title, two.detail)
    assert (one.reason, two.reason) == ("expired", "key-unknown")
    assert one.accept_signature


def test_database_away_burns_no_nonce(web: WebSide) -> None:
    request = web.hotline.notice()
    web.committer.away = True
    found = refusal(receive_notice, request, web.ports)
    assert (found.status, found.retry_after_seconds) == (503, 5)
    web.committer.away = False
    assert not receive_notice(request, web.ports).repeated


def test_database_unreadable_is_503(web: WebSide) -> None:
    class Away:
        def __getattr__(self, name: str) -> Any:
            raise StoreUnavailableError("switched off by the test")

    found = refusal(receive_notice, web.hotline.notice(), replace(web.ports, reads=Away()))
    assert (found.status, found.slug) == (503, "not-recorded")


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


def test_database_away_while_refusing_is_503(web: WebSide) -> None:
    request = web.hotline.notice(category="terrorism")
    web.committer.away = True
    assert refusal(receive_notice, request, web.ports).status == 503
    web.committer.away = False
    assert refusal(receive_notice, request, web.ports).status == 403


class Overtaken:
    """Before the first outcome is written, somebody else's is."""

    def __init__(self, web: WebSide, first: Callable[[], object]) -> None:
        self._committer, self._first = web.committer, first
        self._raced = False

    def submit(self, outcome: Outcome) -> CommitResult:
        if not self._raced:
            self._raced = True
            self._first()
        return self._committer.submit(outcome)


def test_lost_race_reads_the_winner(web: WebSide) -> None:
    winner = web.hotline.notice()
    ports = replace(web.ports, committer=Overtaken(web, lambda: receive_notice(winner, web.ports)))
    taken = receive_notice(web.hotline.notice(), ports)
    assert taken.repeated
    assert web.rows("notice") == 1


def test_same_request_twice_at_once_is_409(web: WebSide) -> None:
    request = web.hotline.notice()
    ports = replace(web.ports, committer=Overtaken(web, lambda: receive_notice(request, web.ports)))
    assert refusal(receive_notice, request, ports).slug == "already-recorded"
    assert web.rows("notice") == 1


class Unlimited:
    def take(self, issuer: str) -> int | None:
        return None

    def take_items(self, issuer: str, items: int) -> int | None:
        return None


class AlwaysLate:
    def submit(self, outcome: Outcome) -> CommitResult:
        raise ConflictError("somebody was quicker")


def test_endless_conflict_is_503(web: WebSide) -> None:
    ports = replace(web.ports, committer=AlwaysLate())
    assert refusal(receive_notice, web.hotline.notice(), ports).status == 503


class Spent(Unlimited):
    def take(self, issuer: str) -> int:
        return 7


def test_spent_budget_is_429(web: WebSide) -> None:
    found = refusal(receive_notice, web.hotline.notice(), replace(web.ports, budget=Spent()))
    assert (found.status, found.retry_after_seconds) == (429, 7)
    assert web.total_rows() == 0


class SpentItems(Unlimited):
    def take_items(self, issuer: str, items: int) -> int | None:
        return 9 if items > 2 else None


def test_too_many_items_may_come_again(web: WebSide) -> None:
    ports = replace(web.ports, budget=SpentItems())
    request = web.hotline.notice(urls=["https://img.example.net/a"] * 3)
    found = refusal(receive_notice, request, ports)
    assert (found.status, found.retry_after_seconds) == (429, 9)
    assert web.total_rows() == 0
    assert not receive_notice(request, web.ports).repeated
