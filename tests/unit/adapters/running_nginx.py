"""A real nginx on a free port, for the tests of its gate and its cache."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


def need(cond: object, what: str) -> None:
    """Skip loudly on a developer's machine; never in CI."""
    if cond:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"needs {what}")
    pytest.skip(f"needs {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningNginx:
    """Started with the given parts of ``http { }``; reads `base` only."""

    def __init__(self, base: Path, http: str, workers: int = 2) -> None:
        need(Path(NGINX).exists(), "nginx")
        self.base = base
        self.pid_file = base / "nginx.pid"
        self.conf = base / "nginx.conf"
        temp = "".join(f"{kind}_temp_path {base}/t-{kind}; " for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
        self.conf.write_text(
            f"user root; worker_processes {workers}; pid {self.pid_file}; error_log {base}/error.log;\n"
            f"events {{ worker_connections 128; }}\n"
            f"http {{ access_log off; client_body_temp_path {base}/t-body; {temp}\n{http}\n}}\n"
        )
        self.test_command = (NGINX, "-t", "-q", "-c", str(self.conf))
        self.reload_command = (NGINX, "-s", "reload", "-c", str(self.conf))
        subprocess.run([NGINX, "-c", str(self.conf)], check=True, capture_output=True)
        wait_for(self.pid_file.exists)

    def stop(self) -> None:
        pid = int(self.pid_file.read_text())
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not Path(f"/proc/{pid}/stat").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text())


def wait_for(reached: Callable[[], object], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.01)


def raw_get(port: int, host: str, target: bytes) -> tuple[int, dict[str, str], bytes]:
    """One GET with this target, byte for byte."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        link.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: " + host.encode() + b"\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: link.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, body
