"""The server's own guards, around the smallest application there is."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.doubles.public_server import ROOT, read_response
from tests.support import free_port, wait_until

RUN = """
import pathlib, sys
from receiver.processes import gunicorn_app
gunicorn_app.REQUEST_SECONDS = 1.0
port, cert, key = sys.argv[1:]
files = {"tls_cert_file": pathlib.Path(cert), "tls_key_file": pathlib.Path(key)} if cert else {}
def app(environ, start_response):
    if environ["PATH_INFO"] == "/fail":
        raise RuntimeError("app")
    try:
        body = environ["wsgi.input"].read(100)
    except OSError:
        body = b"broken"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
def closed():
    print("closed", flush=True)
def build():
    print("built", flush=True)
    return app, closed
listen = gunicorn_app.Listen(bind=f"127.0.0.1:{port}", processes=1, threads=2, **files)
gunicorn_app.Face(listen, build=build).run()
"""


@contextlib.contextmanager
def running(folder: Path, *, cert: str = "", key: str = "") -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", RUN, str(port), cert, key], stdout=log, stderr=log, cwd=ROOT)
    try:
        wait_until(lambda: b"built" in (folder / "log").read_bytes(), "the server is built", seconds=30)
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=40)


def ask(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as conn:
        conn.sendall(data)
        return read_response(conn)


def test_slow_senders_free_their_threads(tmp_path: Path) -> None:
    with running(tmp_path) as (port, _), contextlib.ExitStack() as stack:
        for data in (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"):
            conn = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            conn.sendall(data)
        assert b"200 OK" in ask(port, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")


def test_broken_body_reaches_the_application(tmp_path: Path) -> None:
    with running(tmp_path) as (port, _):
        chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
        assert ask(port, chunked).endswith(b"broken")
        failed = ask(port, b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n")
        assert failed.startswith(b"HTTP/1.1 500")
        assert b"application/problem+json" in failed


def test_end_closes_what_was_built(tmp_path: Path) -> None:
    with running(tmp_path) as (_, process):
        pass
    assert process.returncode == 0
    assert b"closed" in (tmp_path / "log").read_bytes()


def test_tls_is_served_where_files_are_given(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    with running(tmp_path, cert=cert, key=key) as (port, _):
        context = ssl.create_default_context(cafile=cert)
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as conn,
        ):
            assert (conn.version() or "") >= "TLSv1.2"
            conn.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert read_response(conn).startswith(b"HTTP/1.1 200")


def certificate(folder: Path) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(cert.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(folder / "cert.pem"), str(folder / "key.pem")
