"""The guarded client, against a server that misbehaves in each way."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import logging
import pickle
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.contract import AdapterError, Denied, Retryable
from adapters.http import HttpLimits, HttpSession, Secret, read_secret, retry_after_seconds
from tests.support import free_port


class Vendor(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: VendorServer

    def do_GET(self) -> None:
        self.server.seen.append(self)
        kind, _, status = self.path.strip("/").partition("/")
        getattr(self, f"_{kind}")(status.partition("?")[0])

    do_POST = do_GET  # noqa: N815  # the base class names handlers so

    def log_message(self, *args: object) -> None:
        pass

    def _status(self, status: int | str, headers: Sequence[tuple[str, str]] = (), body: bytes = b"answer") -> None:
        self.send_response(int(status))
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _later(self, status: str) -> None:
        self._status(status, [("Retry-After", "17")])

    def _away(self, status: str) -> None:
        self._status(status, [("Location", "http://192.0.2.1/elsewhere")])

    def _cookie(self, status: str) -> None:
        self._status(status, [("Set-Cookie", "a=b")])

    def _large(self, size: str) -> None:
        self._status(200, body=b"x" * int(size))

    def _packed(self, status: str) -> None:
        self._status(status, [("Content-Encoding", "gzip")])

    def _chunks(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")

    def _cut(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"x")
        self.close_connection = True

    def _drip(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "900")
        self.end_headers()
        try:
            for _byte in range(900):
                self.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            self.close_connection = True

    def _silent(self, _: str) -> None:
        """Whoever waited would get a good answer in the end."""
        time.sleep(30)
        with contextlib.suppress(OSError):
            self._status("200")


class VendorServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Vendor)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.seen: list[Vendor] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Senders that hang up are what some tests are about."""


@pytest.fixture(scope="module")
def vendor() -> Iterator[VendorServer]:
    server = VendorServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def session() -> Iterator[HttpSession]:
    limits = HttpLimits(connect_seconds=1, read_seconds=0.2, total_seconds=0.4, body_bytes=1000)
    with HttpSession(limits=limits, headers={"Authorization": Secret("Bearer hunter2")}) as made:
        yield made


@pytest.mark.parametrize("status", [200, 204, 404, 405])
def test_plain_statuses_are_returned(session: HttpSession, vendor: VendorServer, status: int) -> None:
    assert session.request("GET", f"{vendor.url}/status/{status}").status == status


def test_body_and_secret_are_sent(session: HttpSession, vendor: VendorServer) -> None:
    answer = session.request("POST", f"{vendor.url}/status/200", body=b"{}", headers={"X-Zone": "7"})
    assert answer.body == b"answer"
    assert vendor.seen[-1].headers["Authorization"] == "Bearer hunter2"
    assert vendor.seen[-1].headers["X-Zone"] == "7"
    assert "hunter2" not in repr(session) + repr(answer)


@pytest.mark.parametrize("status", [401, 403])
def test_refusals_are_denied(session: HttpSession, vendor: VendorServer, status: int) -> None:
    with pytest.raises(Denied, match=f"status {status}"):
        session.request("GET", f"{vendor.url}/status/{status}")


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_heeded(session: HttpSession, vendor: VendorServer, status: int) -> None:
    with pytest.raises(Retryable) as caught:
        session.request("GET", f"{vendor.url}/later/{status}")
    assert caught.value.after_seconds == 17


@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_faults_are_retryable(session: HttpSession, vendor: VendorServer, status: int) -> None:
    with pytest.raises(Retryable):
        session.request("GET", f"{vendor.url}/status/{status}")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(session: HttpSession, vendor: VendorServer, status: int) -> None:
    with pytest.raises(AdapterError, match="redirects") as caught:
        session.request("GET", f"{vendor.url}/away/{status}")
    assert caught.value.kind == "broken"


@pytest.mark.parametrize("path", ["cut/1", "drip/1", "silent/1"])
def test_slow_or_broken_is_retryable(session: HttpSession, vendor: VendorServer, path: str) -> None:
    with pytest.raises(Retryable):
        session.request("GET", f"{vendor.url}/{path}")


def test_long_answer_is_refused(session: HttpSession, vendor: VendorServer) -> None:
    assert len(session.request("GET", f"{vendor.url}/large/1000").body) == 1000
    with pytest.raises(AdapterError, match="longer than 1000"):
        session.request("GET", f"{vendor.url}/large/1001")


def test_chunked_answer_is_read(session: HttpSession, vendor: VendorServer) -> None:
    assert session.request("GET", f"{vendor.url}/chunks/1").body == b"onetwo"


def test_compressed_answer_is_refused(session: HttpSession, vendor: VendorServer) -> None:
    with pytest.raises(AdapterError, match="compressed"):
        session.request("GET", f"{vendor.url}/packed/200")


def test_nobody_there_is_retryable(session: HttpSession) -> None:
    with pytest.raises(Retryable) as caught:
        session.request("GET", f"http://127.0.0.1:{free_port()}/secret.jpg")
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_bad_certificate_is_denied(session: HttpSession, vendor: VendorServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = plain.getsockname()[1]

        def answer_in_clear() -> None:
            with plain.accept()[0] as peer:
                peer.recv(1000)
                peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

        thread = threading.Thread(target=answer_in_clear)
        thread.start()
        with pytest.raises(Denied, match="certificate"):
            session.request("GET", f"https://127.0.0.1:{port}/")
        thread.join()


@pytest.mark.parametrize("url", ["no-scheme/a", "ftp://host/a", "http:///a", "http://[::bad/secret"])
def test_impossible_url_is_broken(session: HttpSession, url: str) -> None:
    with pytest.raises(AdapterError) as caught:
        session.request("GET", url)
    assert caught.value.kind == "broken"
    assert "secret" not in str(caught.value)


def test_environment_is_ignored(
    session: HttpSession, vendor: VendorServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("default login somebody password else\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with HttpSession() as bare:
        assert bare.request("GET", f"{vendor.url}/status/200").status == 200
    assert "Authorization" not in vendor.seen[-1].headers


def test_cookies_are_not_kept(session: HttpSession, vendor: VendorServer) -> None:
    session.request("GET", f"{vendor.url}/cookie/200")
    session.request("GET", f"{vendor.url}/status/200")
    assert "Cookie" not in vendor.seen[-1].headers


def test_logs_hold_no_url(session: HttpSession, vendor: VendorServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    session.request("GET", f"{vendor.url}/status/200?token=hunter2")
    assert "hunter2" not in caplog.text
    assert "/status/" not in caplog.text


def test_secret_stays_hidden(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("hunter2\n")
    secret = read_secret(str(path), "token_file")
    assert secret.reveal() == "hunter2"
    assert "hunter2" not in f"{secret} {secret!r}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


@pytest.mark.parametrize("content", [None, b"", b"\n\n", b"one\ntwo", b"\xff\xfe"])
def test_unusable_secret_file_is_said(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="token_file: ") as caught:
        read_secret(str(path), "token_file")
    assert str(path) not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("30", 30.0),
        ("999999", 3600.0),
        ("Sun, 22 Nov 2026 10:00:20 GMT", 20.0),
        ("Sun, 22 Nov 2026 09:00:00 GMT", 0.0),
        ("Sun, 22 Nov 2026 10:00:20", 2.0),
        ("soon", 2.0),
        ("", 2.0),
        ("-5", 2.0),
    ],
)
def test_retry_after_is_read(text: str, seconds: float) -> None:
    now = dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)
    assert retry_after_seconds({"retry-after": text}, now=now) == seconds
