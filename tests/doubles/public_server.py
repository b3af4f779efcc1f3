"""The public side as it is deployed: gunicorn in processes of its own, over settings and keys made by `init`."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from receiver.keyfiles import init_folder
from receiver.verification.jwk import public_members
from tests.doubles.web_side import CATEGORIES, Sender
from tests.support import end_process, free_port, wait_until

_RUN = "import sys, pathlib; from receiver.processes.web import run_web; run_web(pathlib.Path(sys.argv[1]))"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class PublicServer:
    folder: Path
    port: int
    origin: str
    hotline: Sender
    process: subprocess.Popen[bytes]

    def exchange(self, data: bytes, *, seconds: float = 10.0) -> bytes:
        """Send raw bytes and read until the server closes or has answered once."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as conn:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                conn.sendall(data)
            return read_response(conn)

    def rows(self, *tables: str) -> int:
        with contextlib.closing(sqlite3.connect(self.folder / "data" / "receiver.db")) as db:
            return sum(int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in tables)

    def log(self) -> str:
        return (self.folder / "web.log").read_text(errors="replace")


def read_response(conn: socket.socket) -> bytes:
    """One whole response: head, and as much body as it says, or until the end."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while b"\r\n\r\n" not in data:
            more = conn.recv(65536)
            if not more:
                return data
            data += more
        head = data.partition(b"\r\n\r\n")[0]
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        wanted = len(head) + 4 + (int(lengths[0].split(b":")[1]) if lengths else 0)
        while len(data) < wanted and (more := conn.recv(65536)):
            data += more
    return data


@contextlib.contextmanager
def public_server(folder: Path, *, origin: str | None = None) -> Iterator[PublicServer]:
    """A running server with one issuer `hotline`; ended by SIGTERM, as a deployment ends it."""
    port = free_port()
    origin = origin or f"http://127.0.0.1:{port}"
    hotline = Sender(issuer="hotline", key_id="hotline-1", origin=origin)
    _settle(folder, port, origin, hotline)
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _RUN, str(folder / "config.toml")], stdout=log, stderr=log, cwd=ROOT
        )
    server = PublicServer(folder=folder, port=port, origin=origin, hotline=hotline, process=process)
    try:
        wait_until(lambda: _ready(server), "the public side is ready", seconds=30)
        yield server
    finally:
        assert end_process(process), "the public side did not end when asked"


def _ready(server: PublicServer) -> bool:
    assert server.process.poll() is None, server.log()
    try:
        answer = server.exchange(b"GET /readyz HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n", seconds=2)
    except OSError:
        time.sleep(0.05)
        return False
    return answer.startswith(b"HTTP/1.1 200")


def _settle(folder: Path, port: int, origin: str, hotline: Sender) -> None:
    init_folder(folder, origin="https://notices.host.example")
    key = {**public_members(hotline.key.public_key()), "kid": hotline.key_id, "alg": "ed25519"}
    (folder / "issuers" / "hotline.jwks.json").write_text(json.dumps({"keys": [key]}))
    categories = ", ".join(f'{name} = "{does}"' for name, does in CATEGORIES.items())
    issuer = f'[[issuers]]\nid = "hotline"\nkeys_file = "issuers/hotline.jwks.json"\ncategories = {{ {categories} }}\n'
    path = folder / "config.toml"
    text = (
        path.read_text().replace("https://notices.host.example", origin).replace("127.0.0.1:8440", f"127.0.0.1:{port}")
    )
    path.write_text(f"{text}\n[limits]\nmax_unsigned_per_minute = 10000\n\n{issuer}")
