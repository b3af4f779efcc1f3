"""An HTTP proxy in front of an S3 server that can be told to lie, lose, delay and forget.

A fault is a function of the request and of the way on to the server; it returns the answer, or None to break off.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

HOP = {"connection", "keep-alive", "transfer-encoding", "te", "expect", "host", "content-length"}
OURS = {"x-amz-date", "authorization"}


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    target: str
    """Path and query, byte for byte as they came."""
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def parameters(self) -> set[str]:
        return {part.partition("=")[0] for part in self.query.split("&") if part}


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    breaks_off_after: int | None = None
    """Bytes of the body after which the line goes dead."""

    def with_body(self, body: bytes) -> Answer:
        """Another body, and a length that fits it."""
        kept = {name: item for name, item in self.headers.items() if name.lower() != "content-length"}
        return replace(self, body=body, headers=kept | {"Content-Length": str(len(body))})


Onward = Callable[[Request], Answer]
Fault = Callable[[Request, Onward], Answer | None]


class FaultyProxy:
    """Signs again what it changed, since a signature covers the headers too; so it knows the test's keys."""

    def __init__(self, upstream: str, secrets: Mapping[str, str]) -> None:
        parts = urlsplit(upstream)
        self._address = (parts.hostname or "", parts.port or 80)
        self._secrets = secrets
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self.url = ""

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[None]:
        """Lie in this way until the block ends."""
        with self._lock:
            self._faults.append(fault)
        try:
            yield
        finally:
            with self._lock:
                self._faults.remove(fault)

    def answer(self, request: Request) -> Answer | None:
        with self._lock:
            faults = list(self._faults)
        onward: Onward = self.forward
        for fault in faults[:-1]:
            onward = _chained(fault, onward)
        return faults[-1](request, onward) if faults else onward(request)

    def forward(self, request: Request) -> Answer:
        connection = http.client.HTTPConnection(*self._address, timeout=30)
        try:
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, item in self._signed(request).items():
                connection.putheader(name, item)
            connection.endheaders(request.body or None)
            answer = connection.getresponse()
            body = answer.read()
            headers = {name: item for name, item in answer.getheaders() if name.lower() not in HOP - {"content-length"}}
            return Answer(status=answer.status, headers=headers, body=body)
        finally:
            connection.close()

    def _signed(self, request: Request) -> dict[str, str]:
        host = f"{self._address[0]}:{self._address[1]}"
        kept = {name: item for name, item in request.headers.items() if name.lower() not in HOP}
        length = {"Content-Length": str(len(request.body))} if request.body or request.method in {"PUT", "POST"} else {}
        found = re.search(r"Credential=([^/]+)/[0-9]{8}/([^/]+)/s3/", request.headers.get("Authorization", ""))
        if found is None:
            # A signed link names the host it was made for, which the server behind takes from this header.
            return kept | {"Host": request.headers.get("Host", host)} | length
        bare = {name: item for name, item in kept.items() if name.lower() not in OURS}
        fresh = AWSRequest(method=request.method, url=f"http://{host}{request.target}", headers=bare)
        S3SigV4Auth(Credentials(found[1], self._secrets[found[1]]), "s3", found[2]).add_auth(fresh)
        return dict(fresh.headers.items()) | {"Host": host} | length


def _chained(fault: Fault, onward: Onward) -> Onward:
    def go(request: Request) -> Answer:
        answer = fault(request, onward)
        if answer is None:
            raise ConnectionError("broken off")
        return answer

    return go


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, proxy: FaultyProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet for head and body, or each answer waits for an acknowledgement

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError, http.client.HTTPException):
            self.close_connection = True

    def handle_expect_100(self) -> bool:
        going_on = super().handle_expect_100()
        self.wfile.flush()  # the client waits for this before it sends the body
        return going_on

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(method=self.command, target=self.path, headers=dict(self.headers.items()), body=body)
        answer = self.server.proxy.answer(request)
        if answer is None:
            self._break_off()
            return
        self.send_response_only(answer.status)
        named = {name.lower() for name in answer.headers}
        for name, item in answer.headers.items():
            self.send_header(name, item)
        if "content-length" not in named:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: answer.breaks_off_after])
        self.wfile.flush()
        if answer.breaks_off_after is not None:
            self._break_off()

    def _break_off(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do  # noqa: N815  # the names the library looks for

    def log_message(self, *args: object) -> None:
        """Quiet."""


@contextmanager
def running_proxy(upstream: str, secrets: Mapping[str, str]) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(upstream, secrets)
    server = _Server(proxy)
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# --- faults for S3


def ignores_conditions(request: Request, onward: Onward) -> Answer:
    """As some servers do: whatever is asked on a condition is done without."""
    conditions = re.compile(r"(if-|x-amz-copy-source-if-)", re.IGNORECASE)
    kept = {name: item for name, item in request.headers.items() if not conditions.match(name)}
    return onward(replace(request, headers=kept))


def is_object(request: Request) -> bool:
    """The bytes of an object: no listing, no tags, no policy."""
    plain = {"versionId", "x-id", "partNumber"} | {name for name in request.parameters if name.startswith("X-Amz-")}
    return request.path.count("/") >= 2 and request.parameters <= plain


def pretended(request: Request) -> Answer:
    """Success in words."""
    etag = f'"{hashlib.md5(request.body, usedforsecurity=False).hexdigest()}"'
    if "x-amz-copy-source" in {name.lower() for name in request.headers}:
        body = f"<CopyObjectResult><ETag>{etag}</ETag></CopyObjectResult>".encode()
        return Answer(status=200, body=body, headers={"Content-Type": "application/xml"})
    return Answer(status=204 if request.method == "DELETE" else 200, headers={"ETag": etag})
