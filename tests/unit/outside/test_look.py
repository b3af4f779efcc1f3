from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

import pytest

from receiver.domain.status import Verdict
from receiver.domain.web import LookKind, combine
from receiver.net.guard import Address
from receiver.net.sockets import BudgetSocket
from receiver.net.sockets import connect as connect_to
from receiver.outside.look import BROWSER, OutsideLooker
from tests.doubles.web_servers import Server, answer, make_ca, saying
from tests.unit.outside.looking import GONE, connecting, notes, target

PICTURE = b"synthetic noise " * 4000


def lines(request: bytes) -> list[bytes]:
    return request.split(b"\r\n")


def test_look_asks_as_a_visitor(looker: OutsideLooker) -> None:
    with Server(GONE) as server:
        looks = looker.look(target(server, vantage="rack-7"))
    first = lines(server.requests[0])
    assert first[0] == b"GET /a.jpg HTTP/1.1"
    assert b"Host: img.example" in first
    assert b"Range: bytes=0-0" in first
    assert b"Accept-Encoding: identity" in first
    assert b"Connection: close" in first
    assert f"User-Agent: {BROWSER}".encode() in first
    assert not any(line.lower().startswith((b"cache-control", b"pragma", b"if-")) for line in first)
    assert (looks[0].status, looks[0].verdict, looks[0].vantage, looks[0].address) == (404, "gone", "rack-7", server.at)
    assert combine(looks) is Verdict.GONE


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://img.example/%7a.jpg?b=%2F&&a=1", b"/%7a.jpg?b=%2F&&a=1"),
        ("http://img.example//a//b", b"//a//b"),
        ("http://img.example/a%2Fb%e9", b"/a%2Fb%e9"),
        ("http://img.example/\u00fc?\u00fc", b"/%C3%BC?%C3%BC"),
        ("http://img.example/a/../b.jpg#f", b"/b.jpg"),
        ("http://img.example/a?", b"/a?"),
        ("http://img.example?x", b"/?x"),
        ("http://IMG.example:80/A", b"/A"),
        ('http://img.example/a|b"', b"/a|b%22"),
    ],
)
def test_target_goes_out_as_browsers_send_it(looker: OutsideLooker, url: str, asked: bytes) -> None:
    with Server(GONE) as server:
        looker.look(target(server, url=url))
    assert lines(server.requests[0])[0] == b"GET " + asked + b" HTTP/1.1"


def test_no_byte_of_body_is_read(looker: OutsideLooker) -> None:
    """What our process takes from the socket ends exactly with the head, even when head and body come together."""
    head = answer(200, content_type="image/jpeg", content_length=str(len(PICTURE)))
    sockets: list[BudgetSocket] = []
    real = connect_to

    def connect(address: Address, *, seconds: float) -> BudgetSocket:
        sockets.append(real(address, seconds=seconds))
        return sockets[-1]

    with connecting(connect), Server(saying(head + PICTURE)) as server:
        looks = looker.look(target(server, expected_size=len(PICTURE)))
    assert [look.verdict for look in looks] == ["up"]
    assert looks[0].length == len(PICTURE)
    assert [sock.got_bytes for sock in sockets] == [len(head)]
    assert all(sock.fileno() == -1 for sock in sockets)


def test_facts_of_answer_are_kept(looker: OutsideLooker) -> None:
    text = answer(206, b"s", content_range="bytes 0-0/64000", etag='"abc"', age="12", x_cache="HIT", via="1.1 v")
    with Server(saying(text)) as server:
        look = looker.look(target(server, expected_size=64_000))[0]
    assert (look.status, look.length, look.etag, look.age_seconds) == (206, 64_000, '"abc"', 12)
    assert look.edge == "x-cache=HIT; via=1.1 v"
    assert abs(look.at / 1e6 - time.time()) < 60


def test_up_ends_the_look(looker: OutsideLooker) -> None:
    with Server(saying(answer(200, b"x", content_type="image/jpeg"))) as server:
        looks = looker.look(target(server, url="http://img.example/%7a?q", any_query=True))
    assert [look.kind for look in looks] == [LookKind.EXACT]
    assert combine(looks) is Verdict.UP


def test_every_address_is_asked(looker: OutsideLooker) -> None:
    with Server(GONE) as one, Server(saying(answer(200, b"x"))) as two:
        looks = looker.look(target(one, two))
    assert [(look.address, look.verdict) for look in looks] == [(one.at, "gone"), (two.at, "up")]
    assert combine(looks) is Verdict.UP


def test_variants_follow_a_gone_url(looker: OutsideLooker) -> None:
    with Server(GONE) as server:
        looks = looker.look(target(server, url="http://img.example/%7a.jpg?v=1", any_query=True))
    assert [look.kind.value for look in looks] == ["exact", "gzip", "spelling", "no_query"]
    asked = sorted(lines(request)[0].split()[1] for request in server.requests)
    assert asked == [b"/%7a.jpg", b"/%7a.jpg?v=1", b"/%7a.jpg?v=1", b"/z.jpg?v=1"]
    assert sum(b"Accept-Encoding: gzip" in request for request in server.requests) == 1


def test_cached_variant_keeps_it_up(looker: OutsideLooker) -> None:
    def say(conn: socket.socket, request: bytes) -> None:
        conn.sendall(answer(404 if b"?v=1" in request else 200, b"x", content_type="image/jpeg"))

    with Server(say) as server:
        looks = looker.look(target(server, url="http://img.example/a.jpg?v=1", any_query=True))
        assert combine(looks) is Verdict.UP
        assert combine(looker.look(target(server, url="http://img.example/a.jpg?v=1"))) is Verdict.GONE


def test_one_look_sends_the_referrer(looker: OutsideLooker) -> None:
    def hotlink_guard(conn: socket.socket, request: bytes) -> None:
        conn.sendall(answer(200 if b"Referer: https://forum.example/t/9" in request else 404, b"x"))

    with Server(hotlink_guard) as one, Server(GONE) as two:
        looks = looker.look(target(one, two, referrer="https://forum.example/t/9"))
    assert [(look.kind.value, look.verdict) for look in looks] == [
        ("exact", "gone"),
        ("exact", "gone"),
        ("referrer", "up"),
    ]


def test_referrer_cannot_inject_headers(looker: OutsideLooker) -> None:
    with Server(GONE) as server:
        looker.look(target(server, referrer="https://forum.example/\r\nHost: evil.example\u00fc"))
    assert len(server.requests) == 3
    assert not any(b"\r\nHost: evil" in request for request in server.requests)


def test_tls_keeps_name_and_host(looker: OutsideLooker, authority: tuple[str, ssl.SSLContext]) -> None:
    with Server(GONE, tls=authority[1]) as server:
        looks = looker.look(target(server, url="https://img.example/a.jpg"))
    assert combine(looks) is Verdict.GONE
    assert server.names[0] == "img.example"
    assert b"Host: img.example\r\n" in server.requests[0]


def test_tls_head_is_all_that_is_read(looker: OutsideLooker, authority: tuple[str, ssl.SSLContext]) -> None:
    with Server(saying(answer(200, PICTURE, content_type="image/jpeg")), tls=authority[1]) as server:
        look = looker.look(target(server, url="https://img.example/a.jpg"))[0]
    assert (look.verdict, look.length) == ("up", len(PICTURE))


def test_untrusted_certificate_proves_nothing(looker: OutsideLooker, tmp_path: Path) -> None:
    _, context = make_ca(tmp_path, "img.example")
    with Server(GONE, tls=context) as server:
        assert notes(looker.look(target(server, url="https://img.example/a.jpg"))) == ["tls"]
    assert server.requests == []


def test_certificate_of_another_name_proves_nothing(tmp_path: Path) -> None:
    ca_file, context = make_ca(tmp_path, "other.example")
    looker = OutsideLooker(ca_file=ca_file)
    with Server(GONE, tls=context) as server:
        assert notes(looker.look(target(server, url="https://img.example/a.jpg"))) == ["tls"]
    looker.close()
