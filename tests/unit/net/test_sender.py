"""A request goes out as it was made, and every answer comes back as it was given."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import requests

from receiver.net.sender import GuardedSender
from tests.doubles.web_servers import Server, answer, closed_port, saying
from tests.unit.net.sending import OK, kind_of, post


def test_post_goes_out_whole(sender: GuardedSender) -> None:
    with Server(OK) as server:
        sent = post(sender, server)
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert (sent.status, sent.body, sent.address) == (200, b"thanks", f"127.0.0.1:{server.port}")
    assert head.startswith(b"POST /cb?x=1 HTTP/1.1\r\n")
    assert f"Host: peer.example:{server.port}".encode() in head
    assert head.lower().count(b"host:") == 1
    assert b"Accept-Encoding: identity" in head
    assert body == b'{"a": 1}'


def test_environment_is_not_looked_at(sender: GuardedSender, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine peer.example login u password p\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    with Server(OK) as server:
        assert post(sender, server).status == 200
    assert b"authorization" not in server.requests[0].lower()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_comes_back_unfollowed(sender: GuardedSender, status: int) -> None:
    with Server(OK) as other, Server(saying(answer(status, location=f"http://127.0.0.1:{other.port}/"))) as server:
        sent = post(sender, server)
        assert (sent.status, other.connections) == (status, 0)
        assert sent.headers["location"].startswith("http://")


@pytest.mark.parametrize("status", [204, 400, 410, 429, 503])
def test_every_status_is_an_answer(sender: GuardedSender, status: int) -> None:
    with Server(saying(answer(status, retry_after="7"))) as server:
        sent = post(sender, server)
    assert (sent.status, sent.headers["retry-after"]) == (status, "7")


def test_signer_sees_request_as_sent(sender: GuardedSender) -> None:
    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        assert request.body == b'{"a": 1}'
        request.headers["Signature"] = f"{request.method} {request.url}"
        return request

    with Server(OK) as server:
        post(sender, server, auth=sign)
    assert f"Signature: POST http://peer.example:{server.port}/cb?x=1".encode() in server.requests[0]


def test_connection_is_kept_alive(sender: GuardedSender) -> None:
    with Server(OK, keep=True) as server:
        for _ in range(5):
            assert post(sender, server).status == 200
    assert (server.connections, len(server.requests)) == (1, 5)


def test_many_threads_share_sender(sender: GuardedSender) -> None:
    statuses: list[int] = []
    with Server(OK, keep=True) as server:
        threads = [
            threading.Thread(target=lambda: statuses.extend(post(sender, server).status for _ in range(10)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 80


def test_closed_port_is_connect_error(sender: GuardedSender) -> None:
    assert kind_of(sender, closed_port()) == "connect"


def test_next_address_is_tried() -> None:
    with Server(OK) as server:
        both = GuardedSender(resolver=lambda _h, _p: ["127.0.0.2", "127.0.0.1"])
        sent = post(both, server)
        both.close()
    assert sent.address == f"127.0.0.1:{server.port}"
