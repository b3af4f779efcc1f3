"""Which addresses may be connected to. A name is resolved once, and the caller connects to exactly what came out."""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from receiver.net.errors import SendError, SendFailure

__all__ = ["Address", "Resolver", "address_class", "parse_address", "resolve_public", "system_resolver"]

IPv4, IPv6 = ipaddress.IPv4Address, ipaddress.IPv6Address
DNS_SECONDS = 5.0
MAX_ADDRESSES = 16
MAX_WAITING_LOOKUPS = 64

PRIVATE_CLASSES = frozenset({"loopback", "private", "shared"})
"""What `allow_private` opens: inside one's own network. Nothing ever opens the others."""

_METADATA = {
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
}
"""Where clouds hand credentials to whoever asks from inside."""

_CLASSES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("unspecified", ("0.0.0.0/8", "::/128")),
    ("loopback", ("127.0.0.0/8", "::1/128")),
    ("private", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")),
    ("shared", ("100.64.0.0/10",)),
    ("link_local", ("169.254.0.0/16", "fe80::/10")),
    ("multicast", ("224.0.0.0/4", "ff00::/8")),
    ("documentation", ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")),
    ("benchmark", ("198.18.0.0/15", "2001:2::/48")),
    ("tunnel", ("2001::/32", "192.88.99.0/24", "64:ff9b:1::/48")),
    ("reserved", ("240.0.0.0/4", "192.0.0.0/24", "100::/64", "2001::/23", "5f00::/16")),
)
_NETWORKS = tuple((name, ipaddress.ip_network(net)) for name, nets in _CLASSES for net in nets)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_TRANSLATED = ipaddress.ip_network("::ffff:0:0:0/96")
_COMPATIBLE = ipaddress.ip_network("::/96")


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """One address to connect to."""

    ip: str
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.ip else socket.AF_INET

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


def parse_address(text: str) -> Address:
    """`192.0.2.7:443` or `[2001:db8::7]:443`. Raises ValueError with words for the operator."""
    ip, colon, port = text.rpartition(":")
    if ip.startswith("[") and ip.endswith("]"):
        ip = ip[1:-1]
    elif ":" in ip:
        raise ValueError("write an IPv6 address in brackets, such as [2001:db8::7]:443")
    try:
        ip = str(ipaddress.ip_address(ip))
    except ValueError as exc:
        raise ValueError("write an address and a port, such as 192.0.2.7:443; host names are not looked up") from exc
    if not (colon and port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise ValueError("the port after the address must be a number from 1 to 65535")
    return Address(ip=ip, port=int(port))


Resolver = Callable[[str, int], Sequence[str]]
"""Host and port to addresses as text. Raises OSError when the name cannot be resolved."""


def system_resolver(host: str, port: int) -> list[str]:
    """Every address the system knows for this name, IPv4 and IPv6."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(entry[4][0]) for entry in found]


def address_class(ip: str) -> str | None:
    """Why this address is not the public internet, as a word; None for a public one.

    IPv4 inside IPv6 (mapped, compatible, translated, NAT64, 6to4, ISATAP) counts as the address inside.
    """
    address = ipaddress.ip_address(ip.partition("%")[0])
    if address in _METADATA:
        return "metadata"
    for name, network in _NETWORKS:
        if address.version == network.version and address in network:
            return name
    if isinstance(address, IPv6):
        inside = _embedded(address)
        if inside is not None:
            return address_class(str(inside))
    return None if address.is_global else "reserved"


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped is not None or address.sixtofour is not None:
        return address.ipv4_mapped or address.sixtofour
    isatap = address.packed[8:12] in (b"\0\0\x5e\xfe", b"\2\0\x5e\xfe")
    if isatap or any(address in network for network in (_NAT64, _TRANSLATED, _COMPATIBLE)):
        return IPv4(address.packed[12:])
    return None


def resolve_public(
    host: str,
    port: int,
    *,
    allow_private: bool = False,
    seconds: float = DNS_SECONDS,
    resolver: Resolver = system_resolver,
) -> list[Address]:
    """The addresses of a host, in the resolver's order, each once.

    One bad address refuses the whole name: a name that answers with a public and a private address is a trap. Raises
    SendError `dns` or `refused_address`; the message names the class of the address and nothing else.
    """
    found: list[Address] = []
    for ip in dict.fromkeys(_in_time(resolver, host, port, seconds)):
        kind = address_class(ip)
        if kind is not None and not (allow_private and kind in PRIVATE_CLASSES):
            raise SendError(SendFailure.REFUSED_ADDRESS, _refusal(kind))
        found.append(Address(ip=ip, port=port))
    if not found:
        raise SendError(SendFailure.DNS, "the host name has no address; check its DNS records")
    return found[:MAX_ADDRESSES]


def _refusal(kind: str) -> str:
    words = f"the host has an address of class {kind}, which is never connected to"
    if kind in PRIVATE_CLASSES:
        words = f"the host has an address of class {kind}; allow private addresses here if that is your own network"
    return words


_WAITING = threading.BoundedSemaphore(MAX_WAITING_LOOKUPS)


def _in_time(resolver: Resolver, host: str, port: int, seconds: float) -> Sequence[str]:
    """The system's resolver cannot be interrupted, so it runs in a thread that is left behind when it is too slow."""
    waiting = _WAITING
    if not waiting.acquire(timeout=seconds):
        raise SendError(SendFailure.DNS, "too many slow DNS look-ups at once; check this machine's resolver")
    answers: queue.SimpleQueue[Sequence[str] | OSError | UnicodeError] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put(resolver(host, port))
        except (OSError, UnicodeError) as exc:
            answers.put(exc)
        finally:
            waiting.release()

    threading.Thread(target=run, name="dns", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise SendError(SendFailure.DNS, "the DNS look-up took too long; check this machine's resolver") from None
    if isinstance(answer, OSError | UnicodeError):
        raise SendError(SendFailure.DNS, "the host name does not resolve; check its DNS records") from answer
    return answer
