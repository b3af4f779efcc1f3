"""Every route with everybody: a route that is not in the table fails, so nothing can be added without a line here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from receiver.admin.api import PREFIX
from receiver.services.persons import ORDER
from tests.doubles.staff import PASSWORD, Staff, csrf_of, make_staff

ANYBODY, SIGNED_IN, VIEWER, REVIEWER, APPROVER = "anybody", "signed in", "viewer", "reviewer", "approver"
SESSION, TOKEN, EITHER = "session", "token", "either"
NOBODY, NEWCOMER = "nobody", "newcomer"

ROUTES: dict[tuple[str, str], tuple[str, str]] = {
    ("GET", "/static/<path:filename>"): (ANYBODY, SESSION),
    ("GET", "/healthz"): (ANYBODY, SESSION),
    ("GET", "/sign-in"): (ANYBODY, SESSION),
    ("POST", "/sign-in"): (ANYBODY, SESSION),
    ("POST", "/sign-out"): (SIGNED_IN, SESSION),
    ("GET", "/account/password"): (SIGNED_IN, SESSION),
    ("POST", "/account/password"): (SIGNED_IN, SESSION),
    ("GET", "/account/"): (VIEWER, SESSION),
    ("POST", "/account/tokens"): (VIEWER, SESSION),
    ("POST", "/account/tokens/<token>/revoke"): (VIEWER, SESSION),
    ("GET", "/"): (VIEWER, SESSION),
    ("GET", "/cases/"): (VIEWER, SESSION),
    ("GET", "/cases/<code>"): (VIEWER, SESSION),
    ("POST", "/cases/<code>/release"): (REVIEWER, SESSION),
    ("POST", "/cases/<code>/retry"): (REVIEWER, SESSION),
    ("GET", "/items/<item>"): (VIEWER, SESSION),
    ("POST", "/items/<item>/approve"): (REVIEWER, SESSION),
    ("POST", "/items/<item>/refuse"): (REVIEWER, SESSION),
    ("GET", "/decisions/"): (VIEWER, SESSION),
    ("GET", "/decisions/<decision>"): (VIEWER, SESSION),
    ("POST", "/decisions/<decision>/agree"): (APPROVER, SESSION),
    ("POST", "/decisions/<decision>/decline"): (APPROVER, SESSION),
    ("GET", "/dead-letters"): (VIEWER, SESSION),
    ("POST", "/notices/<notice>/resend"): (REVIEWER, SESSION),
    ("POST", "/notices/<notice>/retry"): (REVIEWER, SESSION),
    ("GET", "/pauses/"): (VIEWER, SESSION),
    ("POST", "/pauses/"): (APPROVER, SESSION),
    ("POST", "/pauses/resume"): (APPROVER, SESSION),
    ("POST", "/pages/<page>/acknowledge"): (REVIEWER, SESSION),
    ("GET", "/ledger"): (VIEWER, SESSION),
    ("GET", "/metrics"): (VIEWER, EITHER),
    ("GET", f"{PREFIX}/cases"): (VIEWER, TOKEN),
    ("GET", f"{PREFIX}/cases/<code>"): (VIEWER, TOKEN),
    ("POST", f"{PREFIX}/cases/<code>/release"): (REVIEWER, TOKEN),
    ("POST", f"{PREFIX}/cases/<code>/retry"): (REVIEWER, TOKEN),
    ("GET", f"{PREFIX}/items"): (VIEWER, TOKEN),
    ("GET", f"{PREFIX}/items/<item>"): (VIEWER, TOKEN),
    ("POST", f"{PREFIX}/items/<item>/approve"): (REVIEWER, TOKEN),
    ("POST", f"{PREFIX}/items/<item>/refuse"): (REVIEWER, TOKEN),
    ("GET", f"{PREFIX}/decisions"): (VIEWER, TOKEN),
    ("POST", f"{PREFIX}/decisions/<decision>/agree"): (APPROVER, TOKEN),
    ("POST", f"{PREFIX}/decisions/<decision>/decline"): (APPROVER, TOKEN),
    ("GET", f"{PREFIX}/dead-letters"): (VIEWER, TOKEN),
    ("POST", f"{PREFIX}/notices/<notice>/resend"): (REVIEWER, TOKEN),
    ("GET", f"{PREFIX}/pauses"): (VIEWER, TOKEN),
    ("POST", f"{PREFIX}/pauses"): (APPROVER, TOKEN),
    ("DELETE", f"{PREFIX}/pauses/<scope>"): (APPROVER, TOKEN),
}
WHO = (NOBODY, NEWCOMER, *ORDER)
FORBIDDEN = {401, 403}


@dataclass
class Office:
    staff: Staff
    browsers: dict[str, FlaskClient]
    csrf: dict[str, str]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    staff = make_staff(tmp_path_factory.mktemp("office"))
    staff.one_of_each()
    once = staff.services.people.add_user("the.newcomer", "administrator", actor="test")
    browsers: dict[str, FlaskClient] = {role: staff.client(f"the.{role}") for role in ORDER}
    browsers[NOBODY] = staff.client()
    newcomer = staff.client()
    token = csrf_of(newcomer, "/sign-in")
    newcomer.post("/sign-in", data={"name": "the.newcomer", "password": once, "csrf_token": token})
    browsers[NEWCOMER] = newcomer
    csrf: dict[str, str] = {who: csrf_of(b, "/sign-in") for who, b in browsers.items()}
    yield Office(staff, browsers, csrf)
    staff.close()


def rules(staff: Staff) -> set[tuple[str, str]]:
    hidden = {"HEAD", "OPTIONS"}
    return {
        (method, rule.rule) for rule in staff.app.url_map.iter_rules() for method in (rule.methods or set()) - hidden
    }


def test_every_route_is_in_the_table(office: Office) -> None:
    assert rules(office.staff) == set(ROUTES)


def ask(office: Office, method: str, rule: str, who: str, how: str) -> TestResponse:
    path = "".join(f"nothing{part.partition('>')[2]}" if i else part for i, part in enumerate(rule.split("<")))
    client, data = office.browsers[who], {"csrf_token": office.csrf[who]} if method == "POST" else None
    if how == TOKEN:
        headers = {} if who == NOBODY else office.staff.bearer(f"the.{who}")
        return office.staff.app.test_client().open(path, method=method, json={}, headers=headers)
    if rule == "/sign-out" and who != NOBODY:
        client = office.staff.client()
        secret = office.staff.services.sign_in._begin(office.staff.services.people._user(f"the.{who}"))
        token = csrf_of(client, "/sign-in")
        with client.session_transaction() as session:
            session["sid"] = secret
        data = {"csrf_token": token}
    return client.open(path, method=method, data=data)


def stopped(answer: TestResponse) -> bool:
    to_sign_in = answer.status_code == 303 and answer.location in ("/sign-in", "/account/password")
    return to_sign_in or answer.status_code in FORBIDDEN


def may(who: str, needed: str) -> bool:
    if needed == ANYBODY:
        return True
    if who == NOBODY:
        return False
    if needed == SIGNED_IN:
        return True
    return who != NEWCOMER and ORDER.index(who) >= ORDER.index(needed)


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize(("route", "needs"), ROUTES.items(), ids=[" ".join(route) for route in ROUTES])
def test_only_the_right_roles_pass(office: Office, route: tuple[str, str], needs: tuple[str, str], who: str) -> None:
    method, rule = route
    needed, how = needs
    for way in (SESSION, TOKEN) if how == EITHER else (how,):
        if way == TOKEN and who == NEWCOMER:
            continue
        answer = ask(office, method, rule, who, way)
        leaves = rule == "/sign-out" and answer.location == "/sign-in" and who != NOBODY
        assert stopped(answer) is not may(who, needed) or leaves, (answer.status_code, answer.location)
        assert answer.status_code < 500
        check_headers(answer)


def check_headers(answer: TestResponse) -> None:
    """On every answer, whatever it says."""
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'none'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "Server" not in answer.headers


@pytest.mark.parametrize("route", [r for r, (_, how) in ROUTES.items() if how == TOKEN], ids=" ".join)
def test_session_opens_no_api(office: Office, route: tuple[str, str]) -> None:
    """Else another site could make the browser act: the API asks for no token against forged forms."""
    answer = ask(office, *route, "administrator", SESSION)
    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    "route", [r for r, (n, how) in ROUTES.items() if how == SESSION and n != ANYBODY], ids=" ".join
)
def test_token_opens_no_page(office: Office, route: tuple[str, str]) -> None:
    method, rule = route
    answer = ask(office, method, rule, "administrator", TOKEN)
    assert answer.status_code in {303, 400}
    assert answer.location in ("/sign-in", None)


@pytest.mark.parametrize(
    "route", [r for r, (_, how) in ROUTES.items() if r[0] == "POST" and how == SESSION], ids=" ".join
)
def test_forged_form_is_refused(office: Office, route: tuple[str, str]) -> None:
    path = route[1].replace("<", "").replace(">", "")
    for data in ({}, {"csrf_token": "forged"}, {"csrf_token": office.csrf["viewer"]}):
        answer = office.browsers["administrator"].post(path, data=data)
        assert answer.status_code == 400, path
        check_headers(answer)


@pytest.mark.parametrize("scope", ["read", "metrics"])
def test_narrow_tokens_do_less(office: Office, scope: str) -> None:
    headers = office.staff.bearer("the.administrator", scope)
    client = office.staff.app.test_client()
    assert client.get("/metrics", headers=headers).status_code == 200
    assert client.get(f"{PREFIX}/cases", headers=headers).status_code == (200 if scope == "read" else 403)
    assert client.post(f"{PREFIX}/pauses", headers=headers, json={"scope": "all"}).status_code == 403


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer nonsense", "Basic YTpi", "nonsense", f"Bearer {PASSWORD}"]
)
def test_odd_credentials_are_refused(office: Office, header: str) -> None:
    answer = office.staff.app.test_client().get(f"{PREFIX}/cases", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json is not None
    assert answer.json["type"] == "urn:takedown-receiver:problem:token-needed"


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PUT", "PATCH"])
def test_other_methods_are_refused(office: Office, method: str) -> None:
    for path in ("/", "/cases/", f"{PREFIX}/cases"):
        answer = office.browsers["administrator"].open(
            path, method=method, data={"csrf_token": office.csrf["administrator"]}
        )
        assert answer.status_code in {400, 405}
        check_headers(answer)
