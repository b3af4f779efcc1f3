from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from receiver.domain.ports import SentResponse
from receiver.net.errors import SendError
from receiver.net.sender import GuardedSender
from tests.doubles.web_servers import Server, answer, closed_port, dripping, make_ca, mute, saying

OK = saying(answer(200, b"thanks"))


def loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ssl.SSLContext]:
    return make_ca(tmp_path_factory.mktemp("ca"), "peer.example", "127.0.0.1")


@pytest.fixture
def sender(authority: tuple[str, ssl.SSLContext]) -> Iterator[GuardedSender]:
    made = GuardedSender(ca_file=authority[0], resolver=loopback)
    yield made
    made.close()


def post(sender: GuardedSender, server: Server | int, path: str = "/cb?x=1", **more: Any) -> SentResponse:
    port = server if isinstance(server, int) else server.port
    scheme = "https" if isinstance(server, Server) and server.tls else "http"
    more.setdefault("allow_private", True)
    more.setdefault("headers", {"content-type": "application/json"})
    return sender.post(f"{scheme}://peer.example:{port}{path}", body=b'{"a": 1}', **more)


def kind_of(sender: GuardedSender, server: Server | int, **more: Any) -> str:
    with pytest.raises(SendError) as caught:
        post(sender, server, "/secret-path", **more)
    shown: BaseException | None = caught.value
    while shown is not None:
        assert "secret-path" not in str(shown)
        shown = shown.__cause__
    return caught.value.kind


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


def test_private_address_is_refused(sender: GuardedSender) -> None:
    with Server(OK) as server:
        assert kind_of(sender, server, allow_private=False) == "refused_address"
    assert server.connections == 0


def test_name_is_resolved_once() -> None:
    """A name that turns private after the check (rebinding) gains nothing: the checked address is the one used."""
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    sender = GuardedSender(resolver=rebinding)
    with Server(OK) as server:
        assert post(sender, server).status == 200
        assert asked == ["peer.example"]
        assert kind_of(sender, server) == "refused_address"
    sender.close()


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


def test_tls_proves_the_name(sender: GuardedSender, authority: tuple[str, ssl.SSLContext]) -> None:
    with Server(OK, tls=authority[1]) as server:
        assert post(sender, server).status == 200
        assert post(sender, server).status == 200
    assert server.names[0] == "peer.example"


def test_wrong_name_is_tls_error(sender: GuardedSender, tmp_path: Path) -> None:
    ca_file, context = make_ca(tmp_path, "other.example")
    strict = GuardedSender(ca_file=ca_file, resolver=loopback)
    with Server(OK, tls=context) as server:
        assert kind_of(strict, server) == "tls"
        assert kind_of(sender, server) == "tls"
    assert server.requests == []
    strict.close()


def test_expired_certificate_is_tls_error(tmp_path: Path) -> None:
    ca_file, context = make_ca(tmp_path, "peer.example", valid_days=-1)
    strict = GuardedSender(ca_file=ca_file, resolver=loopback)
    with Server(OK, tls=context) as server:
        assert kind_of(strict, server) == "tls"
    strict.close()


def test_plain_server_on_tls_port_fails(sender: GuardedSender) -> None:
    with Server(saying(b"SSH-2.0-x\r\n")) as server, pytest.raises(SendError) as caught:
        sender.get(f"https://peer.example:{server.port}/", allow_private=True, total_seconds=0.5)
    assert caught.value.kind in ("tls", "timeout")


def test_silent_handshake_ends_in_time(sender: GuardedSender) -> None:
    started = time.monotonic()
    with mute() as at, pytest.raises(SendError) as caught:
        sender.get(f"https://peer.example:{at.rpartition(':')[2]}/", allow_private=True, connect_seconds=0.2)
    assert caught.value.kind == "timeout"
    assert time.monotonic() - started < 10


def test_closed_port_is_connect_error(sender: GuardedSender) -> None:
    assert kind_of(sender, closed_port()) == "connect"


def test_next_address_is_tried() -> None:
    with Server(OK) as server:
        both = GuardedSender(resolver=lambda _h, _p: ["127.0.0.2", "127.0.0.1"])
        sent = post(both, server)
        both.close()
    assert sent.address == f"127.0.0.1:{server.port}"


def test_silent_peer_times_out(sender: GuardedSender) -> None:
    started = time.monotonic()
    with mute() as at:
        assert kind_of(sender, int(at.rpartition(":")[2]), total_seconds=0.3) == "timeout"
    assert time.monotonic() - started < 10


SLOW_HEAD = dripping(answer(200, x_padding="a" * 2000), seconds=0.02)
SLOW_BODY = dripping(answer(200, b"a" * 3000), seconds=0.01)
SLOW_CHUNKS = dripping(answer(200, content_length="0").replace(b"content-length: 0", b"transfer-encoding: chunked")
                       + b"1\r\na\r\n" * 500, seconds=0.01)  # fmt: skip


@pytest.mark.parametrize("say", [SLOW_HEAD, SLOW_BODY, SLOW_CHUNKS], ids=["head", "body", "chunks"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_slow_drip_ends_in_time(
    sender: GuardedSender, authority: tuple[str, ssl.SSLContext], say: Callable[[socket.socket, bytes], None], tls: bool
) -> None:
    started = time.monotonic()
    with Server(say, tls=authority[1] if tls else None) as server:
        assert kind_of(sender, server, total_seconds=0.6) == "timeout"
    assert time.monotonic() - started < 10


def test_peer_that_takes_no_body_times_out(sender: GuardedSender) -> None:
    with mute() as at, pytest.raises(SendError) as caught:
        sender.post(
            f"http://peer.example:{at.rpartition(':')[2]}/",
            headers={},
            body=b"a" * 30_000_000,
            allow_private=True,
            connect_seconds=0.3,
            total_seconds=0.6,
        )
    assert caught.value.kind in ("timeout", "protocol")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 999999 x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000,
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["nothing", "garbage", "status", "many_headers", "long_header", "short_body", "bad_chunk"],
)
def test_broken_answer_is_protocol_error(sender: GuardedSender, text: bytes) -> None:
    with Server(saying(text)) as server:
        assert kind_of(sender, server) == "protocol"


def test_reset_after_answer_line_fails(sender: GuardedSender) -> None:
    def reset(conn: socket.socket, _request: bytes) -> None:
        conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with Server(reset) as server:
        assert kind_of(sender, server) == "protocol"


def test_long_answer_to_post_is_cut(sender: GuardedSender) -> None:
    with Server(saying(answer(200, b"a" * 200_000))) as server:
        assert len(post(sender, server, max_response_bytes=1000).body) == 1000


def test_long_answer_to_get_is_refused(sender: GuardedSender) -> None:
    with Server(saying(answer(200, b"a" * 1001)), keep=True) as server:
        url = f"http://peer.example:{server.port}/jwks"
        assert len(sender.get(url, allow_private=True, max_response_bytes=1001).body) == 1001
        with pytest.raises(SendError) as caught:
            sender.get(url, allow_private=True, max_response_bytes=1000)
    assert caught.value.kind == "too_large"


def test_compressed_answer_stays_compressed(sender: GuardedSender) -> None:
    bomb = gzip.compress(b"a" * 10_000_000)
    with Server(saying(answer(200, bomb, content_encoding="gzip"))) as server:
        assert post(sender, server).body == bomb


@pytest.mark.parametrize(
    "url",
    ["ftp://peer.example/", "file:///etc/hosts", "gopher://peer.example/", "peer.example", "http://", "http://[::1/"],
)
def test_other_schemes_are_refused(sender: GuardedSender, url: str) -> None:
    with pytest.raises(SendError) as caught:
        sender.post(url, headers={}, body=b"", allow_private=True)
    assert caught.value.kind == "protocol"


def test_user_in_address_is_refused(sender: GuardedSender) -> None:
    with pytest.raises(SendError, match="user name"):
        sender.get("http://u:p@peer.example/", allow_private=True)


def test_header_injection_is_refused(sender: GuardedSender) -> None:
    with pytest.raises(SendError) as caught:
        sender.post("http://peer.example/", headers={"x": "a\r\nb: c"}, body=b"", allow_private=True)
    assert caught.value.kind == "protocol"


def test_slow_name_counts_as_time() -> None:
    def slow(_host: str, _port: int) -> list[str]:
        time.sleep(0.3)
        return ["127.0.0.1"]

    sender = GuardedSender(resolver=slow)
    with Server(OK) as server:
        assert kind_of(sender, server, total_seconds=0.05) == "dns"
    assert server.connections == 0
    sender.close()
