from __future__ import annotations

import datetime as dt
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from receiver.api.app import create_public_app, sender_of
from receiver.domain.errors import StoreUnavailableError
from receiver.domain.notice import UnverifiedRequest
from receiver.verification.answers import verify_answer
from tests.doubles.web_side import ORIGIN, WebSide, make_web_side, notice_json, to_bytes

PREFIX = "urn:takedown-notice:problem:"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebSide]:
    side = make_web_side(tmp_path)
    yield side
    side.store.close()


@pytest.fixture
def client(web: WebSide) -> FlaskClient:
    return create_public_app(web.services()).test_client()


def send(client: FlaskClient, request: UnverifiedRequest, **more: Any) -> TestResponse:
    headers = [(n, v) for n, v in request.headers if n != "Content-Length"]
    return client.open(request.target, method=request.method, headers=headers, data=request.body or None, **more)


def check_signed(web: WebSide, request: UnverifiedRequest, got: TestResponse) -> None:
    key_id = verify_answer(
        request=request,
        url=ORIGIN + request.target,
        label="sig1",
        status=got.status_code,
        headers=list(got.headers.items()),
        body=got.data,
        register=web.answer_keys(),
        now=dt.datetime.now(dt.UTC),
    )
    assert key_id == web.response_key.key_id


def problem(got: TestResponse, status: int, slug: str) -> dict[str, Any]:
    assert (got.status_code, got.content_type) == (status, "application/problem+json")
    body: dict[str, Any] = json.loads(got.data)
    assert (body["type"], body["status"]) == (PREFIX + slug, status)
    return body


def test_receipt_is_signed(web: WebSide, client: FlaskClient) -> None:
    request = web.hotline.notice()
    got = send(client, request)
    assert (got.status_code, got.content_type) == (202, "application/json")
    check_signed(web, request, got)


def test_repeat_has_the_same_bytes(web: WebSide, client: FlaskClient) -> None:
    first, request = send(client, web.hotline.notice()), web.hotline.notice()
    again = send(client, request)
    assert again.data == first.data
    assert again.headers["Signature"] != first.headers["Signature"]
    check_signed(web, request, again)


def test_status_and_directions_are_signed(web: WebSide, client: FlaskClient) -> None:
    send(client, web.hotline.notice())
    asked = web.hotline.request("GET", "/v1/notices/N-1")
    got = send(client, asked)
    assert json.loads(got.data)["schema"] == "takedown-status/1"
    check_signed(web, asked, got)
    direction = web.hotline.direction("N-1")
    got = send(client, direction)
    assert (got.status_code, json.loads(got.data)["direction_id"]) == (202, "D-1")
    check_signed(web, direction, got)


def test_discovery_tells_more_when_signed(web: WebSide, client: FlaskClient) -> None:
    path = "/.well-known/takedown-receiver"
    anyone = client.get(path)
    assert "categories" not in json.loads(anyone.data)
    assert web.total_rows() == 0
    asked = web.hotline.request("GET", path)
    got = send(client, asked)
    assert json.loads(got.data)["categories"] == {"csam": "act", "ncii": "shadow", "npi": "review", "test": "act"}
    check_signed(web, asked, got)


def test_discovery_badly_signed_is_401(web: WebSide, client: FlaskClient) -> None:
    got = client.get("/.well-known/takedown-receiver", headers={"Signature": "sig1=:AAAA:"})
    problem(got, 421, "foreign-authority")
    headers = {"Signature": "sig1=:AAAA:", "Host": "notices.host.example"}
    problem(client.get("/.well-known/takedown-receiver", headers=headers), 401, "signature-not-accepted")
    assert web.total_rows() == 0


def test_keys_are_published(web: WebSide, client: FlaskClient) -> None:
    jwks = client.get("/.well-known/jwks.json")
    directory = client.get("/.well-known/http-message-signatures-directory")
    assert jwks.data == directory.data
    assert json.loads(jwks.data)["keys"][0]["kid"] == web.response_key.key_id
    assert directory.content_type == "application/http-message-signatures-directory+json"
    assert 'tag="http-message-signatures-directory"' in directory.headers["Signature-Input"]
    assert '("@authority";req)' in directory.headers["Signature-Input"]
    assert jwks.headers["Cache-Control"] == "public, max-age=3600"


def test_unsigned_is_401_in_one_form(client: FlaskClient) -> None:
    headers = {"Host": "notices.host.example", "Content-Type": "application/json"}
    got = client.post("/v1/notices", headers=headers, data=b"{}")
    assert problem(got, 401, "signature-not-accepted").keys() == {"type", "title", "status"}
    assert 'tag="takedown-notice"' in got.headers["Accept-Signature"]


def test_replay_gives_status_address(web: WebSide, client: FlaskClient) -> None:
    request = web.hotline.notice()
    send(client, request)
    body = problem(send(client, request), 409, "already-recorded")
    assert body["status_url"] == ORIGIN + "/v1/notices/N-1"


def test_faults_are_listed_without_values(web: WebSide, client: FlaskClient) -> None:
    body = to_bytes(notice_json(kind="secret-word", category="CSAM secret-word"))
    found = problem(send(client, web.hotline.request("POST", "/v1/notices", body)), 422, "invalid-notice")
    assert sorted(fault["pointer"] for fault in found["errors"]) == ["/category", "/kind"]
    assert "secret-word" not in json.dumps(found)


def test_unknown_places_are_problems(client: FlaskClient) -> None:
    problem(client.get("/nowhere"), 404, "not-found")
    problem(client.get("/v1/notices/%00"), 404, "not-found")
    problem(client.get("/v1//notices/x"), 404, "not-found")
    got = client.delete("/v1/notices")
    problem(got, 405, "method-not-allowed")
    assert got.headers["Allow"] == "POST"
    problem(client.options("/v1/notices"), 405, "method-not-allowed")


def test_large_body_is_refused_unread(client: FlaskClient) -> None:
    class Bomb(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise AssertionError("read")

    got = client.post("/v1/notices", environ_overrides={"CONTENT_LENGTH": str(10**9), "wsgi.input": Bomb()})
    problem(got, 413, "too-large")


def test_wrong_length_is_400(client: FlaskClient) -> None:
    got = client.post("/v1/notices", environ_overrides={"CONTENT_LENGTH": "50", "wsgi.input": io.BytesIO(b"{}")})
    problem(got, 400, "malformed-request")


def test_broken_body_is_400(client: FlaskClient) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("gone")

    problem(
        client.post("/v1/notices", environ_overrides={"CONTENT_LENGTH": "50", "wsgi.input": Broken()}),
        400,
        "malformed-request",
    )


def test_unsigned_flood_is_slowed(web: WebSide, caplog: pytest.LogCaptureFixture) -> None:
    client = create_public_app(web.services(max_unsigned_per_minute=3)).test_client()
    headers = {"Host": "notices.host.example", "Content-Type": "application/json"}
    with caplog.at_level(logging.WARNING, logger="receiver.web"):
        answers = [client.post("/v1/notices", headers=headers, data=b"{}").status_code for _ in range(5)]
    assert answers == [401, 401, 401, 429, 429]
    assert len(caplog.records) == 3
    assert send(client, web.hotline.notice()).status_code == 202


def test_log_names_reason_and_key_only(web: WebSide, client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        send(client, web.hotline.notice(category="terrorism"))
        send(client, web.hotline.notice(urls=["https://img.example.net/a\u0000"]))
    refused = [record for record in caplog.records if record.name == "receiver.web"]
    assert [(r.__dict__["status"], r.__dict__["reason"], r.__dict__["key_id"]) for r in refused] == [
        (403, "category-not-allowed", "hotline-1"),
        (400, "malformed-json", "hotline-1"),
    ]
    assert "img.example" not in str([record.__dict__ for record in caplog.records])


def test_refusals_are_counted(web: WebSide) -> None:
    services = web.services()
    client = create_public_app(services).test_client()
    send(client, web.hotline.notice(category="terrorism"))
    send(client, web.hotline.notice())
    value = services.metrics.registry.get_sample_value
    labels = {"what": "handInNotice", "status": "403", "reason": "category-not-allowed"}
    assert value("takedown_requests_refused_total", labels) == 1
    assert value("takedown_requests_taken_total", {"what": "notice", "repeated": "false"}) == 1


def test_failure_tells_nothing(web: WebSide, caplog: pytest.LogCaptureFixture) -> None:
    class Failing:
        def hand_in(self, request: UnverifiedRequest) -> None:
            raise RuntimeError("https://img.example.net/secret")

    services = web.services()
    object.__setattr__(services, "notices", Failing())
    heard: list[BaseException] = []
    client = create_public_app(services, on_failure=heard.append).test_client()
    got = send(client, web.hotline.notice())
    assert [type(error) for error in heard] == [RuntimeError]
    assert problem(got, 500, "internal-error").keys() == {"type", "title", "status"}
    assert "img.example" not in str([record.__dict__ for record in caplog.records])
    assert any(record.__dict__.get("error") == "RuntimeError" for record in caplog.records)


def test_not_recorded_is_503(web: WebSide, client: FlaskClient) -> None:
    web.committer.away = True
    got = send(client, web.hotline.notice())
    problem(got, 503, "not-recorded")
    assert got.headers["Retry-After"] == "5"


def test_health_is_alive_and_ready(web: WebSide) -> None:
    client = create_public_app(web.services()).test_client()
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200

    def away() -> None:
        raise StoreUnavailableError("switched off by the test")

    client = create_public_app(web.services(write=away)).test_client()
    assert client.get("/healthz").status_code == 200
    problem(client.get("/readyz"), 503, "not-recorded")


def test_every_answer_is_hardened(client: FlaskClient) -> None:
    for got in (client.get("/healthz"), client.get("/nowhere"), client.post("/v1/notices")):
        assert got.headers["Cache-Control"] == "no-store"
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in got.headers["Content-Security-Policy"]
        assert "Set-Cookie" not in got.headers


def test_ipv6_senders_count_by_network() -> None:
    assert sender_of("2001:db8::1") == sender_of("2001:db8::ffff:2")
    assert sender_of("192.0.2.1") != sender_of("192.0.2.2")
    assert sender_of(None) == "unknown"


@pytest.mark.parametrize("label", ["sig1", "*a.b-c_d", "x"])
def test_any_label_gets_its_proof(web: WebSide, client: FlaskClient, label: str) -> None:
    request = web.hotline.request("POST", "/v1/notices", to_bytes(notice_json()), label=label)
    proxy = (("Signature-Input", 'proxy=("@method");created=1'), ("Signature", "proxy=:AAAA:"))
    request = replace(request, headers=(*proxy, *request.headers))
    got = send(client, request)
    assert got.status_code == 202
    key_id = verify_answer(
        request=request,
        url=ORIGIN + request.target,
        label=label,
        status=202,
        headers=list(got.headers.items()),
        body=got.data,
        register=web.answer_keys(),
        now=dt.datetime.now(dt.UTC),
    )
    assert key_id == web.response_key.key_id
