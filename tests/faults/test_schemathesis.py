"""The served document against the answers: whatever schemathesis thinks of, nothing fails and nothing differs."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterator

import pytest
import requests
import schemathesis

from receiver.admin.app import NOUNS
from receiver.services.persons import ORDER
from tests.doubles.public_server import PublicServer, public_server
from tests.doubles.web_side import notice_json, to_bytes
from tests.faults.scale import SEED, TORTURE
from tests.faults.schemathesis_stand import (
    Signing,
    StaffServer,
    Tally,
    as_our_issuer,
    explore,
    is_beyond_schemas,
    shown,
    staff_document,
    staff_server,
)
from tests.vectors.wire import replies, talk

PUBLIC_EXAMPLES = 1_700 if TORTURE else 25
STAFF_EXAMPLES = 250 if TORTURE else 3
"""For each operation, of what is allowed and of what is not, and on the staff side for each role."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicServer]:
    with public_server(tmp_path_factory.mktemp("schema")) as running:
        config = running.folder / "config.toml"
        assert "max_unsigned_per_minute = 10000" in config.read_text()
        for name in ("known", "other"):
            hand_in(running, name)
        yield running
        assert "Traceback" not in running.log()
        assert "request.failed" not in running.log()


def hand_in(server: PublicServer, notice_id: str) -> None:
    body = to_bytes(notice_json(notice_id=notice_id, category="npi"))
    answer = requests.post(f"{server.origin}/v1/notices", data=body, auth=Signing(server), timeout=60)
    assert answer.status_code == 202, answer.text


@pytest.fixture(scope="module")
def staff(server: PublicServer) -> Iterator[StaffServer]:
    with staff_server(server.folder) as running:
        yield running
        assert "Traceback" not in running.log.read_text()
        assert "request.failed" not in running.log.read_text()


def say(capsys: pytest.CaptureFixture[str], who: str, tally: Tally) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\nschemathesis, {who}: {shown(tally)}, SEED={SEED}\n")


def test_public_document_says_what_is_served(server: PublicServer, capsys: pytest.CaptureFixture[str]) -> None:
    schema = schemathesis.openapi.from_url(f"{server.origin}/v1/openapi.json")
    tally = Tally()
    explore(
        schema, tally, examples=PUBLIC_EXAMPLES, auth=Signing(server), dress=as_our_issuer, excuse=is_beyond_schemas
    )
    say(capsys, "signed", tally)
    assert tally.faults == {}, "\n\n".join(tally.faults.values())
    taken = {label for label, status in tally.asked if status in (200, 202)}
    assert {"POST /v1/notices", "GET /v1/notices/{notice_id}", "POST /v1/notices/{notice_id}/directions"} <= taken
    assert max(status for _, status in tally.asked) < 500


def test_unsigned_requests_are_all_refused(server: PublicServer, capsys: pytest.CaptureFixture[str]) -> None:
    schema = schemathesis.openapi.from_url(f"{server.origin}/v1/openapi.json").include(path_regex="^/v1/notices")
    before = server.rows("message", "nonce", "notice", "item", "event", "entry", "work", "direction")
    tally = Tally()
    explore(schema, tally, examples=PUBLIC_EXAMPLES // 4, excuse=lambda _case, answer: answer.status_code == 401)
    say(capsys, "unsigned", tally)
    assert tally.faults == {}, "\n\n".join(tally.faults.values())
    assert {status for _, status in tally.asked} <= {400, 401, 404, 405, 415}
    assert server.rows("message", "nonce", "notice", "item", "event", "entry", "work", "direction") == before


def items_of(server: PublicServer) -> list[str]:
    with contextlib.closing(sqlite3.connect(server.folder / "data" / "receiver.db")) as db:
        return [str(row[0]) for row in db.execute("SELECT id FROM item ORDER BY id LIMIT 3")]


@pytest.mark.parametrize("role", [role.value for role in ORDER])
def test_staff_api_never_fails(
    server: PublicServer, staff: StaffServer, role: str, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = schemathesis.openapi.from_dict(staff_document(staff.port, items_of(server)))
    tally = Tally()
    headers = {"Authorization": f"Bearer {staff.tokens[role]}"}
    base_url = f"http://127.0.0.1:{staff.port}/api/v1"
    explore(
        schema,
        tally,
        examples=STAFF_EXAMPLES,
        base_url=base_url,
        headers=headers,
        excuse=lambda _case, answer: answer.status_code in (400, 409, 422),
    )
    say(capsys, role, tally)
    assert tally.faults == {}, "\n\n".join(tally.faults.values())
    acted = {label for label, status in tally.asked if status == 200 and not label.startswith("GET ")}
    assert role != "viewer" or acted == set()


def test_strangers_pass_no_door(staff: StaffServer) -> None:
    """Every address of the staff side without a session and without a token, on the real server."""
    opened = []
    for path in staff_paths():
        for method in ("GET", "POST", "DELETE", "PUT", "OPTIONS", "TRACE"):
            answer = requests.request(method, f"http://127.0.0.1:{staff.port}{path}", timeout=60, allow_redirects=False)
            assert answer.status_code < 500, (method, path)
            if answer.status_code == 200:
                opened.append((method, path))
    assert sorted(set(opened)) == [("GET", "/healthz"), ("GET", "/sign-in")]


def staff_paths() -> list[str]:
    """As the blueprints have them, with a word in each gap, and some that nobody has."""
    described = staff_document(0, [])["paths"]
    api = [f"/api/v1{path}".replace("{", "").replace("}", "") for path in described]
    nouns = ["/" + noun.__name__.rpartition(".")[2].replace("_", "-") for noun in NOUNS]
    pages = ["/", "/healthz", "/metrics", "/cases/x/release", "/items/x/approve", "/account/tokens", "/static/../x"]
    return [*api, *nouns, *(f"{noun}/" for noun in nouns), *pages, "/console", "/.git/config", "/v1/notices"]


@pytest.mark.parametrize(
    "frame",
    [b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"Content-Length: 9\r\n\r\n{", b"Content-Length: 99999999\r\n\r\nx"],
    ids=["broken chunk", "cut short", "too large"],
)
@pytest.mark.parametrize("path", ["/sign-in", "/api/v1/pauses", "/pauses/"])
def test_broken_bodies_are_no_failure(server: PublicServer, staff: StaffServer, path: str, frame: bytes) -> None:
    token = staff.tokens["approver"]
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    for kind in (b"application/json", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x"):
        raw = head.encode().replace(b"application/json", kind) + frame
        assert 300 <= status_of(staff.port, raw) < 500


def status_of(port: int, data: bytes) -> int:
    """Of the one answer to bytes that end early."""
    return replies(talk("127.0.0.1", port, data, half_close=True))[0].status
