"""Matrix Synapse from its package, on a PostgreSQL of its own: the rate at which it merely flags media.

It runs in an environment of its own, never in ours. Nothing is fetched from other homeservers.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.figures import BenchError, Options
from tests.bench.issuer import Line, in_parallel
from tests.bench.postgres import private_postgres
from tests.bench.processes import cpu_ms, family
from tests.support import free_port

SERVER = "peer.example"
LINES = 8
START_SECONDS = 120.0
INSTALL_SECONDS = 900.0
PACKAGES = ("matrix-synapse", "psycopg2-binary")


@dataclass(frozen=True, kw_only=True)
class Peer:
    version: str
    database: str
    calls: int
    lines: int
    per_second: float
    cpu_ms: float
    """Of the homeserver and its PostgreSQL, a call."""


def measure(options: Options) -> Peer:
    python = _installed(options.cache / "synapse")
    folder = options.folder / "synapse"
    folder.mkdir(mode=0o755)
    with private_postgres("synapse", locale_c=True) as postgres, _running(python, folder, postgres.uri) as server:
        calls = options.count(40, 2_000)
        media = _upload(server, calls)
        return _flag(server, media, postgres.pid)


@dataclass(frozen=True, kw_only=True)
class Server:
    port: int
    pid: int
    token: str
    version: str

    def wire(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> bytes:
        head = f"{method} {path} HTTP/1.1\r\nHost: {SERVER}\r\nAuthorization: Bearer {self.token}\r\n"
        return (head + f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


def _installed(folder: Path) -> Path:
    """The interpreter of an environment that has it; made once and kept in the cache."""
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        words = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
        ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
        if ended.returncode:
            raise BenchError(f"Synapse could not be installed: {ended.stderr.strip().splitlines()[-1:]}")
        (folder / "installed").touch()
    return python


@contextmanager
def _running(python: Path, folder: Path, database: dict[str, str]) -> Iterator[Server]:
    port, secret = free_port(), secrets.token_hex(16)
    (folder / "homeserver.yaml").write_text(json.dumps(_settings(folder, port, secret, database)), encoding="utf-8")
    (folder / "log.yaml").write_text(json.dumps({"version": 1, "root": {"level": "ERROR"}}), encoding="utf-8")
    words = [str(python), "-m", "synapse.app.homeserver", "-c", str(folder / "homeserver.yaml")]
    subprocess.run([*words, "--generate-keys"], check=True, capture_output=True, cwd=folder)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=folder)
    try:
        version = _wait(port, process, folder)
        yield Server(port=port, pid=process.pid, token=_admin(port, secret), version=version)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _settings(folder: Path, port: int, secret: str, database: dict[str, str]) -> dict[str, Any]:
    """JSON is YAML. Limits are lifted, as ours are; federation and statistics are off."""
    free = {"per_second": 1_000_000, "burst_count": 1_000_000}
    resources = [{"names": ["client", "media"], "compress": False}]
    return {
        "server_name": SERVER,
        "report_stats": False,
        "pid_file": str(folder / "pid"),
        "listeners": [{"port": port, "bind_addresses": ["127.0.0.1"], "type": "http", "resources": resources}],
        "database": {"name": "psycopg2", "args": {**database, "cp_min": 5, "cp_max": 10}},
        "log_config": str(folder / "log.yaml"),
        "media_store_path": str(folder / "media"),
        "signing_key_path": str(folder / "signing.key"),
        "registration_shared_secret": secret,
        "macaroon_secret_key": secrets.token_hex(16),
        "form_secret": secrets.token_hex(16),
        "trusted_key_servers": [],
        "federation_domain_whitelist": [],
        "rc_login": {"address": free, "account": free},
        "rc_registration": free,
        "rc_message": free,
        "rc_media_create": free,
    }


def _wait(port: int, process: subprocess.Popen[bytes], folder: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            said = _ask("GET", port, "/_synapse/admin/v1/server_version")
        except OSError:
            time.sleep(0.2)
            continue
        # Behind the blank it says in which working copy it was started: ours.
        return str(said["server_version"]).partition(" ")[0]
    raise BenchError("Synapse did not start: " + (folder / "log").read_text(errors="replace")[-1000:])


def _admin(port: int, secret: str) -> str:
    """Register an admin by the shared secret; the answer holds a token."""
    nonce, password = str(_ask("GET", port, "/_synapse/admin/v1/register")["nonce"]), secrets.token_hex(8)
    text = f"{nonce}\0bench\0{password}\0admin"
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha1).hexdigest()
    value = {"nonce": nonce, "username": "bench", "password": password, "admin": True, "mac": mac}
    return str(_ask("POST", port, "/_synapse/admin/v1/register", value)["access_token"])


def _ask(method: str, port: int, path: str, value: object = None) -> dict[str, Any]:
    data = None if value is None else json.dumps(value).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _upload(server: Server, count: int) -> list[str]:
    line, media = Line(server.port), []
    for _ in range(count):
        wire = server.wire("POST", "/_matrix/media/v3/upload", os.urandom(1024), "application/octet-stream")
        answer = line.send(wire)
        if answer.status != 200:
            raise BenchError(f"Synapse answered an upload with {answer.status}: {answer.body[:200]!r}")
        media.append(json.loads(answer.body)["content_uri"].rpartition("/")[2])
    line.close()
    return media


def _flag(server: Server, media: list[str], postgres_pid: int) -> Peer:
    """`POST …/media/quarantine/SERVER/MEDIA`, once each, over kept-alive connections."""
    waiting, lock, failed = list(media), threading.Lock(), list[str]()

    def work() -> None:
        line = Line(server.port)
        while not failed:
            with lock:
                if not waiting:
                    break
                one = waiting.pop()
            answer = line.send(server.wire("POST", f"/_synapse/admin/v1/media/quarantine/{SERVER}/{one}", b"{}"))
            if answer.status != 200 or json.loads(answer.body).get("num_quarantined", 1) != 1:
                failed.append(f"{answer.status}: {answer.body[:200]!r}")
        line.close()

    pids = [*family(server.pid), *family(postgres_pid)]
    before, begun = cpu_ms(pids), time.monotonic()
    in_parallel(work, LINES)
    took, spent = time.monotonic() - begun, cpu_ms(pids) - before
    if failed:
        raise BenchError(f"Synapse refused to quarantine: {failed[0]}")
    return Peer(
        version=server.version,
        database="a PostgreSQL of its own, fsync on",
        calls=len(media),
        lines=LINES,
        per_second=len(media) / took,
        cpu_ms=spent / len(media),
    )
