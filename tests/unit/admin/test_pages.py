from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from receiver.services.persons import Person
from receiver.services.sign_in import TRIES_PER_NAME
from tests.doubles.staff import PASSWORD, SECRET_PATH, SHARED_PATH, Staff, make_staff, post
from tests.unit.admin.page_steps import follow


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Staff]:
    made = make_staff(tmp_path, https=True)
    made.account("ann", "viewer")
    yield made
    made.close()


def cookie(answer: TestResponse) -> str:
    return answer.headers.get("Set-Cookie", "")


class Page(HTMLParser):
    """What a page is made of, as far as rules are about it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag in names]


def furnished(staff: Staff) -> list[str]:
    """Every page there is, with something on it."""
    code, item, denied = staff.blocked_case(), staff.review_item(), staff.denied_item()
    staff.dead_letter()
    staff.raised_page()
    case = staff.services.review.case_id(code)
    said = post(staff.client("the.reviewer"), f"/cases/{code}/release", page=f"/cases/{code}", code=code, reason="why")
    assert said.status_code == 303
    staff.stuck(case, "evidence", "seal")
    (asked,) = staff.decisions(code)
    staff.services.desk.pause("all", _administrator(staff))
    return [
        "/",
        "/cases/",
        "/cases/?state=watch&issuer=iwf",
        f"/cases/{code}",
        f"/items/{item}",
        f"/items/{denied}",
        "/decisions/",
        f"/decisions/{asked.id}",
        "/dead-letters",
        "/pauses/",
        "/ledger",
        "/account/",
        "/account/password",
        "/nothing",
    ]


def _administrator(staff: Staff) -> Person:
    person = staff.services.sign_in.by_token(staff.bearer("the.administrator")["Authorization"].split()[1])
    assert person is not None
    return person


def test_first_start_names_the_command(tmp_path: Path) -> None:
    empty = make_staff(tmp_path)
    assert "takedown-receiver admin-user add NAME" in empty.client().get("/sign-in").text
    empty.account("ann", "viewer")
    assert "admin-user add" not in empty.client().get("/sign-in").text
    empty.close()


def test_first_sign_in_forces_new_password(staff: Staff) -> None:
    once = staff.services.people.add_user("new.one", "viewer", actor="test")
    client = staff.client()
    post(client, "/sign-in", page="/sign-in", name="new.one", password=once)
    assert client.get("/").location == "/account/password"
    page = "/account/password"
    short = post(client, page, page=page, old=once, new="too short", again="too short")
    assert short.status_code == 422
    assert "at least 15" in short.text
    differ = post(client, page, page=page, old=once, new=PASSWORD, again=PASSWORD + "x")
    assert (differ.status_code, "differ" in differ.text) == (422, True)
    wrong = post(client, page, page=page, old=once + "x", new=PASSWORD, again=PASSWORD)
    assert (wrong.status_code, "present password" in wrong.text) == (422, True)
    assert "Queue" in follow(client, post(client, page, page=page, old=once, new=PASSWORD, again=PASSWORD))


def test_wrong_password_says_nothing_more(staff: Staff) -> None:
    texts = []
    for name in ("the.viewer", "nobody.such"):
        answer = post(staff.client(), "/sign-in", page="/sign-in", name=name, password="x" * 20)
        assert answer.status_code == 422
        texts.append(re.sub(r'value="[^"]*"', "", answer.text))
    assert texts[0] == texts[1]


def test_guessing_ends_with_429(staff: Staff) -> None:
    client = staff.client()
    codes = [
        post(client, "/sign-in", page="/sign-in", name="the.viewer", password="x" * 20).status_code
        for _ in range(TRIES_PER_NAME + 1)
    ]
    assert codes[-1] == 429


def test_sign_in_changes_the_session(staff: Staff) -> None:
    """A cookie that somebody planted before is worth nothing after."""
    client = staff.client()
    client.get("/sign-in")
    with client.session_transaction() as planted:
        planted["sid"] = "planted-by-an-attacker"
    post(client, "/sign-in", page="/sign-in", name="the.viewer", password=PASSWORD)
    with client.session_transaction() as now:
        assert now["sid"] != "planted-by-an-attacker"
    other = staff.client()
    with other.session_transaction() as session:
        session["sid"] = "planted-by-an-attacker"
    assert other.get("/").location == "/sign-in"


def test_sign_out_ends_the_session(staff: Staff) -> None:
    client = staff.client("the.viewer")
    with client.session_transaction() as session:
        secret = session["sid"]
    assert "signed out" in follow(client, post(client, "/sign-out"))
    again = staff.client()
    with again.session_transaction() as session:
        session["sid"] = secret
    assert again.get("/").location == "/sign-in"


def test_idle_session_ends(staff: Staff) -> None:
    client = staff.client("the.viewer")
    staff.world.clock.move(minutes=31)
    assert "sessions end after 30 minutes" in follow(client, client.get("/"))


def test_disabled_account_is_out_at_once(staff: Staff) -> None:
    client = staff.client("the.viewer")
    staff.services.people.disable("the.viewer", actor="test")
    assert client.get("/").location == "/sign-in"


def test_lower_role_counts_at_once(staff: Staff) -> None:
    client = staff.client("the.approver")
    staff.services.people.set_role("the.approver", "viewer", actor="test")
    assert post(client, "/pauses/", scope="all").status_code == 403


def test_forged_cookie_is_nobody(staff: Staff) -> None:
    client = staff.client("the.administrator")
    value = client.get_cookie("takedown").decoded_value  # type: ignore[union-attr]
    client.set_cookie("takedown", value[:-3] + "abc")
    assert client.get("/").location == "/sign-in"


def test_cookie_is_bound_to_https(secure: Staff) -> None:
    answer = secure.app.test_client().get("/sign-in", base_url="https://admin.host.example")
    said = cookie(answer)
    assert said.startswith("__Host-takedown=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"} <= {part.strip() for part in said.split(";")}
    assert "Domain" not in said
    assert answer.headers["Strict-Transport-Security"]


def test_cookie_without_https_is_still_strict(staff: Staff) -> None:
    said = cookie(staff.app.test_client().get("/sign-in"))
    assert said.startswith("takedown=")
    assert {"HttpOnly", "Path=/", "SameSite=Strict"} <= {part.strip() for part in said.split(";")}


def test_form_works_over_https(secure: Staff) -> None:
    """Flask-WTF asks for a Referer there; our policy lets browsers send it."""
    client, base = secure.app.test_client(), "https://admin.host.example"
    text = client.get("/sign-in", base_url=base).text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', text)
    assert token is not None
    fields = {"name": "ann", "password": PASSWORD, "csrf_token": token[1]}
    for referrer, status in (("https://evil.example/", 400), (f"{base}/sign-in", 303)):
        answer = client.post("/sign-in", data=fields, base_url=base, headers={"Referer": referrer})
        assert answer.status_code == status


def test_link_from_a_mail_keeps_the_session(staff: Staff) -> None:
    answer = staff.app.test_client().get("/cases/", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 401
    assert 'href="/cases/"' in answer.text
    assert "Set-Cookie" not in answer.headers


def test_no_page_shows_a_url(staff: Staff) -> None:
    client = staff.client("the.administrator")
    for path in furnished(staff):
        text = client.get(path).text
        for secret in (SECRET_PATH, SHARED_PATH, "img.example.net", "/review/text", "/dead/letter", "x.example/secret"):
            assert secret not in text, (path, secret)
        assert not re.search(r"https?://", text), path
    assert "hxxps://img[.]example[.]net/…" in client.get("/").text


def test_pages_are_well_made(staff: Staff) -> None:
    client = staff.client("the.administrator")
    for path in furnished(staff):
        check_page(path, Page(client.get(path).text))


def check_page(path: str, page: Page) -> None:
    """No script, no picture, no foreign host; labels, one first heading, a way past the menu, scopes in tables."""
    assert page.all("script", "img", "iframe", "object", "embed", "style", "base", "video", "audio") == [], path
    assert [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"] == [], path
    links = [attrs.get(name) for _, attrs in page.tags for name in ("href", "action", "formaction", "src")]
    assert all(link is None or link.startswith(("/", "#", "?")) for link in links), path
    assert len(page.all("h1")) == 1, path
    assert page.all("html")[0]["lang"] == "en"
    assert page.all("a")[0] == {"class": "skip", "href": "#main"}
    assert all("scope" in th for th in page.all("th")), path
    labelled = {label["for"] for label in page.all("label")}
    fields = [f for f in page.all("input", "select", "textarea") if f.get("type") not in ("hidden", "submit")]
    assert {field["id"] for field in fields} <= labelled, path
    for form in page.all("form"):
        assert form["method"] in ("post", "get"), path
    posts = len([form for form in page.all("form") if form["method"] == "post"])
    assert len([f for f in page.all("input") if f.get("name") == "csrf_token"]) == posts, path
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs and attrs["id"] != "csrf_token"]
    assert len(ids) == len(set(ids)), path
