"""The agent as a process: it gives up what it does not need, and acts on files, gate and cache."""

from __future__ import annotations

import ast
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.agent.client import AgentCache, AgentGate, AgentStorage
from adapters.agent.server import needed_capabilities
from adapters.agent.settings import AgentSettings
from adapters.contract import (
    CacheHints,
    DenyTarget,
    GateStatus,
    PurgeStatus,
)
from tests.doubles.nginx_map import render
from tests.unit.adapters.docroot import Docroot
from tests.unit.adapters.running_nginx import RunningNginx, free_port, raw_get, wait_for

ROOT = Path(__file__).parents[3]
CAPABILITIES = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_LINUX_IMMUTABLE": 9, "CAP_LEASE": 28}


def test_testing_nginx_needs_one_capability_more() -> None:
    plain = AgentSettings(socket="s", gates={"g": {"map_file": "m"}})
    assert set(needed_capabilities(plain)) == set(CAPABILITIES)
    tests = AgentSettings(socket="s", gates={"g": {"map_file": "m", "test_command": ["nginx", "-t"]}})
    assert set(needed_capabilities(tests)) - set(CAPABILITIES) == {"CAP_NET_BIND_SERVICE"}


def test_process_drops_privileges_and_acts(site: Docroot, tmp_path: Path) -> None:
    """The whole of it: a process with five capabilities blocks a file of another user's and reloads a real nginx."""
    map_file, port = tmp_path / "deny.conf", free_port()
    map_file.write_bytes(render([], "0"))
    server = RunningNginx(
        tmp_path,
        f"""map_hash_bucket_size 8192; include {map_file};
        server {{ listen 127.0.0.1:{port}; if ($takedown_deny) {{ return 404; }} root {site.root}; }}""",
    )
    settings = {
        "socket": "agent.sock",
        "filesystems": {"www": {"root": str(site.root), "quarantine_dir": str(site.held)}},
        "gates": {"web": {"type": "nginx", "map_file": str(map_file), "reload_command": [],
                          "test_command": server.test_command, "pid_file": str(server.pid_file)}},
        "caches": {"edge": {"type": "nginx", "cache_dir": str(tmp_path / "cache")}},
    }  # fmt: skip
    (tmp_path / "agent.json").write_text(json.dumps(settings))
    process = subprocess.Popen(
        [sys.executable, "-m", "adapters.agent.server", "--settings", tmp_path / "agent.json"],
        cwd=ROOT, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        path = str(tmp_path / "agent.sock")
        wait_for(lambda: os.path.exists(path) and can_connect(path))
        check_capabilities(process.pid)
        check_filesystem(AgentStorage("www", path), site)
        check_gate(AgentGate("web", path), port)
        check_cache(AgentCache("edge", path))
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        server.stop()
    assert not (tmp_path / "agent.sock").exists()


def can_connect(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as link:
        return link.connect_ex(path) == 0


def check_capabilities(pid: int) -> None:
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    wanted = sum(1 << number for number in (*CAPABILITIES.values(), 10))
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert int(status[name], 16) == wanted
    assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def check_filesystem(storage: AgentStorage, site: Docroot) -> None:
    ref = site.put()
    os.chown(site.path("a.jpg"), 1234, 1234)
    site.path("a.jpg").chmod(0o600)
    receipt = storage.block(ref, storage.observe(ref), "op-1")
    assert storage.freeze(ref, receipt).promised
    with storage.open(ref, receipt.pins[0]) as reader:
        assert reader.read() == b"a colour field"
    assert storage.unblock(ref, receipt).losses == ()
    assert storage.probe().lost == ()
    storage.close()


def check_gate(gate: AgentGate, port: int) -> None:
    (target,) = [DenyTarget(url="https://x/", host="img.example", path=b"/acme/b.jpg")]
    receipt = gate.deny([target], "op-1")
    assert gate.state(receipt) is GateStatus.DENYING
    assert raw_get(port, "img.example", b"/acme/b.jpg")[0] == 404
    gate.allow(receipt)
    assert gate.state(receipt) is GateStatus.OPEN
    gate.close()


def check_cache(cache: AgentCache) -> None:
    ticket = cache.purge(cache.variants("http://img.example/a.jpg", CacheHints()), "op-1")
    assert ticket.status is PurgeStatus.DONE
    assert cache.status(ticket) is PurgeStatus.DONE
    cache.close()


@pytest.mark.parametrize("room", ["filesystem", "nginx", "agent"])
def test_agent_needs_old_python_only(room: str) -> None:
    """Grammar of 3.9, and no import from outside the standard library and these rooms."""
    contract = ("contract", "values", "json_form", "errors", "edges")
    files = [*(ROOT / "adapters" / room).glob("*.py"), *(ROOT / f"adapters/{name}.py" for name in contract)]
    for file in files:
        tree = ast.parse(file.read_text(), feature_version=(3, 9))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                first = name.split(".")[0]
                assert first in sys.stdlib_module_names or name.startswith("adapters."), f"{file.name}: {name}"
