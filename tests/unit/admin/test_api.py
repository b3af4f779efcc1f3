from __future__ import annotations

import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.doubles.staff import SECRET_PATH, SHARED_PATH, Staff


def ask(staff: Staff, method: str, path: str, *, who: str = "the.reviewer", body: Any = None) -> TestResponse:
    return staff.app.test_client().open(f"/api/v1{path}", method=method, json=body, headers=staff.bearer(who))


def good(answer: TestResponse) -> Any:
    assert (answer.status_code, answer.content_type) == (200, "application/json"), answer.text
    return answer.json


def problem(answer: TestResponse, status: int, slug: str) -> dict[str, Any]:
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    body: dict[str, Any] = json.loads(answer.data)
    assert (body["type"], body["status"]) == (f"urn:takedown-receiver:problem:{slug}", status)
    return body


def test_case_is_listed_and_shown(staff: Staff) -> None:
    code = staff.blocked_case()
    (line,) = good(ask(staff, "GET", "/cases?state=watch"))["cases"]
    assert (line["code"], line["exposure"], line["hosts"]) == (code, "watch", ["img[.]example[.]net"])
    case = good(ask(staff, "GET", f"/cases/{code}"))
    assert [t["state"] for t in case["tracks"]] == ["watch", "sealed"]
    assert [(c["issuer"], c["notice_id"], c["status"]) for c in case["claims"]] == [("iwf", "N-1", "disabled")]
    assert case["seals"][0]["size_bytes"] == 500
    assert case["urls"][0]["verdict"] == "gone"


def test_case_shows_nothing_secret(staff: Staff) -> None:
    code = staff.blocked_case()
    text = ask(staff, "GET", f"/cases/{code}").text
    view = staff.world.db.load_case(staff.services.review.case_id(code))
    hidden = [
        SECRET_PATH,
        "img.example.net",
        "locator",
        "intent",
        view.seals[0].sha256_plain_hmac,
        view.seals[0].pin,
    ]
    assert [word for word in hidden if word in text] == []


def test_release_by_two_over_the_api(staff: Staff) -> None:
    code = staff.blocked_case()
    asked = good(ask(staff, "POST", f"/cases/{code}/release", body={"reason": "a mistake"}))
    assert (asked["state"], asked["approvals"], asked["needs"]) == ("asked", 1, 2)
    (line,) = good(ask(staff, "GET", "/decisions"))["decisions"]
    assert (line["decision"], line["case"], line["actor"]) == (asked["decision"], code, "the.reviewer")
    agree = f"/decisions/{asked['decision']}/agree"
    problem(ask(staff, "POST", agree), 403, "not-allowed")
    assert good(ask(staff, "POST", agree, who="the.approver"))["state"] == "approved"
    problem(ask(staff, "POST", agree, who="the.administrator"), 409, "not-possible")


def test_decline_over_the_api(staff: Staff) -> None:
    code = staff.blocked_case()
    asked = good(ask(staff, "POST", f"/cases/{code}/release", body={"reason": "a mistake"}))
    path = f"/decisions/{asked['decision']}/decline"
    assert good(ask(staff, "POST", path, who="the.approver", body={}))["state"] == "refused"


def test_review_over_the_api(staff: Staff) -> None:
    item, denied = staff.review_item(), staff.denied_item()
    lines = good(ask(staff, "GET", "/items?status=review"))["items"]
    assert {line["item"] for line in lines} == {item, denied}
    assert good(ask(staff, "GET", f"/items/{item}"))["hindrance"] is None
    assert good(ask(staff, "POST", f"/items/{item}/approve", body={"reason": "clear"}))["state"] == "approved"
    assert good(ask(staff, "POST", f"/items/{denied}/refuse", body={"reason": "ours"}))["needs"] == 2
    assert SHARED_PATH not in ask(staff, "GET", f"/items/{denied}").text


def test_retry_over_the_api(staff: Staff) -> None:
    code = staff.blocked_case()
    problem(ask(staff, "POST", f"/cases/{code}/retry"), 409, "not-possible")
    staff.stuck(staff.services.review.case_id(code), "exposure", "purge")
    assert good(ask(staff, "POST", f"/cases/{code}/retry"))["state"] == "approved"


def test_dead_letters_over_the_api(staff: Staff) -> None:
    notice = staff.dead_letter()
    (line,) = good(ask(staff, "GET", "/dead-letters"))["dead_letters"]
    assert (line["notice"], line["issuer"]) == (notice, "iwf")
    assert good(ask(staff, "POST", f"/notices/{notice}/resend")) == {"events": 1}


def test_pauses_over_the_api(staff: Staff) -> None:
    who = "the.approver"
    made = good(ask(staff, "POST", "/pauses", who=who, body={"scope": "adapter:www"}))
    assert [p["scope"] for p in made["pauses"]] == ["adapter:www"]
    assert good(ask(staff, "GET", "/pauses"))["pauses"][0]["actor"] == who
    assert good(ask(staff, "DELETE", "/pauses/adapter:www", who=who)) == {"pauses": []}
    problem(ask(staff, "DELETE", "/pauses/adapter:www", who=who), 409, "not-possible")


@pytest.mark.parametrize(
    "body", [None, {}, [], "x", {"reason": ""}, {"reason": 7}, {"reason": ["a"]}, {"reason": None}]
)
def test_reason_must_be_text(staff: Staff, body: Any) -> None:
    problem(ask(staff, "POST", f"/cases/{staff.blocked_case()}/release", body=body), 422, "bad-input")


def test_what_is_not_there(staff: Staff) -> None:
    for path in ("/cases/AAAA-AAAA", "/items/nothing", "/nothing"):
        problem(ask(staff, "GET", path), 404, "not-found")
    problem(ask(staff, "GET", "/items?status=nonsense"), 422, "bad-input")
    problem(ask(staff, "POST", "/cases"), 405, "method-not-allowed")


def test_figures_for_prometheus(staff: Staff) -> None:
    staff.dead_letter()
    staff.world.db.sweep_done("nonces")
    answer = staff.app.test_client().get("/metrics", headers=staff.bearer("the.viewer", "metrics"))
    assert answer.content_type.startswith("text/plain")
    assert "takedown_dead_letters 1.0" in answer.text
    assert 'takedown_backlog{track="exposure"} 0.0' in answer.text
    assert 'takedown_sweep_age_seconds{sweep="nonces"} 0.0' in answer.text
