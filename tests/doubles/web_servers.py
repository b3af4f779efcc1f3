"""Small real servers on loopback that say exactly what a test tells them to, by the byte."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Say = Callable[[socket.socket, bytes], None]


def saying(text: bytes) -> Say:
    """Answer every request with these bytes and hang up."""
    return lambda conn, _request: conn.sendall(text)


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Words", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    if "content_length" not in headers:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def dripping(text: bytes, *, seconds: float) -> Say:
    """One byte each `seconds`, until the other side hangs up."""

    def say(conn: socket.socket, _request: bytes) -> None:
        for byte in text:
            conn.sendall(bytes([byte]))
            time.sleep(seconds)

    return say


class Server:
    """Accepts, reads one request head with its body, lets `say` answer. Keeps what it was asked."""

    def __init__(self, say: Say, *, tls: ssl.SSLContext | None = None, keep: bool = False, ip: str = "127.0.0.1"):
        self.say, self.tls, self.keep = say, tls, keep
        self.requests: list[bytes] = []
        self.names: list[str | None] = []
        self.connections = 0
        self._listener = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((ip, 0))
        self._listener.listen(64)
        self.ip = ip
        self.port = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        if tls is not None:
            tls.sni_callback = lambda _sock, name, _context: self.names.append(name)
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def at(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for conn in list(self._open):
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)
            conn.close()
        self._thread.join(5)

    def _run(self) -> None:
        while True:
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn: socket.socket) -> None:
        self._open.add(conn)
        try:
            if self.tls is not None:
                conn = self.tls.wrap_socket(conn, server_side=True)
                self._open.add(conn)
            while request := _read_request(conn):
                self.requests.append(request)
                self.say(conn, request)
                if not self.keep:
                    return
        except OSError:
            return
        finally:
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)
            conn.close()


def _read_request(conn: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = conn.recv(65_536)
        if not chunk:
            return b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.partition(b":")[2]):
                body += conn.recv(65_536)
    return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def mute() -> Iterator[str]:
    """A port that takes connections in the kernel and never says a word.

    Whoever waits for more than a minute is cut off, which is another trouble than its own patience coming to an end.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        cut = threading.Timer(60, listener.close)
        cut.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            cut.cancel()
            cut.join()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_ca(folder: Path, *names: str, valid_days: int = 1) -> tuple[str, ssl.SSLContext]:
    """A throw-away authority: its certificate file, and a server context with a certificate for the names."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    now = dt.datetime.now(dt.UTC)

    def build(subject: x509.Name, public: ec.EllipticCurvePublicKey, until: dt.datetime) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(ca_name).public_key(public)
        return (
            builder.serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=9))
            .not_valid_after(until)
        )

    far = now + dt.timedelta(days=9)
    ca = build(ca_name, ca_key.public_key(), far).add_extension(x509.BasicConstraints(True, 0), True)
    leaf_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test server")])
    alternatives = [x509.IPAddress(ipaddress.ip_address(n)) if n[-1].isdigit() else x509.DNSName(n) for n in names]
    leaf = build(leaf_name, key.public_key(), now + dt.timedelta(days=valid_days)).add_extension(
        x509.SubjectAlternativeName(alternatives), False
    )
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "ca.pem").write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    (folder / "leaf.pem").write_bytes(
        leaf.sign(ca_key, hashes.SHA256()).public_bytes(pem)
        + key.private_bytes(pem, private, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "leaf.pem")
    return str(folder / "ca.pem"), context
