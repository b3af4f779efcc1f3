"""What is refused: a signed refusal is entered without content, a stranger leaves nothing."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from receiver.steps.receive import receive_notice
from tests.doubles.web_side import WebSide, notice_json, to_bytes, with_issuer
from tests.unit.steps.refusing import refusal


@pytest.mark.parametrize("category", ["terrorism", "unheard-of"])
def test_category_not_open_is_403(web: WebSide, category: str) -> None:
    found = refusal(receive_notice, web.hotline.notice(category=category), web.ports)
    assert (found.status, found.slug) == (403, "category-not-allowed")
    assert (web.rows("nonce"), web.rows("entry"), web.rows("message"), web.rows("notice")) == (1, 1, 0, 0)


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
