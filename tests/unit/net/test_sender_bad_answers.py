"""Slow, broken and oversized answers end in time, each with its kind."""

from __future__ import annotations

import gzip
import socket
import ssl
import time
from collections.abc import Callable

import pytest

from receiver.net.errors import SendError
from receiver.net.sender import GuardedSender
from tests.doubles.web_servers import Server, answer, dripping, mute, saying
from tests.unit.net.sending import OK, kind_of, post


def test_silent_peer_times_out(sender: GuardedSender) -> None:
    with mute() as at:
        assert kind_of(sender, int(at.rpartition(":")[2]), total_seconds=0.3) == "timeout"


SLOW_HEAD = dripping(answer(200, x_padding="a" * 2000), seconds=0.02)
SLOW_BODY = dripping(answer(200, b"a" * 3000), seconds=0.01)
SLOW_CHUNKS = dripping(answer(200, content_length="0").replace(b"content-length: 0", b"transfer-encoding: chunked")
                       + b"1\r\na\r\n" * 500, seconds=0.01)  # fmt: skip


@pytest.mark.parametrize("say", [SLOW_HEAD, SLOW_BODY, SLOW_CHUNKS], ids=["head", "body", "chunks"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_slow_drip_ends_in_time(
    sender: GuardedSender, authority: tuple[str, ssl.SSLContext], say: Callable[[socket.socket, bytes], None], tls: bool
) -> None:
    with Server(say, tls=authority[1] if tls else None) as server:
        assert kind_of(sender, server, total_seconds=0.6) == "timeout"


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


def test_slow_name_counts_as_time() -> None:
    def slow(_host: str, _port: int) -> list[str]:
        time.sleep(0.3)
        return ["127.0.0.1"]

    sender = GuardedSender(resolver=slow)
    with Server(OK) as server:
        assert kind_of(sender, server, total_seconds=0.05) == "dns"
    assert server.connections == 0
    sender.close()
