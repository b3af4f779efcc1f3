"""The public side under its real server: what strangers send, and what issuers rely on."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from receiver.domain.notice import UnverifiedRequest
from receiver.verification.answers import verify_answer
from receiver.verification.jwk import load_jwks
from receiver.verification.keys import KeyRing
from tests.doubles.public_server import PublicServer, public_server, read_response
from tests.doubles.web_side import Sender, notice_json, to_bytes
from tests.support import wait_until

TABLES = ("message", "nonce", "notice", "item", "event", "entry", "work")
ORIGIN = "https://notices.host.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicServer]:
    with public_server(tmp_path_factory.mktemp("public"), origin=ORIGIN) as running:
        yield running


def wire(request: UnverifiedRequest, *extra: tuple[str, str]) -> bytes:
    lines = [f"{request.method} {request.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in (*request.headers, *extra)]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + request.body


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def headers(answer: bytes) -> list[tuple[str, str]]:
    lines = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]


def body(answer: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


def problem(answer: bytes, expected: int) -> dict[str, Any]:
    assert status(answer) == expected, answer
    assert dict(headers(answer))["Content-Type"] == "application/problem+json"
    return body(answer)


def test_notice_is_taken_with_proof(server: PublicServer) -> None:
    request = server.hotline.notice(notice_id="proof")
    answer = server.exchange(wire(request))
    assert status(answer) == 202
    keys = server.exchange(b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: any\r\n\r\n").partition(b"\r\n\r\n")[2]
    verify_answer(
        request=request,
        url=ORIGIN + request.target,
        label="sig1",
        status=202,
        headers=headers(answer),
        body=answer.partition(b"\r\n\r\n")[2],
        register=KeyRing(load_jwks("receiver", keys)),
        now=dt.datetime.now(dt.UTC),
    )
    assert "Date" in dict(headers(answer))
    assert problem(server.exchange(wire(request)), 409)["type"].endswith("already-recorded")


def test_chunked_notice_is_taken(server: PublicServer) -> None:
    request = server.hotline.notice(notice_id="chunked")
    lines = tuple((n, v) for n, v in request.headers if n != "Content-Length")
    head = wire(replace(request, headers=lines, body=b""), ("Transfer-Encoding", "chunked"))
    half = len(request.body) // 2
    parts = (request.body[:half], request.body[half:])
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    assert status(server.exchange(head + chunks)) == 202


def signed(server: PublicServer, content: bytes, **signing: Any) -> bytes:
    return wire(server.hotline.request("POST", "/v1/notices", content, **signing))


def test_hostile_requests_leave_nothing(server: PublicServer) -> None:
    good = server.hotline.notice(notice_id="hostile")
    stranger = Sender(issuer="hotline", key_id="hotline-1", origin=ORIGIN)
    unsigned = replace(good, headers=tuple(h for h in good.headers if not h[0].startswith("Signature")))
    tampered = replace(good, body=good.body.replace(b"hostile", b"changed"))
    moved = replace(good, target="/v1/notices?x=1")
    elsewhere = replace(good, headers=(("Host", "other.example"), *good.headers[1:]))
    long_ago = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    cases = {
        "unsigned": (wire(unsigned), 401),
        "tampered": (wire(tampered), 401),
        "another target": (wire(moved), 401),
        "another key": (wire(stranger.notice()), 401),
        "unknown key": (wire(replace(stranger, key_id="nobody").notice()), 401),
        "expired": (signed(server, b"{}", now=long_ago), 401),
        "too long a life": (signed(server, b"{}", lifetime_seconds=3600), 401),
        "short nonce": (signed(server, b"{}", nonce="abc"), 401),
        "foreign authority": (wire(elsewhere), 421),
        "content encoding": (wire(good, ("Content-Encoding", "gzip")), 415),
        "two digests": (wire(good, ("Content-Digest", "sha-256=:AAAA:")), 401),
        "form": (wire(unsigned).replace(b"application/json", b"text/plain"), 415),
        "absolute target": (wire(replace(good, target=ORIGIN + "/v1/notices")), 400),
    }
    before = server.rows(*TABLES)
    answers = {name: server.exchange(data) for name, (data, _) in cases.items()}
    assert {name: status(answer) for name, answer in answers.items()} == {n: want for n, (_, want) in cases.items()}
    assert server.rows(*TABLES) == before
    refused = {body(answer)["type"] for name, answer in answers.items() if cases[name][1] == 401}
    assert len(refused) == 1


def test_smuggling_is_refused(server: PublicServer) -> None:
    head = b"POST /v1/notices HTTP/1.1\r\nHost: notices.host.example\r\n"
    cases = {
        "length and chunks": head + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "two hosts": head + b"Host: other.example\r\nContent-Length: 0\r\n\r\n",
        "two lengths": head + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        "unheard coding": head + b"Transfer-Encoding: sideways\r\n\r\n",
        "broken chunk": head + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        "nul in header": head + b"X: a\x00b\r\n\r\n",
        "folded header": head + b"X: a\r\n b\r\n\r\n",
        "no http": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        "bare line end": head + b"Content-Length: +2\r\n\r\n{}",
        "no host": b"POST /v1/notices HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    }
    before = server.rows(*TABLES)
    for name, data in cases.items():
        found = problem(server.exchange(data), 400)
        assert found.keys() <= {"type", "title", "status", "detail"}, name
    assert server.rows(*TABLES) == before


def test_sizes_are_bounded(server: PublicServer) -> None:
    head = b"POST /v1/notices HTTP/1.1\r\nHost: notices.host.example\r\n"
    ten_mb = head + b"Content-Length: 10485760\r\n\r\n" + b"x" * 10485760
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 2 + b"0\r\n\r\n"
    assert problem(server.exchange(ten_mb), 413)
    assert problem(server.exchange(chunked), 413)
    assert problem(server.exchange(head + b"X: " + b"a" * 100_000 + b"\r\n\r\n"), 431)
    many = b"".join(b"X-%d: %s\r\n" % (n, b"a" * 500) for n in range(80))
    assert problem(server.exchange(head + b"Content-Length: 0\r\n" + many + b"\r\n"), 431)
    assert problem(server.exchange(b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: any\r\n\r\n"), 431)


def test_signed_nonsense_is_answered_and_entered(server: PublicServer) -> None:
    many = notice_json(urls=["https://img.example.net/a.jpg"] * 10_000)
    cases = {
        b"{": 400,
        b'{"a": 1, "a": 2}': 400,
        b"[" * 100 + b"]" * 100: 400,
        b'{"notice_id": 1e999}': 400,
        b'"\xff"': 400,
        b"null": 422,
        to_bytes(many): 422,
        to_bytes(notice_json(notice_id="refused", category="terrorism")): 403,
        to_bytes(notice_json(notice_id="foreign", issuer="other")): 422,
    }
    entries, notices = server.rows("entry"), server.rows("notice")
    for content, expected in cases.items():
        assert status(server.exchange(signed(server, content))) == expected, content[:60]
    assert (server.rows("entry"), server.rows("notice")) == (entries + len(cases), notices)


def test_unfinished_body_is_no_failure(server: PublicServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as conn:
        conn.sendall(b"POST /v1/notices HTTP/1.1\r\nHost: notices.host.example\r\nContent-Length: 9\r\n\r\n{")
        conn.shutdown(socket.SHUT_WR)
        assert problem(read_response(conn), 400)


def test_processes_agree_on_what_was_taken(server: PublicServer) -> None:
    receipts = {
        server.exchange(wire(server.hotline.notice(notice_id="often"))).partition(b"\r\n\r\n")[2] for _ in range(8)
    }
    assert len(receipts) == 1


def test_many_at_once_get_one_receipt(server: PublicServer) -> None:
    requests = [wire(server.hotline.notice(notice_id="at-once")) for _ in range(24)]
    before = server.rows("notice")
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(server.exchange, requests))
    assert {status(answer) for answer in answers} == {202}
    assert len({answer.partition(b"\r\n\r\n")[2] for answer in answers}) == 1
    assert server.rows("notice") == before + 1


def test_one_request_many_times_counts_once(server: PublicServer) -> None:
    request = wire(server.hotline.notice(notice_id="replayed"))
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(server.exchange, [request] * 24))
    assert sorted({status(answer) for answer in answers}) == [202, 409]
    assert [status(answer) for answer in answers].count(202) == 1


def test_log_holds_no_url(server: PublicServer) -> None:
    server.exchange(signed(server, to_bytes(notice_json(urls=["https://img.example.net/secret"], x=1))))
    server.exchange(b"GET /https://img.example.net/secret\x01 HTTP/1.1\r\nHost: any\r\n\r\n")
    assert "secret" not in server.log()
    assert "Traceback" not in server.log()


def test_settings_are_read_again(tmp_path: Path) -> None:
    with public_server(tmp_path, origin=ORIGIN) as server:
        path = tmp_path / "config.toml"
        text = path.read_text()
        path.write_text(text.replace('terrorism = "refuse"', 'terrorism = "act"') + "\nnonsense = 1\n")
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reload.refused" in server.log(), "the bad file is refused")

        def taken(name: str) -> int:
            return status(server.exchange(wire(server.hotline.notice(notice_id=name, category="terrorism"))))

        assert taken("before") == 403
        path.write_text(text.replace('terrorism = "refuse"', 'terrorism = "act"'))
        server.process.send_signal(signal.SIGHUP)
        numbers = iter(range(10_000))
        with contextlib.suppress(ConnectionError):
            wait_until(lambda: taken(f"after-{next(numbers)}") == 202, "the new settings hold")
        os.kill(server.process.pid, 0)
