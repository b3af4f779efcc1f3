"""A site for machines without nginx: files of one folder under one host name, nothing else."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


class BuiltInSite:
    def __init__(self, docroot: Path, port: int, host: str, cache_seconds: int) -> None:
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.docroot, self._server.host, self._server.cache_seconds = docroot, host, cache_seconds
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="site", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    docroot: Path
    host: str
    cache_seconds: int


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        body = self._find()
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        if body is None:
            self.send_header("Cache-Control", "no-store")
        else:
            self.send_header("Content-Type", "image/png")
            self.send_header("Cache-Control", f"max-age={self.server.cache_seconds}")
        self.end_headers()
        self.wfile.write(body or b"")

    def _find(self) -> bytes | None:
        """None for whatever is no plain file below the folder."""
        host = self.headers.get("Host", "").partition(":")[0].lower()
        name = unquote(urlsplit(self.path).path)
        if host != self.server.host or "\0" in name:
            return None
        path = (self.server.docroot / name.lstrip("/")).resolve()
        if not path.is_relative_to(self.server.docroot.resolve()) or not path.is_file():
            return None
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None  # blocked at this very moment

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Nothing: the standard line names the URL."""
