"""The issuer's side, so light that it is not what is measured: it signs before the clock starts, verifies after."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from receiver.client.signing import sign_notice
from receiver.demo.places import ISSUER
from receiver.demo.setup import CATEGORY, KEY_ID
from receiver.domain.notice import UnverifiedRequest
from receiver.verification.answers import verify_answer, verify_callback
from receiver.verification.jwk import load_jwks
from receiver.verification.keys import KeyRing, PrivateKey
from tests.bench.figures import BenchError

PATH = "/v1/notices"
ACCEPTED = 202
ANSWER_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Post:
    """One signed request, as bytes for the wire."""

    notice_id: str
    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    wire: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    sent_at: float
    """Monotonic, when the first byte went out."""
    answered_at: float


def notice_body(notice_id: str, urls: Sequence[str], sha256s: Sequence[str] = ()) -> bytes:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    items: list[dict[str, Any]] = [{"item_id": str(n), "url": url} for n, url in enumerate(urls, 1)]
    for item, sha256 in zip(items, sha256s, strict=False):
        item["hashes"] = {"sha256": sha256}
    return json.dumps(
        {
            "schema": "takedown-notice/1",
            "notice_id": notice_id,
            "issuer": ISSUER,
            "issued_at": now,
            "category": CATEGORY,
            "items": items,
        }
    ).encode()


def prepare(origin: str, notice_id: str, body: bytes, key: PrivateKey) -> Post:
    """Signed now, so send it within the signature's life (some minutes)."""
    url = origin + PATH
    headers = sign_notice("POST", url, body, key, KEY_ID, now=dt.datetime.now(dt.UTC))
    lines = {"Host": urlsplit(origin).netloc, **headers, "Content-Length": str(len(body))}
    head = f"POST {PATH} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return Post(notice_id=notice_id, url=url, headers=headers, body=body, wire=head.encode() + b"\r\n" + body)


class Line:
    """One connection that is kept alive; a server that closed it meanwhile is called again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def send(self, wire: bytes) -> Answer:
        fresh = self._socket is None
        try:
            return self._exchange(wire)
        except OSError:
            self.close()
            if fresh:
                raise
            return self._exchange(wire)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(self, wire: bytes) -> Answer:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=ANSWER_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent_at = time.monotonic()
        self._socket.sendall(wire)
        status, headers, body = _read(self._socket)
        answered_at = time.monotonic()
        if any(name.lower() == "connection" and value.lower() == "close" for name, value in headers):
            self.close()
        return Answer(status=status, headers=headers, body=body, sent_at=sent_at, answered_at=answered_at)


def _read(line: socket.socket) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(line)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = tuple((name, value.strip()) for name, _, value in (one.partition(":") for one in rest))
    status = int(first.split(" ")[1])
    if any(name.lower() == "transfer-encoding" for name, _ in headers):
        return status, headers, _read_chunks(line, body)
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    while len(body) < length:
        body += _some(line)
    return status, headers, body


def _read_chunks(line: socket.socket, data: bytes) -> bytes:
    body = b""
    while True:
        while b"\r\n" not in data:
            data += _some(line)
        size_text, _, data = data.partition(b"\r\n")
        size = int(size_text, 16)
        while len(data) < size + 2:
            data += _some(line)
        body, data = body + data[:size], data[size + 2 :]
        if not size:
            return body


def _some(line: socket.socket) -> bytes:
    piece = line.recv(65_536)
    if not piece:
        raise ConnectionResetError("the other side closed the connection")
    return piece


def send_all(port: int, posts: Sequence[Post], *, lines: int) -> list[tuple[Post, Answer]]:
    """As fast as the receiver answers, over so many connections. Raises BenchError unless all were accepted."""
    waiting, lock = list(reversed(posts)), threading.Lock()
    answers: list[tuple[Post, Answer]] = []
    errors: list[str] = []

    def work() -> None:
        line = Line(port)
        try:
            while True:
                with lock:
                    if not waiting or errors:
                        return
                    post = waiting.pop()
                answer = line.send(post.wire)
                with lock:
                    answers.append((post, answer))
                    if answer.status != ACCEPTED:
                        errors.append(f"a notice was answered {answer.status}: {answer.body[:200]!r}")
        except OSError as error:
            errors.append(f"no answer to a notice: {error}")
        finally:
            line.close()

    in_parallel(work, lines)
    if errors:
        raise BenchError(errors[0])
    return answers


def in_parallel(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def verify_receipts(pairs: Sequence[tuple[Post, Answer]], jwks: bytes) -> None:
    """Every receipt's signature, over its own request. Raises VerificationError."""
    register = KeyRing(load_jwks("receiver", jwks))
    for post, answer in pairs:
        request = UnverifiedRequest(method="POST", target=PATH, headers=tuple(post.headers.items()), body=post.body)
        verify_answer(
            request=request,
            url=post.url,
            label="sig1",
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            register=register,
            now=dt.datetime.now(dt.UTC),
        )


class Ear:
    """Takes callbacks over kept-alive connections. It reads and answers; signatures are checked when time is free."""

    def __init__(self, port: int, jwks: bytes) -> None:
        self._register = KeyRing(load_jwks("receiver", jwks))
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.ear = self
        self._origin = f"http://127.0.0.1:{port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="ear", daemon=True)
        self._changed = threading.Condition()
        self._requests: list[tuple[UnverifiedRequest, dt.datetime]] = []
        self.heard: dict[tuple[str, str, str], float] = {}
        """When each (notice, item, status) was first told, on the monotonic clock."""

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, request: UnverifiedRequest) -> None:
        at, value = time.monotonic(), json.loads(request.body)
        told = [event["data"] for event in (value if isinstance(value, list) else [value])]
        with self._changed:
            self._requests.append((request, dt.datetime.now(dt.UTC)))
            for data in told:
                self.heard.setdefault((data["notice_id"], data["item_id"], data["status"]), at)
            self._changed.notify_all()

    def count(self, status: str) -> int:
        with self._changed:
            return sum(key[2] == status for key in self.heard)

    def wait_for(self, status: str, count: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.count(status) < count:
            with self._changed:
                self._changed.wait(0.2)
            if time.monotonic() > deadline:
                return False
        return True

    def verify(self) -> int:
        """The signature of each callback taken since the last time; how many. Raises VerificationError."""
        with self._changed:
            requests, self._requests = self._requests, []
        for request, at in requests:
            verify_callback(request, origins=(self._origin,), register=self._register, now=at)
        return len(requests)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    ear: Ear


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = tuple(self.headers.items())
        self.server.ear.take(UnverifiedRequest(method="POST", target=self.path, headers=headers, body=body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Nothing."""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
