from __future__ import annotations

import ipaddress
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.net import guard
from receiver.net.errors import SendError
from receiver.net.guard import Address, address_class, parse_address, resolve_public

CLASSES = [
    ("0.0.0.0", "unspecified"),
    ("0.1.2.3", "unspecified"),
    ("::", "unspecified"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("::1", "loopback"),
    ("10.0.0.1", "private"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.168.1.1", "private"),
    ("fc00::1", "private"),
    ("fd12:3456::1", "private"),
    ("fec0::1", "private"),
    ("100.64.0.1", "shared"),
    ("100.127.255.255", "shared"),
    ("169.254.1.1", "link_local"),
    ("fe80::1", "link_local"),
    ("fe80::1%eth0", "link_local"),
    ("febf::1", "link_local"),
    ("169.254.169.254", "metadata"),
    ("169.254.170.2", "metadata"),
    ("168.63.129.16", "metadata"),
    ("100.100.100.200", "metadata"),
    ("fd00:ec2::254", "metadata"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("ff02::1", "multicast"),
    ("192.0.2.1", "documentation"),
    ("198.51.100.1", "documentation"),
    ("203.0.113.1", "documentation"),
    ("2001:db8::1", "documentation"),
    ("3fff::1", "documentation"),
    ("198.18.0.1", "benchmark"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "reserved"),
    ("192.0.0.1", "reserved"),
    ("100::1", "reserved"),
    ("5f00::1", "reserved"),
    ("2001::1", "tunnel"),
    ("192.88.99.1", "tunnel"),
    ("64:ff9b:1::1", "tunnel"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:10.0.0.1", "private"),
    ("::ffff:169.254.169.254", "metadata"),
    ("::ffff:8.8.8.8", None),
    ("::7f00:1", "loopback"),
    ("::ffff:0:10.0.0.1", "private"),
    ("64:ff9b::127.0.0.1", "loopback"),
    ("64:ff9b::a9fe:a9fe", "metadata"),
    ("64:ff9b::8.8.8.8", None),
    ("2002:7f00:1::", "loopback"),
    ("2002:c0a8:101::1", "private"),
    ("2606:4700::5efe:10.0.0.1", "private"),
    ("2606:4700::200:5efe:127.0.0.1", "loopback"),
    ("8.8.8.8", None),
    ("172.15.255.255", None),
    ("172.32.0.1", None),
    ("100.63.255.255", None),
    ("100.128.0.1", None),
    ("169.253.255.255", None),
    ("2606:4700::1111", None),
    ("2a00:1450:4001::1", None),
]


@pytest.mark.parametrize(("ip", "kind"), CLASSES)
def test_address_has_its_class(ip: str, kind: str | None) -> None:
    assert address_class(ip) == kind


@given(st.ip_addresses())
def test_only_global_addresses_are_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if address_class(str(address)) is None:
        inside = getattr(address, "ipv4_mapped", None)
        assert address.is_global or inside is not None
        assert not address.is_multicast


@pytest.mark.parametrize("ip", [ip for ip, kind in CLASSES if kind is not None])
def test_name_with_bad_address_is_refused(ip: str) -> None:
    with pytest.raises(SendError) as caught:
        resolve_public("host.example", 443, resolver=lambda _h, _p: ["8.8.8.8", ip])
    assert caught.value.kind == "refused_address"
    assert str(address_class(ip)) in str(caught.value)
    assert ip not in str(caught.value)
    assert "host.example" not in str(caught.value)


@pytest.mark.parametrize(("ip", "kind"), CLASSES)
def test_allowing_private_opens_no_more(ip: str, kind: str | None) -> None:
    def resolve() -> list[Address]:
        return resolve_public("host.example", 443, allow_private=True, resolver=lambda _h, _p: [ip])

    if kind in (None, "loopback", "private", "shared"):
        assert resolve() == [Address(ip=ip, port=443)]
    else:
        with pytest.raises(SendError):
            resolve()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "017700000001", "0", "::1", "::ffff:127.0.0.1"]
)
def test_disguised_loopback_is_refused(host: str) -> None:
    """What the system's own resolver makes of these, where it takes them at all."""
    with pytest.raises(SendError) as caught:
        resolve_public(host, 80)
    assert caught.value.kind in ("refused_address", "dns")


def test_addresses_come_once_in_order() -> None:
    found = resolve_public("h", 80, resolver=lambda _h, _p: ["2606:4700::1", "8.8.8.8", "2606:4700::1"])
    assert [str(address) for address in found] == ["[2606:4700::1]:80", "8.8.8.8:80"]
    assert [address.family for address in found] == [socket.AF_INET6, socket.AF_INET]


def test_number_of_addresses_is_bounded() -> None:
    found = resolve_public("h", 80, resolver=lambda _h, _p: [f"8.8.{n}.8" for n in range(100)])
    assert len(found) == 16


def test_unknown_name_is_dns_error() -> None:
    def fail(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(SendError) as caught:
        resolve_public("h", 80, resolver=fail)
    assert caught.value.kind == "dns"


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example", ""])
def test_impossible_name_is_dns_error(host: str) -> None:
    with pytest.raises(SendError) as caught:
        resolve_public(host, 80)
    assert caught.value.kind in ("dns", "refused_address")


def test_no_address_is_dns_error() -> None:
    with pytest.raises(SendError) as caught:
        resolve_public("h", 80, resolver=lambda _h, _p: [])
    assert caught.value.kind == "dns"


def test_slow_resolver_is_left_behind() -> None:
    stop = threading.Event()

    def slow(_host: str, _port: int) -> list[str]:
        stop.wait(60)
        return ["8.8.8.8"]

    with pytest.raises(SendError, match="took too long") as caught:
        resolve_public("h", 80, seconds=0.1, resolver=slow)
    stop.set()
    assert caught.value.kind == "dns"


def test_stuck_resolvers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look-up left behind holds a thread; beyond the limit there are no more of them, and the sender says why."""
    monkeypatch.setattr(guard, "_WAITING", threading.BoundedSemaphore(1))
    stop, left = threading.Event(), threading.Event()

    def stuck(_host: str, _port: int) -> list[str]:
        stop.wait(60)
        left.set()
        return []

    with pytest.raises(SendError, match="took too long"):
        resolve_public("h", 80, seconds=0.1, resolver=stuck)
    with pytest.raises(SendError, match="too many slow DNS"):
        resolve_public("h", 80, seconds=0.1, resolver=stuck)
    stop.set()
    assert left.wait(60)


@pytest.mark.parametrize("text", ["192.0.2.7:443", "[2001:db8::7]:443"])
def test_address_and_port_are_read(text: str) -> None:
    assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    "text", ["", "192.0.2.7", "192.0.2.7:", "192.0.2.7:0", "192.0.2.7:65536", "h.example:80", "2001:db8::7:443", ":80"]
)
def test_bad_address_is_a_mistake(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|port"):
        parse_address(text)
