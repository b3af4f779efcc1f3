"""What is sent a second time: the same receipt, or a refusal that says where the first one stands."""

from __future__ import annotations

import json

from receiver.steps.receive import receive_notice
from tests.doubles.web_side import WebSide, notice_json, to_bytes
from tests.unit.steps.refusing import refusal


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


def test_refused_request_again_is_409(web: WebSide) -> None:
    request = web.hotline.notice(category="terrorism")
    refusal(receive_notice, request, web.ports)
    found = refusal(receive_notice, request, web.ports)
    assert (found.status, found.slug, found.status_url) == (409, "already-answered", "")
    assert web.rows("entry") == 1
