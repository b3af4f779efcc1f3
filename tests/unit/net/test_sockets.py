from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from receiver.net.guard import parse_address
from receiver.net.sockets import BudgetSocket, TooManyBytesError, connect, tls_context, wrap_tls
from tests.doubles.web_servers import Server, closed_port, dripping, make_ca, mute, saying


def drain(read: Callable[[int], bytes], size: int) -> None:
    while read(size):
        pass


def test_reads_share_one_budget() -> None:
    with Server(dripping(b"a" * 500, seconds=0.02)) as server, connect(parse_address(server.at), seconds=1) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            drain(sock.recv, 1)
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
            drain(sock.recv, 20)


HEADS = (
    b"HTTP/1.1 404 Not Found\r\nServer: one\r\nAge: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\nServer: two\n\n",
    b"HTTP/1.1 200 OK\r\nServer: both\nAge: 1\n\n",
    b"HTTP/1.1 200 OK\nServer: both\n\r\n",
    b"HTTP/1.0 200\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nOdd: \r\r\nShort:\r\n\r\n",
)


def heads_of(sock: BudgetSocket) -> IO[bytes]:
    sock.heads_only = True
    sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    sock.settimeout(20)
    file: IO[bytes] = sock.makefile("rb")
    return file


def lines_to_blank(file: IO[bytes]) -> bytes:
    lines: list[bytes] = []
    while not lines or lines[-1] not in (b"\r\n", b"\n", b""):
        lines.append(file.readline(200))
    return b"".join(lines)


@pytest.mark.parametrize("head", HEADS)
def test_head_file_leaves_body(head: bytes) -> None:
    with Server(saying(head + b"body")) as server, connect(parse_address(server.at), seconds=5) as sock:
        with heads_of(sock) as file:
            assert file.readable()
            assert lines_to_blank(file) == head
        assert sock.got_bytes == len(head)
        sock.settimeout(20)
        assert sock.recv(4) == b"body"


@pytest.mark.parametrize("head", HEADS[:3])
def test_tls_head_leaves_body(head: bytes, tmp_path: Path) -> None:
    ca_file, tls = make_ca(tmp_path, "host.example")
    with Server(saying(head + b"body"), tls=tls) as server:
        plain = connect(parse_address(server.at), seconds=5)
        sock = wrap_tls(plain, tls_context(None, ca_file), server_name="host.example", seconds=20)
        with sock, heads_of(sock) as file:
            assert lines_to_blank(file) == head
            assert sock.got_bytes == len(head)


def test_head_lines_come_in_turn() -> None:
    with Server(saying(HEADS[0] + HEADS[1])) as server, connect(parse_address(server.at), seconds=5) as sock:
        file = heads_of(sock)
        assert lines_to_blank(file) == HEADS[0]
        assert lines_to_blank(file) == HEADS[1]
        assert file.readline() == b""


def test_long_line_is_cut() -> None:
    with Server(saying(b"a" * 50 + b"\n")) as server, connect(parse_address(server.at), seconds=5) as sock:
        file = heads_of(sock)
        assert file.readline(11) == b"a" * 11
        assert file.readline() == b"a" * 39 + b"\n"


def test_dripped_head_uses_budget_up() -> None:
    dripped = dripping(b"a" * 100_000, seconds=0.01)
    with Server(dripped) as server, connect(parse_address(server.at), seconds=5) as sock:
        with heads_of(sock) as file:
            sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                file.readline()
        with pytest.raises(TimeoutError):
            sock.take(1)


def test_silent_server_uses_budget_up() -> None:
    with mute() as at, connect(parse_address(at), seconds=5) as sock:
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.take(1)


def test_taken_pieces_are_counted() -> None:
    with Server(saying(b"a" * 100)) as server, connect(parse_address(server.at), seconds=5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        sock.limit_bytes = 50
        with pytest.raises(TooManyBytesError):
            drain(sock.take, 2)


def test_piece_without_budget_waits() -> None:
    with Server(saying(b"ab")) as server, connect(parse_address(server.at), seconds=5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        sock.settimeout(None)
        assert sock.take(1) == b"a"


def test_refused_connection_raises() -> None:
    with pytest.raises(ConnectionRefusedError):
        connect(parse_address(f"127.0.0.1:{closed_port()}"), seconds=1)
