"""What `check` learns of a peer, and in which words it fails."""

from __future__ import annotations

import datetime as dt
import socket
import ssl

import pytest

from receiver.net.errors import SendError, SendFailure
from receiver.net.peek import Peer, _date, peek
from tests.doubles.web_servers import Server, closed_port, make_ca, saying

DATED = saying(b"HTTP/1.1 405 No\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\nContent-Length: 0\r\n\r\n")
UNDATED = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: soon\r\n\r\n")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ssl.SSLContext]:
    return make_ca(tmp_path_factory.mktemp("ca"), "peer.example")


def look(url: str, *, ca_file: str | None = None, allow_private: bool = True, ip: str = "127.0.0.1") -> Peer:
    return peek(url, allow_private=allow_private, ca_file=ca_file, resolver=lambda _host, _port: [ip])


def test_peer_tells_certificate_and_time(authority: tuple[str, ssl.SSLContext]) -> None:
    ca_file, context = authority
    with Server(DATED, tls=context) as server:
        peer = look(f"https://peer.example:{server.port}/secret?token=1", ca_file=ca_file)
        assert b"secret" not in server.requests[0]
    assert peer.said_at == dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)
    assert peer.certificate_ends_at is not None
    assert peer.certificate_ends_at > dt.datetime.now(dt.UTC)
    assert peer.tls_ms is not None


def test_plain_http_tells_no_certificate() -> None:
    with Server(UNDATED) as server:
        peer = look(f"http://peer.example:{server.port}/cb")
    assert (peer.certificate_ends_at, peer.tls_ms, peer.said_at, peer.addresses) == (None, None, None, 1)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://peer.example:{closed}/s3cret", SendFailure.CONNECT),
        ("https://other.example:{tls}/s3cret", SendFailure.TLS),
    ],
)
def test_failures_are_named_without_addresses(
    authority: tuple[str, ssl.SSLContext], url: str, kind: SendFailure
) -> None:
    ca_file, context = authority
    with Server(DATED, tls=context) as tls, pytest.raises(SendError) as caught:
        look(url.format(closed=closed_port(), tls=tls.port), ca_file=ca_file)
    assert caught.value.kind is kind
    assert "s3cret" not in str(caught.value)


def test_an_unknown_authority_is_said(authority: tuple[str, ssl.SSLContext]) -> None:
    with Server(DATED, tls=authority[1]) as server, pytest.raises(SendError, match="authority that we do not know"):
        look(f"https://peer.example:{server.port}/")


def test_a_silent_server_is_late_not_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receiver.net.peek.CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SendError) as caught:
        look(f"https://peer.example:{silent.getsockname()[1]}/")
    assert caught.value.kind is SendFailure.TIMEOUT


def test_private_addresses_are_not_visited() -> None:
    with Server(DATED) as server, pytest.raises(SendError) as caught:
        look(f"http://peer.example:{server.port}/", allow_private=False)
    assert caught.value.kind is SendFailure.REFUSED_ADDRESS
    assert server.requests == []


@pytest.mark.parametrize(
    "told", ["Mon, 01 Jan 99999999999999999999 00:00:00 +0000", "Mon, 01 Jan 2020 00:00:00 +9999999999999999", "x"]
)
def test_dates_beyond_all_time_are_no_date(told: str) -> None:
    assert _date(told) is None
