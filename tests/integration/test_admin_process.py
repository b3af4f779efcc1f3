"""The staff side as it is deployed: the command, gunicorn, an account and a token made on the command line."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from receiver.keyfiles import init_folder
from tests.doubles.public_server import ROOT
from tests.support import free_port, wait_until

COMMAND = [sys.executable, "-m", "receiver"]


@dataclass(frozen=True, kw_only=True)
class AdminServer:
    config: Path
    port: int
    process: subprocess.Popen[bytes]

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def command(self, *words: str) -> str:
        command = [*COMMAND, "--config", str(self.config), *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AdminServer]:
    init_folder(tmp_path, origin="https://notices.host.example")
    config, port = tmp_path / "config.toml", free_port()
    config.write_text(config.read_text().replace("127.0.0.1:8441", f"127.0.0.1:{port}"))
    with (tmp_path / "admin.log").open("wb") as log:
        process = subprocess.Popen([*COMMAND, "--config", str(config), "admin"], stdout=log, stderr=log, cwd=ROOT)
    made = AdminServer(config=config, port=port, process=process)
    try:
        wait_until(lambda: _ready(made, tmp_path / "admin.log"), "the staff side is ready", seconds=40)
        yield made
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=40) == 0


def _ready(server: AdminServer, log: Path) -> bool:
    assert server.process.poll() is None, log.read_text()
    try:
        return server.get("/healthz")[0] == 200
    except OSError:
        return False


def test_first_account_and_token_work(server: AdminServer) -> None:
    assert "admin-user add NAME" in server.get("/sign-in")[1]
    assert server.get("/")[0] == 303
    server.command("admin-user", "add", "ann", "--role", "reviewer")
    assert "admin-user add NAME" not in server.get("/sign-in")[1]
    token = server.command("admin-user", "token", "ann").splitlines()[-1]
    file = server.config.parent / "token"
    file.write_text(token)
    assert "none" in server.command("case", "--token-file", str(file), "list")
    assert "takedown_dead_letters 0.0" in server.get("/metrics", Authorization=f"Bearer {token}")[1]
    assert server.get("/metrics")[0] in (303, 401)
    assert server.get("/static/admin.css")[0] == 200
