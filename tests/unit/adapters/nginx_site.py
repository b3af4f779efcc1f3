"""A real nginx with a gate in front of its pages, and what to deny there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapters.contract import DenyTarget
from adapters.nginx.gate import NginxGate
from tests.doubles.nginx_map import render
from tests.unit.adapters.running_nginx import RunningNginx, free_port, raw_get

HOST = "img.example"


class Site:
    def __init__(self, base: Path) -> None:
        self.map_file, self.port = base / "deny.conf", free_port()
        self.map_file.write_bytes(render([], "0"))
        self.server = RunningNginx(
            base,
            f"""map_hash_bucket_size 8192; include {self.map_file};
            server {{ listen 127.0.0.1:{self.port}; add_header Cache-Control $takedown_cache_control always;
                if ($takedown_deny) {{ return 404; }}
                location = /generation {{ allow 127.0.0.1; deny all; return 200 $takedown_generation; }}
                location / {{ return 200 "up"; }} }}""",
        )
        self.gate = self.make()

    def make(self, **changed: Any) -> NginxGate:
        given = {
            "reload_command": (),
            "test_command": self.server.test_command,
            "pid_file": str(self.server.pid_file),
            **changed,
        }
        return NginxGate("web", str(self.map_file), **given)

    def listed(self) -> list[str]:
        with self.gate._denials.reading() as view:
            return [op_id for (op_id,) in view._link.execute("SELECT op_id FROM op WHERE leaving = 0")]

    def status(self, target: bytes | str, host: str = HOST) -> int:
        return raw_get(self.port, host, target.encode() if isinstance(target, str) else target)[0]


def target(path: bytes, query: bytes | None = None, any_query: bool = False, host: str = HOST) -> DenyTarget:
    return DenyTarget(url="https://x/", host=host, path=path, query=query, any_query=any_query)
