from __future__ import annotations

import ast
import contextlib
import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from adapters.agent import protocol
from adapters.agent.address import socket_path
from adapters.agent.client import AgentCache, AgentGate, AgentStorage
from adapters.agent.dispatch import ActLimit
from adapters.agent.server import main, needed_capabilities, serve
from adapters.agent.settings import Adapters, AgentSettings, SettingsError, build, from_table, load
from adapters.contract import (
    ERRORS,
    AdapterError,
    CacheHints,
    Changed,
    Denied,
    DenyTarget,
    GateStatus,
    NotFound,
    Partial,
    PurgeStatus,
    Ref,
    Retryable,
    Unsupported,
)
from adapters.filesystem.plugin import PLUGIN
from adapters.memory import MemoryGate
from adapters.nginx.plugin import CACHE_PLUGIN, GATE_PLUGIN
from adapters.nginx.rules import render
from tests.unit.adapters.docroot import Docroot
from tests.unit.adapters.running_nginx import RunningNginx, free_port, raw_get, wait_for

ROOT = Path(__file__).parents[3]
CAPABILITIES = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_LINUX_IMMUTABLE": 9, "CAP_LEASE": 28}


class RunningAgent:
    """An agent in a thread of the test, over a docroot and a memory gate."""

    def __init__(self, site: Docroot, path: Path, **changed: Any) -> None:
        self.path = str(path)
        self.settings = AgentSettings(socket=self.path, **changed)
        self.adapters = Adapters(storage={"www": site.adapter}, gate={"g": MemoryGate()}, cache={})
        self.start()

    def start(self) -> None:
        self.stop_event, ready = threading.Event(), threading.Event()
        self.thread = threading.Thread(
            target=serve,
            args=(self.settings, self.stop_event),
            kwargs={"adapters": self.adapters, "on_ready": ready.set},
        )
        self.thread.start()
        assert ready.wait(10)

    def stop(self) -> None:
        self.stop_event.set()
        self.thread.join(20)
        assert not self.thread.is_alive()

    def connect(self) -> socket.socket:
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(10)
        link.connect(self.path)
        return link


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Docroot]:
    made = Docroot(tmp_path)
    yield made
    made.clear()


@pytest.fixture
def agent(site: Docroot, tmp_path: Path) -> Iterator[RunningAgent]:
    made = RunningAgent(site, tmp_path / "run" / "agent.sock")
    yield made
    made.stop()


@pytest.fixture
def storage(agent: RunningAgent) -> Iterator[AgentStorage]:
    client = AgentStorage("www", agent.path)
    yield client
    client.close()


# --- the line


def test_socket_is_for_its_group(agent: RunningAgent) -> None:
    assert os.stat(agent.path).st_mode & 0o777 == 0o660
    assert os.stat(os.path.dirname(agent.path)).st_mode & 0o777 == 0o750


def test_absent_agent_is_retryable(tmp_path: Path) -> None:
    with pytest.raises(Retryable, match="takedown-receiver agent"):
        AgentStorage("www", str(tmp_path / "none.sock")).probe()


def test_restarted_agent_is_found_again(agent: RunningAgent, storage: AgentStorage, site: Docroot) -> None:
    ref = site.put()
    seen = storage.observe(ref)
    agent.stop()
    with pytest.raises(Retryable):
        storage.observe(ref)
    agent.start()
    assert storage.observe(ref) == seen
    agent.stop()
    agent.start()
    assert storage.observe(ref) == seen


def test_unknown_name_is_not_found(agent: RunningAgent) -> None:
    client = AgentStorage("nowhere", agent.path)
    with pytest.raises(NotFound, match="settings"):
        client.probe()
    client.close()


def test_strangers_are_denied(site: Docroot, tmp_path: Path) -> None:
    agent = RunningAgent(site, tmp_path / "agent.sock", allow_uids=(54321,))
    client = AgentStorage("www", agent.path)
    with pytest.raises(Denied, match="allow_uids"):
        client.probe()
    client.close()
    agent.stop()


def test_long_socket_paths_work(site: Docroot, tmp_path: Path) -> None:
    agent = RunningAgent(site, tmp_path / ("d" * 120) / "agent.sock")
    client = AgentStorage("www", agent.path)
    assert client.observe(site.put()).versions
    client.close()
    agent.stop()


def test_stale_socket_is_replaced(site: Docroot, tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    agent = RunningAgent(site, path)
    with pytest.raises(SettingsError, match="another agent"):
        serve(agent.settings, threading.Event(), adapters=agent.adapters)
    agent.stop()
    assert not path.exists()
    path.write_text("not a socket")
    with pytest.raises(SettingsError, match="no socket"):
        serve(agent.settings, threading.Event(), adapters=agent.adapters)
    assert path.read_text() == "not a socket"


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("!cI", b"J", 5 * 1024 * 1024),
        struct.pack("!cI", b"J", 3) + b"{}x",
        struct.pack("!cI", b"J", 2) + b"{}",
        struct.pack("!cI", b"B", 2) + b"{}",
        struct.pack("!cI", b"J", 60_000) + b"[" * 60_000,
    ],
)
def test_malformed_frames_end_connection(agent: RunningAgent, caplog: pytest.LogCaptureFixture, sent: bytes) -> None:
    with caplog.at_level(logging.WARNING), agent.connect() as link:
        link.sendall(sent)
        # What was not read when the agent closed makes the kernel reset the connection.
        with contextlib.suppress(ConnectionResetError):
            assert link.recv(100) == b""
    wait_for(lambda: caplog.records)
    assert "GET" not in caplog.text


@pytest.mark.parametrize(
    "changed",
    [
        {"v": 2}, {"adapter": "shell"}, {"method": "_block"}, {"method": "close"}, {"method": "__init__"},
        {"args": {}}, {"args": {"ref": {"locator": "acme/secret.jpg", "scope": ""}}},
        {"args": {"ref": {"locator": {"b64": "!"}, "scope": {"b64": ""}}}}, {"args": None}, {"method": ["observe"]},
    ],
)  # fmt: skip
def test_wrong_requests_end_connection(
    agent: RunningAgent, caplog: pytest.LogCaptureFixture, changed: dict[str, object]
) -> None:
    ref = {"locator": {"b64": "YQ=="}, "scope": {"b64": ""}}
    message = {"v": 1, "id": 1, "adapter": "storage", "name": "www", "method": "observe", "args": {"ref": ref}}
    with caplog.at_level(logging.WARNING), agent.connect() as link:
        protocol.send_json(link, {**message, **changed})
        assert link.recv(100) == b""
    wait_for(lambda: caplog.records)
    assert "secret" not in caplog.text


def test_errors_keep_their_kind() -> None:
    for kind, cls in ERRORS.items():
        if cls is Partial:
            error: AdapterError = Partial("half", done=["a"], left=["b"])
        elif cls is Retryable:
            error = Retryable("later", after_seconds=7.5)
        else:
            error = cls("words")
        again = protocol.error_from_json(json.loads(json.dumps(protocol.error_to_json(error))))
        assert (type(again), again.kind, str(again)) == (cls, kind, str(error))
        assert vars(again) == vars(error)
    assert isinstance(protocol.error_from_json({"kind": "new"}), AdapterError)
    assert isinstance(protocol.error_from_json({"kind": "unsupported", "capability": "x"}), Unsupported)


# --- bodies


def test_large_body_comes_in_pieces(storage: AgentStorage, site: Docroot) -> None:
    body = os.urandom(3 * 1024 * 1024 + 17)
    ref = site.put(body=body)
    with storage.open(ref, storage.observe(ref).pins[0], offset=5) as reader:
        pieces = list(iter(lambda: reader.read(16 * 1024 * 1024), b""))
        assert max(map(len, pieces)) <= protocol.CHUNK_BYTES
        assert reader.read() == b""
    assert b"".join(pieces) == body[5:]


def test_change_while_reading_comes_through(storage: AgentStorage, site: Docroot) -> None:
    ref = site.put(body=b"x" * 100)
    reader = storage.open(ref, storage.observe(ref).pins[0])
    assert reader.read(10)
    site.put(body=b"y" * 100)
    with pytest.raises(Changed):
        list(iter(lambda: reader.read(100), b""))
    reader.close()


def test_half_read_bodies_free_their_files(storage: AgentStorage, site: Docroot) -> None:
    ref = site.put(body=b"x" * 5000)
    pin = storage.observe(ref).pins[0]
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(30):
        with storage.open(ref, pin) as reader:
            reader.read(10)
    for _ in range(5):
        storage.open(ref, pin)
    wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before + 4)


def test_many_threads_share_one_client(storage: AgentStorage, site: Docroot) -> None:
    refs = [site.put(f"{n}.jpg", b"field %d" % n) for n in range(40)]

    def cycle(number: int) -> bytes:
        ref = refs[number]
        receipt = storage.block(ref, storage.observe(ref), f"op-{number}")
        with storage.open(ref, receipt.pins[0]) as reader:
            body = b"".join(iter(lambda: reader.read(3), b""))
        storage.unblock(ref, receipt)
        return body

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(cycle, range(40))) == [b"field %d" % n for n in range(40)]


# --- limits


def test_acts_beyond_limit_wait(site: Docroot, tmp_path: Path) -> None:
    agent = RunningAgent(site, tmp_path / "agent.sock", max_acts_per_minute=2)
    client, gate = AgentStorage("www", agent.path), AgentGate("g", agent.path)
    refs = [site.put(f"{n}.jpg") for n in range(2)]
    receipts = [client.block(ref, client.observe(ref), f"op-{n}") for n, ref in enumerate(refs)]
    target = DenyTarget(url="https://x/", host="x", path=b"/")
    with pytest.raises(Retryable, match="max_acts_per_minute") as caught:
        gate.deny([target], "op-9")
    assert 0 < caught.value.after_seconds <= 60
    client.unblock(refs[0], receipts[0])
    client.close()
    gate.close()
    agent.stop()


def test_limit_slides_with_time() -> None:
    now = [0.0]
    limit = ActLimit(2, lambda: now[0])
    for at in (0, 30, 60, 90):
        now[0] = at
        limit.count()
    with pytest.raises(Retryable):
        limit.count()


def test_too_large_request_is_told(agent: RunningAgent) -> None:
    gate = AgentGate("g", agent.path)
    targets = [DenyTarget(url="https://x/", host="x", path=b"/" + b"l" * 6000)] * 1000
    with pytest.raises(AdapterError):
        gate.deny(targets, "op-1")
    gate.close()


# --- settings


def test_mistakes_come_all_together(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        from_table({"sokcet": 1, "allow_uids": ["root"], "max_acts_per_minute": "many", "gates": {"g": 1}})
    assert len(str(caught.value).splitlines()) == 5
    with pytest.raises(SettingsError) as caught:
        build(
            AgentSettings(
                socket="s",
                filesystems={"a": {"root": "/nowhere", "quarantine_dir": "/nowhere2"}, "b": {"rot": "/"}},
                gates={"c": {"type": "iis"}, "d": {"type": "nginx", "map_file": "x", "reload_command": []}},
            )
        )
    assert len(str(caught.value).splitlines()) == 4


def test_empty_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match="nothing to act on"):
        build(AgentSettings(socket="s"))


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_settings_files_are_read(site: Docroot, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"agent.{suffix}"
    if suffix == "json":
        tables = {"www": {"root": str(site.root), "quarantine_dir": str(site.held)}}
        file.write_text(json.dumps({"socket": "run/agent.sock", "allow_uids": [7], "filesystems": tables}))
    else:
        file.write_text(
            f'socket = "run/agent.sock"\nallow_uids = [7]\n[filesystems.www]\nroot = "{site.root}"\n'
            f'quarantine_dir = "{site.held}"\n'
        )
    settings = load(str(file))
    assert settings.socket == str(tmp_path / "run/agent.sock")
    assert settings.allow_uids == (7,)
    assert set(build(settings).storage) == {"www"}


def test_bad_settings_end_with_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "adapters.agent.server", "--settings", str(tmp_path / "none.toml")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "settings file" in done.stderr
    assert callable(main)


def test_testing_nginx_needs_one_capability_more() -> None:
    plain = AgentSettings(socket="s", gates={"g": {"map_file": "m"}})
    assert set(needed_capabilities(plain)) == set(CAPABILITIES)
    tests = AgentSettings(socket="s", gates={"g": {"map_file": "m", "test_command": ["nginx", "-t"]}})
    assert set(needed_capabilities(tests)) - set(CAPABILITIES) == {"CAP_NET_BIND_SERVICE"}


def test_plugins_build_clients_only(tmp_path: Path) -> None:
    tools = {"data_dir": tmp_path}
    for plugin, cls in ((PLUGIN, AgentStorage), (GATE_PLUGIN, AgentGate), (CACHE_PLUGIN, AgentCache)):
        settings = plugin.settings(agent="unix:run/agent.sock")
        assert isinstance(plugin.build("www", settings, tools), cls)
        for wrong in ("", "run/agent.sock", "unix:"):
            with pytest.raises(ValueError, match="agent"):
                plugin.settings(agent=wrong)
    assert socket_path("unix:run/a.sock", tools) == str(tmp_path / "run/a.sock")
    assert socket_path("unix:/run/a.sock", tools) == "/run/a.sock"


def test_agent_cache_names_variants_itself(tmp_path: Path) -> None:
    cache = AgentCache("edge", str(tmp_path / "none"))
    assert len(cache.variants("http://h.example/a b.jpg?x=1", CacheHints(aliases=("i.example",)))) > 8


# --- the process


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


# --- shipped to machines with an older Python


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


def test_refs_are_bytes_on_the_line(storage: AgentStorage, site: Docroot) -> None:
    name = b"\xff\n:#-.jpg"
    path = os.path.join(os.fsencode(site.root), b"acme", name)
    with open(path, "wb") as file:
        file.write(b"odd")
    ref = Ref(locator=b"acme/" + name, scope=b"acme")
    receipt = storage.block(ref, storage.observe(ref), "op-1")
    assert not os.path.exists(path)
    assert receipt.ref == ref
