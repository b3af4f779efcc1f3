"""Bodies and many requests over the agent's line, within its limits."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.agent import protocol
from adapters.agent.client import AgentGate, AgentStorage
from adapters.agent.dispatch import ActLimit
from adapters.contract import (
    AdapterError,
    Changed,
    DenyTarget,
    Retryable,
)
from tests.unit.adapters.agent_in_thread import RunningAgent
from tests.unit.adapters.docroot import Docroot
from tests.unit.adapters.running_nginx import wait_for


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
