"""Looks that prove nothing: slow, closed, broken, redirected, unresolved."""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import replace

import pytest

from receiver.domain.status import Verdict
from receiver.domain.web import NO_ROUTE, Look, Seen, combine
from receiver.net.guard import Address
from receiver.net.sockets import BudgetSocket
from receiver.net.sockets import connect as connect_to
from receiver.outside.look import OutsideLooker
from tests.doubles.web_servers import Server, answer, closed_port, dripping, mute, saying
from tests.unit.outside.looking import GONE, connecting, notes, target

SLOW = dripping(answer(404, x_padding="a" * 2000), seconds=0.02)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_slow_drip_is_inconclusive(hasty: OutsideLooker, authority: tuple[str, ssl.SSLContext], tls: bool) -> None:
    with Server(SLOW, tls=authority[1] if tls else None) as server:
        looks = hasty.look(target(server, url=f"{'https' if tls else 'http'}://img.example/a.jpg"))
    assert (notes(looks), combine(looks)) == (["timeout"], Verdict.INCONCLUSIVE)


def test_silent_server_is_inconclusive(hasty: OutsideLooker) -> None:
    with mute() as at:
        assert notes(hasty.look(target(at))) == ["timeout"]
        assert notes(hasty.look(target(at, url="https://img.example/a.jpg"))) == ["timeout"]


def test_closed_port_is_inconclusive(looker: OutsideLooker) -> None:
    looks = looker.look(target(f"127.0.0.1:{closed_port()}"))
    assert (notes(looks), combine(looks)) == (["connect"], Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (b"", "protocol"),
        (b"garbage\r\n\r\n", "protocol"),
        (b"HTTP/1.1 404\r\n" + b"x: y\r\n" * 300 + b"\r\n", "protocol"),
        (b"HTTP/1.1 404 Gone\r\n" + (b"x: " + b"a" * 9000 + b"\r\n") * 9 + b"\r\n", "long_head"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 5000, "long_head"),
        (b"HTTP/1.1 404 " + b"a" * 70_000, "long_head"),
    ],
    ids=["nothing", "garbage", "many_headers", "long_headers", "endless_100", "long_status"],
)
def test_broken_answer_is_inconclusive(looker: OutsideLooker, text: bytes, note: str) -> None:
    with Server(saying(text)) as server:
        looks = looker.look(target(server))
    assert (notes(looks), combine(looks)) == ([note], Verdict.INCONCLUSIVE)


def test_redirect_is_not_followed(looker: OutsideLooker) -> None:
    with Server(GONE) as other, Server(saying(answer(302, location=f"http://127.0.0.1:{other.port}/"))) as server:
        looks = looker.look(target(server))
        assert other.connections == 0
    assert [(look.note, look.location_host) for look in looks] == [("moved", "127.0.0.1")]


def test_private_address_needs_look_at(looker: OutsideLooker) -> None:
    with Server(GONE) as server:
        private = OutsideLooker(resolver=lambda _h, _p: ["127.0.0.1"])
        looks = private.look(replace(target(server), look_at=(), port=server.port))
        private.close()
    assert (notes(looks), looks[0].address, server.connections) == (["refused_address"], "", 0)


@pytest.mark.parametrize("at", ["169.254.169.254:80", "224.0.0.1:80", "0.0.0.0:80", "[::ffff:169.254.169.254]:80"])
def test_look_at_never_opens_metadata(looker: OutsideLooker, at: str) -> None:
    assert notes(looker.look(target(at))) == ["refused_address"]


def test_unknown_name_is_inconclusive() -> None:
    def fail(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    looker = OutsideLooker(resolver=fail)
    looks = looker.look(target())
    looker.close()
    assert (notes(looks), combine(looks)) == (["dns"], Verdict.INCONCLUSIVE)


def test_other_scheme_is_looked_at(authority: tuple[str, ssl.SSLContext]) -> None:
    """Whole sites that send http on to https: the https answer decides. Loopback stands for a public address."""
    say = saying(answer(301, location="https://img.example/a.jpg"))
    with Server(say) as plain, Server(GONE, tls=authority[1]) as tls:
        ports = {80: plain.port, 443: tls.port}
        real = connect_to

        def connect(address: Address, *, seconds: float) -> BudgetSocket:
            assert address.ip == "8.8.8.8"
            return real(Address(ip="127.0.0.1", port=ports[address.port]), seconds=seconds)

        looker = OutsideLooker(ca_file=authority[0], resolver=lambda _h, _p: ["8.8.8.8"])
        with connecting(connect):
            looks = looker.look(target())
        looker.close()
    assert [(look.kind.value, look.verdict, look.address) for look in looks] == [
        ("exact", "inconclusive", "8.8.8.8:80"),
        ("gzip", "inconclusive", "8.8.8.8:80"),
        ("scheme", "gone", "8.8.8.8:443"),
    ]
    assert combine(looks) is Verdict.GONE


def test_machine_without_ipv6_says_so() -> None:
    def connect(address: Address, *, seconds: float) -> BudgetSocket:
        raise OSError(errno.ENETUNREACH, f"unreachable within {seconds}: {address}")

    looker = OutsideLooker(resolver=lambda _h, _p: ["2606:4700::1", "8.8.8.8"])
    with connecting(connect):
        looks = looker.look(target())
    looker.close()
    assert notes(looks) == [NO_ROUTE, "connect"]


def test_ipv6_address_is_asked(looker: OutsideLooker) -> None:
    with Server(GONE, ip="::1") as server:
        looks = looker.look(target(server))
    assert (looks[0].address, combine(looks)) == (server.at, Verdict.GONE)


@pytest.mark.parametrize("url", ["http://", "http://other scheme", "https://img.example/", "http://\ud800"])
def test_unreadable_url_is_inconclusive(looker: OutsideLooker, url: str) -> None:
    looks = looker.look(replace(target("127.0.0.1:1"), url=url))
    assert notes(looks) == ["unreadable_url"]


def test_url_is_in_no_repr() -> None:
    assert "img" not in repr(target())
    assert "img" not in repr(Look(address="", status=None, at=0, vantage="", verdict=Seen.GONE))
