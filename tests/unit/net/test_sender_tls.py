"""The peer proves its name, or nothing is sent."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from receiver.net.errors import SendError
from receiver.net.sender import GuardedSender
from tests.doubles.web_servers import Server, make_ca, mute, saying
from tests.unit.net.sending import OK, kind_of, loopback, post


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
    with mute() as at, pytest.raises(SendError) as caught:
        sender.get(f"https://peer.example:{at.rpartition(':')[2]}/", allow_private=True, connect_seconds=0.2)
    assert caught.value.kind == "timeout"
