"""The two addresses that we listen on: free or ours, and who can read on the way."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from receiver.cli.base import UnreachableError
from receiver.cli.checks.peers import until
from receiver.cli.findings import Finding, Level, fail, ok, warn
from receiver.cli.local_http import ask, base_url
from receiver.config import Config
from receiver.domain.clock import SystemClock

ANSWER_SECONDS = 3.0


def ask_listening(config: Config) -> Iterator[Finding]:
    server = config.server
    tls = server.tls_cert_file is not None
    faces = (("public_bind", server.public_bind, "/readyz"), ("admin_bind", server.admin_bind, "/healthz"))
    for setting, bind, path in faces:
        about = f"server.{setting}"
        own_tls = tls and setting == "public_bind"
        yield replace(_ask_bind(about, bind, path, tls=own_tls), setting=about)
        yield replace(_ask_reach(about, bind, tls=own_tls), setting=about)
    if server.tls_cert_file is not None and server.tls_key_file is not None:
        yield from _ask_certificate(config)


def _ask_bind(about: str, bind: str, path: str, *, tls: bool) -> Finding:
    try:
        _try_bind(bind)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _whose(about, bind, path, tls=tls)
        words = {errno.EADDRNOTAVAIL: "is no address of this machine", errno.EACCES: "is kept for root"}
        return fail("N01", about, f"{bind} {words.get(error.errno or 0, 'cannot be listened on')} ({error.strerror})")
    return ok("N01", about, f"{bind} is free")


def _try_bind(bind: str) -> None:
    """Takes the address for a moment. Raises OSError; EADDRINUSE where somebody has it."""
    if bind.startswith("unix:"):
        path = bind.removeprefix("unix:")
        if os.path.exists(path):
            raise OSError(errno.EADDRINUSE, "in use")
        if not os.access(os.path.dirname(path) or ".", os.W_OK):
            raise OSError(errno.ENOENT, "its folder cannot be written")
        return
    host, _, port = bind.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((bare, int(port)))


def _whose(about: str, bind: str, path: str, *, tls: bool) -> Finding:
    try:
        answer = ask(base_url(bind, tls=tls), "GET", path, seconds=ANSWER_SECONDS, own_certificate=True)
    except UnreachableError:
        return fail("N01", about, f"something else listens on {bind} and does not answer as we do")
    if answer.status == 200:
        return ok("N01", about, f"we answer on {bind}")
    if answer.status == 503:
        return fail("N01", about, f"we answer on {bind} that nothing can be recorded now")
    return fail("N01", about, f"something else listens on {bind}", status=answer.status)


def _ask_reach(about: str, bind: str, *, tls: bool) -> Finding:
    if bind.startswith("unix:"):
        return ok("N02", about, "a socket of this machine")
    bare = bind.rpartition(":")[0].removeprefix("[").removesuffix("]")
    if bare == "localhost" or ipaddress.ip_address(bare).is_loopback:
        return ok("N02", about, "reached from this machine alone")
    if tls:
        return ok("N02", about, "reached from the network, over TLS")
    everywhere = " on every address of this machine" if ipaddress.ip_address(bare).is_unspecified else ""
    return warn("N02", about, f"reached from the network{everywhere}, without TLS")


def _ask_certificate(config: Config) -> Iterator[Finding]:
    cert, key = config.server.tls_cert_file, config.server.tls_key_file
    assert cert is not None
    about = "server.tls_cert_file"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
        found = x509.load_pem_x509_certificates(cert.read_bytes())[0]
    except (OSError, ValueError, UnsupportedAlgorithm):
        yield fail("N03", about, "certificate and key cannot be read, or do not belong together")
        return
    yield until(about, "N03", found.not_valid_after_utc, SystemClock().now())
    names = _names(found)
    for origin in config.server.public_origins:
        host = urlsplit(origin).hostname or ""
        if not any(_covers(name, host) for name in names):
            yield Finding(id="N03", about=about, level=Level.FAIL, words=f"the certificate is not for {host}")


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def _covers(name: str, host: str) -> bool:
    if name.startswith("*."):
        return host.partition(".")[2] == name[2:].lower()
    return name.lower() == host
