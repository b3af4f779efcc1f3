"""What `check` asks of a peer: does the name resolve to where we may go, who answers, until when, and at what time."""

from __future__ import annotations

import datetime as dt
import email.utils
import ssl
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from receiver.domain.web import DEFAULT_PORTS
from receiver.net.errors import SendError, SendFailure
from receiver.net.guard import Address, Resolver, resolve_public, system_resolver
from receiver.net.sockets import BudgetSocket, connect, tls_context, wrap_tls

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 5.0
MAX_HEAD_BYTES = 16_384
_WHY = {
    10: "has ended",
    18: "is signed by itself",
    19: "is signed by an authority that we do not know",
    20: "is signed by an authority that we do not know",
    62: "is for another name",
}
"""OpenSSL's verify codes, in words."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    addresses: int
    connect_ms: float
    tls_ms: float | None
    """None over plain http."""
    certificate_ends_at: dt.datetime | None
    said_at: dt.datetime | None
    """Its own clock, where it told one."""


def peek(
    url: str, *, allow_private: bool = False, ca_file: str | None = None, resolver: Resolver = system_resolver
) -> Peer:
    """Resolve, shake hands, ask for the time; nothing is handed over. Raises SendError, which names no address."""
    parts = urlsplit(url)
    host, https = parts.hostname or "", parts.scheme == "https"
    port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    addresses = resolve_public(host, port, allow_private=allow_private, resolver=resolver)
    began = time.monotonic()
    sock = _connected(addresses)
    connect_ms = (time.monotonic() - began) * 1000
    try:
        tls_ms, ends_at = None, None
        if https:
            began = time.monotonic()
            sock, ends_at = _wrapped(sock, ca_file, host)
            tls_ms = (time.monotonic() - began) * 1000
        said_at = _asked_time(sock, host)
    finally:
        sock.close()
    return Peer(
        addresses=len(addresses),
        connect_ms=connect_ms,
        tls_ms=tls_ms,
        certificate_ends_at=ends_at,
        said_at=said_at,
    )


def _connected(addresses: list[Address]) -> BudgetSocket:
    for address in addresses:
        try:
            return connect(address, seconds=CONNECT_SECONDS)
        except OSError:
            continue
    raise SendError(SendFailure.CONNECT, "the other side does not take connections")


def _wrapped(sock: BudgetSocket, ca_file: str | None, host: str) -> tuple[BudgetSocket, dt.datetime]:
    try:
        wrapped = wrap_tls(
            sock, tls_context(ca_file, DEFAULT_CA_BUNDLE_PATH), server_name=host, seconds=CONNECT_SECONDS
        )
    except ssl.SSLCertVerificationError as error:
        why = _WHY.get(error.verify_code, "is not in order")
        raise SendError(SendFailure.TLS, f"the other side's certificate {why}") from None
    except TimeoutError:
        raise SendError(SendFailure.TIMEOUT, "the other side did not answer in time") from None
    except (OSError, ValueError):
        raise SendError(SendFailure.TLS, "the other side does not speak TLS as we do") from None
    ends = (wrapped.getpeercert() or {}).get("notAfter")
    return wrapped, dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(str(ends)), dt.UTC)


def _asked_time(sock: BudgetSocket, host: str) -> dt.datetime | None:
    """The Date header of whatever it answers to a HEAD of `/`; that it answers nothing of use is no fault."""
    shown = f"[{host}]" if ":" in host else host
    try:
        sock.settimeout(ANSWER_SECONDS)
        sock.sendall(f"HEAD / HTTP/1.1\r\nHost: {shown}\r\nConnection: close\r\n\r\n".encode("ascii", "replace"))
        head = b""
        while b"\r\n\r\n" not in head and len(head) < MAX_HEAD_BYTES:
            more = sock.recv(4096)
            if not more:
                break
            head += more
    except OSError:
        return None
    for line in head.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"date":
            return _date(value.decode("ascii", "replace").strip())
    return None


def _date(text: str) -> dt.datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo else None
