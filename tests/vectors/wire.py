"""The vectors as bytes on a connection, and a real server whose clock stands at the vectors' time."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from receiver.keyfiles import init_folder
from receiver.processes.gunicorn_app import REQUEST_SECONDS
from tests.support import end_process, free_port, wait_until
from tests.vectors.generate import HERE, NOW, ORIGINS

ROOT = HERE.parents[1]
STILL = """
import datetime as dt, pathlib, sys
from receiver.domain.clock import SystemClock
from receiver.processes import gunicorn_app
from receiver.processes.web import run_web
gunicorn_app.REQUEST_SECONDS = float(sys.argv[3])
now = dt.datetime.fromisoformat(sys.argv[2])
SystemClock.now = lambda self: now
run_web(pathlib.Path(sys.argv[1]))
"""
TAKEN = ("message", "notice", "item", "event", "work", "direction")
"""What only an accepted request may write."""


def to_wire(request: dict[str, Any]) -> bytes:
    """As the vector writes it, line by line. A length is added where it names none: without one no server reads on."""
    lines = [(name, value) for name, value in request["headers"]]
    body: bytes = base64.b64decode(request["body"]) * request.get("body_repeat", 1)
    names = {name.lower() for name, _ in lines}
    if "transfer-encoding" in names and "content-length" not in names:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    elif body and "content-length" not in names:
        lines.append(("Content-Length", str(len(body))))
    head = [f"{request['method']} {request['target']} HTTP/1.1", *(f"{name}: {value}" for name, value in lines)]
    return "\r\n".join([*head, "Connection: close", "", ""]).encode("latin-1") + body


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> str:
        """The stable part of the problem's type; empty where it is none."""
        if self.headers.get("content-type") != "application/problem+json" or not self.body:
            return ""
        return str(json.loads(self.body)["type"]).rpartition(":")[2]


def replies(data: bytes) -> list[Reply]:
    """Every answer on a connection, in order. Raises ValueError for what is no HTTP."""
    found = []
    while data:
        head, mark, rest = data.partition(b"\r\n\r\n")
        if not mark or not head.startswith(b"HTTP/1."):
            raise ValueError(f"no answer: {data[:80]!r}")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", "0"))
        found.append(Reply(status=int(first.split(" ")[1]), headers=headers, body=rest[:size]))
        data = rest[size:]
    return found


def talk(host: str, port: int, *parts: bytes, seconds: float = 40.0, half_close: bool = False) -> bytes:
    """Send the parts and read until the server closes."""
    got = b""
    with socket.create_connection((host, port), timeout=seconds) as conn:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                conn.sendall(part)
        if half_close:
            with contextlib.suppress(OSError):  # the server may have closed already
                conn.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while more := conn.recv(65536):
                got += more
    return got


@dataclass(frozen=True, kw_only=True)
class Server:
    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    def talk(self, *parts: bytes, seconds: float = 40.0, half_close: bool = False) -> bytes:
        return talk("127.0.0.1", self.port, *parts, seconds=seconds, half_close=half_close)

    def ask(self, *parts: bytes, half_close: bool = False) -> Reply:
        """The one answer to one request that ends its connection."""
        (reply,) = replies(self.talk(*parts, half_close=half_close))
        return reply

    def rows(self, *tables: str) -> int:
        with contextlib.closing(self._database()) as db:
            return sum(int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in tables)

    def entries(self) -> list[str]:
        """The kinds in the ledger, oldest first."""
        with contextlib.closing(self._database()) as db:
            return [str(kind) for (kind,) in db.execute("SELECT kind FROM entry ORDER BY id")]

    def forget(self) -> None:
        """As if nothing had been taken: all vectors share one nonce and one notice id."""
        with contextlib.closing(self._database()) as db, db:
            for table in ("event", "work", "direction", "item", "notice", "message", "nonce"):
                db.execute(f"DELETE FROM {table}")

    def log(self) -> str:
        return (self.folder / "web.log").read_text(errors="replace")

    def _database(self) -> sqlite3.Connection:
        return sqlite3.connect(self.folder / "data" / "receiver.db", timeout=30)


@contextlib.contextmanager
def still_server(folder: Path, *, request_seconds: float = REQUEST_SECONDS) -> Iterator[Server]:
    """gunicorn in processes of its own, with the two issuers of the vectors; ended by SIGTERM."""
    port = free_port()
    _settle(folder, port)
    with (folder / "web.log").open("wb") as log:
        command = [sys.executable, "-c", STILL, str(folder / "config.toml"), NOW, str(request_seconds)]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
    server = Server(folder=folder, port=port, process=process)
    try:
        wait_until(lambda: _ready(server), "the public side is ready", seconds=60)
        yield server
    finally:
        assert end_process(process), "the public side did not end when asked"


def _ready(server: Server) -> bool:
    assert server.process.poll() is None, server.log()
    try:
        return server.ask(b"GET /readyz HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n").status == 200
    except (OSError, ValueError):
        return False


def _settle(folder: Path, port: int) -> None:
    init_folder(folder, origin=ORIGINS[0])
    issuers = []
    for name in ("hotline-a", "hotline-b"):
        shutil.copy(HERE / "keys" / f"{name}.jwks.json", folder / "issuers" / f"{name}.jwks.json")
        issuers.append(
            f'[[issuers]]\nid = "{name}"\nkeys_file = "issuers/{name}.jwks.json"\ncategories = {{ test = "act" }}\n'
        )
    path = folder / "config.toml"
    text = path.read_text().replace("127.0.0.1:8440", f"127.0.0.1:{port}")
    text = text.replace(f'public_origins = ["{ORIGINS[0]}"]', f"public_origins = {json.dumps(ORIGINS)}")
    limits = "[limits]\nmax_unsigned_per_minute = 1000000\nmax_requests_per_minute = 1000000\n"
    path.write_text("\n".join([text, limits, *issuers]))
