"""What people do on the pages, and what a page says when it cannot."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from receiver.domain.errors import StoreUnavailableError
from tests.doubles.staff import Staff, csrf_of, make_staff, post
from tests.unit.admin.page_steps import follow


def test_odd_text_is_escaped(staff: Staff) -> None:
    notice = staff.world.notify(staff.world.put("/a.txt", b"x"), category="npi", notice_id="<b>N</b>&'\"")
    staff.world.run()
    item = staff.world.notice(notice).items[0].id
    client = staff.client("the.reviewer")
    page = f"/items/{item}"
    odd = "<script>alert(1)</script>{{ 7 * 7 }}"
    shown = follow(client, post(client, f"{page}/refuse", page=page, reason=odd)) + client.get("/").text
    assert "<script" not in shown
    assert "<b>N" not in shown
    assert "{{ 7 * 7 }}" in shown


def test_release_asks_for_code_and_reason(staff: Staff) -> None:
    code = staff.blocked_case()
    client, page = staff.client("the.reviewer"), f"/cases/{code}"
    for fields, words in (
        ({}, "must be filled in"),
        ({"code": code}, "must be filled in"),
        ({"code": "AAAA-AAAA", "reason": "a mistake"}, "not the code of this case"),
    ):
        answer = post(client, f"{page}/release", page=page, **fields)
        assert (answer.status_code, words in answer.text) == (422, True)
    assert staff.decisions(code) == []
    typed = code.lower().replace("-", " ").replace(" ", "")
    assert "another person" in follow(
        client, post(client, f"{page}/release", page=page, code=typed, reason="a mistake")
    )
    assert "asked for already" in client.get(page).text


def test_release_by_two_on_pages(staff: Staff) -> None:
    code = staff.blocked_case()
    asker, other, page = staff.client("the.approver"), staff.client("the.administrator"), f"/cases/{code}"
    post(asker, f"{page}/release", page=page, code=code, reason="a mistake")
    (asked,) = staff.decisions(code)
    decision = f"/decisions/{asked.id}"
    assert "needs another person" in asker.get(decision).text
    same = post(asker, f"{decision}/agree", page=decision)
    assert (same.status_code, "another person" in same.text) == (409, True)
    assert "worker does it" in follow(other, post(other, f"{decision}/agree", page=decision))
    staff.world.run()
    assert "restored" in other.get(page).text


def test_review_on_pages(staff: Staff) -> None:
    item = staff.review_item()
    client, page = staff.client("the.reviewer"), f"/items/{item}"
    assert page in client.get("/").text
    assert post(client, f"{page}/approve", page=page, reason=" ").status_code == 422
    assert "acts on it now" in follow(client, post(client, f"{page}/approve", page=page, reason="clear"))
    staff.world.run()
    assert "disabled" in client.get(page).text
    assert page not in client.get("/").text


def test_denied_item_declined_on_pages(staff: Staff) -> None:
    item = staff.denied_item()
    reviewer, approver, page = staff.client("the.reviewer"), staff.client("the.approver"), f"/items/{item}"
    post(reviewer, f"{page}/refuse", page=page, reason="ours")
    (asked,) = staff.services.lists.decisions()
    decision = f"/decisions/{asked['decision']}"
    assert decision in approver.get("/").text
    assert "stays as it is" in follow(approver, post(approver, f"{decision}/decline", page=decision, reason="no"))
    assert "refused" in approver.get(decision).text


def test_desk_on_pages(staff: Staff) -> None:
    notice, alert = staff.dead_letter(), staff.raised_page()
    client = staff.client("the.approver")
    assert "Due again: 1" in follow(client, post(client, f"/notices/{notice}/resend", page="/dead-letters"))
    assert "it is yours" in follow(client, post(client, f"/pages/{alert}/acknowledge"))
    assert "nothing is done" in follow(client, post(client, "/pauses/", page="/pauses/", scope="issuer:iwf"))
    assert "no issuer is called" in post(client, "/pauses/", page="/pauses/", scope="issuer:other").text
    assert "Acting again" in follow(client, post(client, "/pauses/resume", page="/pauses/", scope="issuer:iwf"))


def test_token_is_shown_once(staff: Staff) -> None:
    client = staff.client("the.reviewer")
    made = post(client, "/account/tokens", page="/account/", name="laptop", scope="act", days="30")
    token = re.search(r'id="token">(tdr_[\w-]+)<', made.text)
    assert token is not None
    assert token[1] not in client.get("/account/").text
    headers = {"Authorization": f"Bearer {token[1]}"}
    assert staff.app.test_client().get("/api/v1/cases", headers=headers).status_code == 200
    (row,) = staff.services.people.tokens("the.reviewer")
    post(client, f"/account/tokens/{row.id}/revoke", page="/account/")
    assert staff.app.test_client().get("/api/v1/cases", headers=headers).status_code == 401


def test_lists_go_on_by_key(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("receiver.services.lists", "receiver.admin.paging"):
        monkeypatch.setattr(f"{module}.PAGE_ROWS", 2)
    codes = [staff.world.case_of(_blocked(staff, n)).case.code for n in range(5)]
    client, seen, path = staff.client("the.viewer"), [], "/cases/?state=watch&issuer=iwf"
    for _ in range(4):
        text = client.get(path).text
        seen += re.findall(r'href="/cases/([0-9A-Z-]{9})"', text)
        following = re.search(r'href="(\?[^"]+)"', text)
        if following is None:
            break
        path = "/cases/" + following[1].replace("&amp;", "&")
    assert seen == codes


def _blocked(staff: Staff, number: int) -> str:
    notice = staff.world.notify(staff.world.put(f"/n{number}.png", b"noise"))
    staff.world.run()
    return notice


def test_stuck_case_is_in_the_queue(staff: Staff) -> None:
    code = staff.blocked_case()
    staff.stuck(staff.services.review.case_id(code), "exposure", "purge")
    client = staff.client("the.reviewer")
    text = client.get("/").text
    assert code in text
    assert "hxxps://x[.]example/…" in text
    assert "Due again" in follow(client, post(client, f"/cases/{code}/retry", page=f"/cases/{code}"))


def test_loose_settings_are_on_every_page(tmp_path: Path) -> None:
    loose = make_staff(tmp_path, two_people=False)
    loose.one_of_each()
    client = loose.client("the.viewer")
    for path in ("/", "/cases/", "/decisions/", "/pauses/", "/ledger", "/account/"):
        assert "One person alone" in client.get(path).text
    assert "One person alone" not in loose.client().get("/sign-in").text
    loose.close()


def test_database_away_is_said(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    client = staff.client("the.viewer")
    token = csrf_of(client, "/")

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("the database cannot be reached; try again later")

    monkeypatch.setattr(staff.world.db, "find_session", away)
    answer = client.get("/")
    assert (answer.status_code, "Try again" in answer.text) == (503, True)
    assert client.post("/sign-out", data={"csrf_token": token}).status_code == 503
    monkeypatch.setattr(staff.world.db, "beat", away)
    assert client.get("/healthz").status_code == 503


def test_mistake_of_ours_says_nothing(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[BaseException] = []
    staff.app.on_failure = heard.append  # type: ignore[attr-defined]

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("at https://img.example.net/secret")

    client = staff.client("the.viewer")
    monkeypatch.setattr(staff.services.lists, "stuck", broken)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert len(heard) == 1


def test_large_form_is_refused(staff: Staff) -> None:
    answer = staff.client().post("/sign-in", data={"name": "x" * 100_000})
    assert answer.status_code == 413
