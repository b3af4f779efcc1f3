"""The nginx gate and cache pass the kit, in front of a real nginx."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from adapters.conformance.cache import CacheConformance, CacheEnvironment
from adapters.conformance.gate import GateConformance, GateEnvironment
from adapters.conformance.late import LateGateConformance
from adapters.contract import GateAdapter
from adapters.nginx.cache import NginxCache
from adapters.nginx.gate import NginxGate
from tests.doubles.nginx_map import render
from tests.unit.adapters.running_nginx import RunningNginx, free_port, raw_get


class NginxGateEnvironment(GateEnvironment):
    def __init__(self, base: Path) -> None:
        self.map_file = base / "deny.conf"
        self.map_file.write_bytes(render([], "0"))
        self.port = free_port()
        self.server = RunningNginx(
            base,
            f"""map_hash_bucket_size 8192; include {self.map_file};
            server {{ listen 127.0.0.1:{self.port};
                add_header Cache-Control $takedown_cache_control always;
                if ($takedown_deny) {{ return 404; }}
                location / {{ return 200 "up"; }} }}""",
        )

    def make(self) -> NginxGate:
        return NginxGate("web", str(self.map_file), (), self.server.test_command, pid_file=str(self.server.pid_file))

    def get(self, host: str, target: bytes) -> int:
        return raw_get(self.port, host, target)[0]

    def restart(self, adapter: GateAdapter) -> NginxGate:
        return self.make()


class TestNginxGate(LateGateConformance, GateConformance):
    spellings = (*GateConformance.spellings, b"//d//z.jpg", b"/x/../d/z.jpg", b"/d/%2e/z.jpg", b"/d%2Fz.jpg")

    @pytest.fixture
    def environment(self, tmp_path: Path) -> Iterator[NginxGateEnvironment]:
        made = NginxGateEnvironment(tmp_path)
        yield made
        made.server.stop()

    @pytest.fixture
    def adapter(self, environment: NginxGateEnvironment) -> NginxGate:
        return environment.make()


class Origin(BaseHTTPRequestHandler):
    """Answers paths that were put, whatever the query."""

    pages: dict[str, bytes]

    def do_GET(self) -> None:
        body = self.pages.get(urlsplit(self.path).path)
        self.send_response(404 if body is None else 200)
        self.send_header("Cache-Control", "no-store" if body is None else "max-age=600")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args: object) -> None:
        pass


class NginxCacheEnvironment(CacheEnvironment):
    def __init__(self, base: Path, key: str) -> None:
        self.pages: dict[str, bytes] = {}
        handler = type("Handler", (Origin,), {"pages": self.pages})
        self.origin = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.origin.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        self.port, self.dir = free_port(), base / "cache"
        self.upstream = f"127.0.0.1:{self.origin.server_port}"
        self.server = RunningNginx(
            base,
            f"""proxy_cache_path {self.dir} levels=1:2 keys_zone=z:1m; open_file_cache max=100 inactive=600s;
            open_file_cache_valid 600s;
            server {{ listen 127.0.0.1:{self.port}; merge_slashes off;
                location / {{ proxy_pass http://{self.upstream}; proxy_cache z; proxy_cache_key "{key}"; }} }}""",
        )

    def stop(self) -> None:
        self.server.stop()
        self.origin.shutdown()
        self.thread.join()
        self.origin.server_close()

    def put(self, path: str, body: bytes) -> None:
        self.pages[path] = body

    def delete(self, path: str) -> None:
        self.pages.pop(path, None)

    def get(self, url: str) -> tuple[int, bytes | None]:
        parts = urlsplit(url)
        target = (parts.path + (f"?{parts.query}" if parts.query else "")).encode()
        status, _, body = raw_get(self.port, parts.netloc, target)
        return status, body if status == 200 else None


class TestNginxCache(CacheConformance):
    key = "$scheme$host$request_uri"

    @pytest.fixture
    def environment(self, tmp_path: Path) -> Iterator[NginxCacheEnvironment]:
        made = NginxCacheEnvironment(tmp_path, self.key)
        yield made
        made.stop()

    @pytest.fixture
    def adapter(self, environment: NginxCacheEnvironment) -> NginxCache:
        return NginxCache(
            "edge",
            str(environment.dir),
            key_template=self.key,
            proxy_hosts=(environment.upstream,),
            pid_file=str(environment.server.pid_file),
        )


class TestNginxCacheDefaultKey(TestNginxCache):
    key = "$scheme$proxy_host$request_uri"
