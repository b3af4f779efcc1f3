from __future__ import annotations

import time

import pytest

from receiver.net.guard import parse_address
from receiver.net.sockets import BudgetSocket, TooManyBytesError, connect
from tests.doubles.web_servers import Server, closed_port, dripping, mute, saying


def drain(sock: BudgetSocket, size: int) -> None:
    while sock.recv(size):
        pass


def test_reads_share_one_budget() -> None:
    with Server(dripping(b"a" * 500, seconds=0.02)) as server, connect(parse_address(server.at), seconds=1) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        sock.settimeout(0.2)
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            drain(sock, 1)
        assert time.monotonic() - started < 8
        assert 0 < sock.got_bytes < 500
        with pytest.raises(TimeoutError):
            sock.send(b"late")
        sock.settimeout(None)
        assert sock.recv(1) == b"a"


def test_writes_share_one_budget() -> None:
    with mute() as at, connect(parse_address(at), seconds=1) as sock:
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.sendall(b"a" * 50_000_000)


def test_bytes_past_limit_are_an_error() -> None:
    with Server(saying(b"a" * 100)) as server, connect(parse_address(server.at), seconds=1) as sock:
        sock.limit_bytes = 50
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(TooManyBytesError):
            drain(sock, 20)


def test_unbuffered_file_takes_no_more() -> None:
    with Server(saying(b"head\nbody")) as server, connect(parse_address(server.at), seconds=1) as sock:
        sock.unbuffered = True
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with sock.makefile("rb") as file:
            assert file.readline() == b"head\n"
        assert sock.got_bytes == 5


def test_refused_connection_raises() -> None:
    with pytest.raises(ConnectionRefusedError):
        connect(parse_address(f"127.0.0.1:{closed_port()}"), seconds=1)
