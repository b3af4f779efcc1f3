"""The line between worker and agent: who may speak, what is understood, what comes back."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import struct
import threading
from pathlib import Path

import pytest

from adapters.agent import protocol
from adapters.agent.client import AgentStorage
from adapters.agent.server import serve
from adapters.agent.settings import SettingsError
from adapters.contract import (
    ERRORS,
    AdapterError,
    Denied,
    NotFound,
    Partial,
    Ref,
    Retryable,
    Unsupported,
)
from tests.unit.adapters.agent_in_thread import RunningAgent
from tests.unit.adapters.docroot import Docroot
from tests.unit.adapters.running_nginx import wait_for


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


def test_refs_are_bytes_on_the_line(storage: AgentStorage, site: Docroot) -> None:
    name = b"\xff\n:#-.jpg"
    path = os.path.join(os.fsencode(site.root), b"acme", name)
    with open(path, "wb") as file:
        file.write(b"odd")
    ref = Ref(locator=b"acme/" + name, scope=b"acme")
    receipt = storage.block(ref, storage.observe(ref), "op-1")
    assert not os.path.exists(path)
    assert receipt.ref == ref
