"""gunicorn with settings that are safe here: strict about smuggled requests, bounded in every direction.

It believes no forwarded header, speaks HTTP/1.1 only and opens no control socket. What is no HTTP it refuses with a
fixed problem document that repeats nothing of what was sent.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # gunicorn ships no types
from gunicorn.glogging import Logger  # type: ignore[import-untyped]  # gunicorn ships no types
from gunicorn.http.errors import (  # type: ignore[import-untyped]  # gunicorn ships no types
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]  # gunicorn ships no types

from receiver.api.problems import PROBLEM_TYPE, TYPE_PREFIX

REQUEST_SECONDS = 30.0
"""From the first byte of a request to the last of its answer. Whoever is slower holds a thread for nothing."""
GRACEFUL_SECONDS = 30
MAX_TARGET_BYTES = 8190
MAX_HEADER_LINES = 100
MAX_HEADER_BYTES = 16 * 1024
"""One line. All lines together are held to 32 KiB by the signature policy, which answers in our own words."""


def _plain(status: int, phrase: str, slug: str, title: str) -> bytes:
    body = json.dumps({"status": status, "title": title, "type": TYPE_PREFIX + slug}).encode()
    head = (
        f"HTTP/1.1 {status} {phrase}\r\nConnection: close\r\nContent-Type: {PROBLEM_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n"
    )
    return head.encode() + body


_PLAIN = {
    400: _plain(400, "Bad Request", "malformed-request", "The request is malformed"),
    431: _plain(431, "Request Header Fields Too Large", "headers-too-large", "The headers are too large"),
    500: _plain(500, "Internal Server Error", "internal-error", "Something went wrong on our side"),
}
_LOG = logging.getLogger("receiver.server")
WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, kw_only=True)
class Listen:
    """Where and how one face is served."""

    bind: str
    processes: int = 2
    threads: int = 8
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None


class DeadlineWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """Cuts connections whose request takes too long, so that a few slow senders cannot hold every thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._begun: dict[Any, float] = {}
        self._begun_lock = threading.Lock()

    def handle(self, conn: Any) -> Any:
        with self._begun_lock:
            self._begun[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            with self._begun_lock:
                self._begun.pop(conn, None)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:  # noqa: ARG002 - gunicorn's
        """Answer what never reached the application. Bad input is 400 or 431, whatever is wrong with it."""
        ours = not isinstance(exc, ParseException | OSError)
        status = 500 if ours else 431 if isinstance(exc, LimitRequestHeaders | LimitRequestLine) else 400
        _LOG.warning("request.broken", extra={"error": type(exc).__name__, "status": status})
        try:
            client.sendall(_PLAIN[status])
        except OSError:
            return  # whoever asked is gone

    def notify(self) -> None:
        """Called by the worker's loop about once a second."""
        super().notify()
        latest = time.monotonic() - REQUEST_SECONDS
        with self._begun_lock:
            slow = [conn for conn, begun in self._begun.items() if begun < latest]
        for conn in slow:
            try:
                conn.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it ended in this very moment


class OurLog(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """The server's own lines go the way of all others: one JSON object each, without URLs."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.handlers[:] = []
        self.error_log.propagate = True


class BodyStream:
    """The body as the server reads it; every way in which it can break is an OSError to the application."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        try:
            data: bytes = self._stream.read(size)
        except ParseException as error:
            raise OSError("the body's framing is broken") from error
        return data


def guard_body(app: WsgiApp) -> WsgiApp:
    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["wsgi.input"] = BodyStream(environ["wsgi.input"])
        return app(environ, start_response)

    return guarded


class Face(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """One face of the program under gunicorn.

    `build` makes the application and what ends it; it runs in each process after the fork, since threads and
    connections do not live through one. `recheck` runs in the parent at SIGHUP, before new processes replace the old.
    """

    def __init__(
        self,
        listen: Listen,
        *,
        build: Callable[[], tuple[WsgiApp, Callable[[], None]]],
        recheck: Callable[[], None] = lambda: None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self._options = {**_options(listen), **(more or {})}
        self._build = build
        self._recheck = recheck
        self._close: Callable[[], None] = lambda: None
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)
        self.cfg.set("worker_exit", lambda _server, _worker: self._close())

    def load(self) -> WsgiApp:
        app, self._close = self._build()
        return guard_body(app)

    def reload(self) -> None:
        self._recheck()
        super().reload()


def _options(listen: Listen) -> dict[str, Any]:
    tls = {}
    if listen.tls_cert_file is not None and listen.tls_key_file is not None:
        tls = {"certfile": str(listen.tls_cert_file), "keyfile": str(listen.tls_key_file)}
    return {
        "bind": listen.bind,
        "worker_class": DeadlineWorker,
        "workers": listen.processes,
        "threads": listen.threads,
        "preload_app": False,
        "graceful_timeout": GRACEFUL_SECONDS,
        "timeout": 2 * GRACEFUL_SECONDS,
        "keepalive": 5,
        "limit_request_line": MAX_TARGET_BYTES,
        "limit_request_fields": MAX_HEADER_LINES,
        "limit_request_field_size": MAX_HEADER_BYTES,
        "forwarded_allow_ips": "",
        "forwarder_headers": "",
        "secure_scheme_headers": {},
        "proxy_protocol": "off",
        "http_protocols": "h1",
        "header_map": "drop",
        "control_socket_disable": True,
        # The access log would hold addresses and notice ids; refusals are logged by us, answers are in the database.
        "accesslog": None,
        "logger_class": OurLog,
        "proc_name": "takedown-receiver",
        **tls,
    }
