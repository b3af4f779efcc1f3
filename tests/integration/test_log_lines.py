"""A whole run of public side and worker: every line is JSON under a listed name, and the figures add up."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from receiver.vault.age import new_identity
from receiver.wiring.counts import read_counts
from tests.doubles.public_server import ROOT, PublicServer, public_server
from tests.integration.test_public_server import status, wire
from tests.support import wait_until

EVENTS = set(re.findall(r"^\| `([a-z_.]+)` \|", (ROOT / "docs" / "logs.md").read_text(encoding="utf-8"), re.MULTILINE))
SECRET = "colour-field-9f3"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicServer]:
    with public_server(tmp_path_factory.mktemp("logs")) as running:
        yield running


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def worked(server: PublicServer) -> str:
    """What a worker says that runs until nothing is left to do."""
    recipients = "\n".join(new_identity()[1] for _ in range(2))
    (server.folder / "keys" / "custodians.txt").write_text(recipients + "\n")
    argv = [sys.executable, "-m", "receiver", "--config", str(server.folder / "config.toml"), "worker"]
    log = server.folder / "worker.log"
    with log.open("wb") as file:
        process = subprocess.Popen(argv, stdout=file, stderr=file, cwd=ROOT)
    try:
        wait_until(lambda: process.poll() is None and "items.told" in log.read_text(), "items are told", seconds=60)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    return log.read_text()


def test_a_whole_run_uses_listed_names(server: PublicServer) -> None:
    url = f"https://elsewhere.example/{SECRET}.jpg"
    assert status(server.exchange(wire(server.hotline.notice(notice_id="lines", urls=[url])))) == 202
    forged = server.hotline.notice(notice_id="forged")
    bad = wire(forged).replace(b"sig1=:", b"sig1=:AAAA", 1)
    assert status(server.exchange(bad)) in {400, 401}
    server.exchange(b"GARBAGE\r\n\r\n")
    said = {"web": server.log(), "worker": worked(server)}
    for process, text in said.items():
        assert SECRET not in text
        for line in lines(text):
            assert line["event"] in EVENTS, line
            assert {"at", "level", "process", "event"} <= set(line)
            assert line["process"] == process
    names = {line["event"] for text in said.values() for line in lines(text)}
    assert {"request.refused", "request.broken", "items.told", "worker.started", "worker.ended"} <= names


def test_counts_of_all_processes_add_up(server: PublicServer) -> None:
    data_dir = server.folder / "data"
    before = total(data_dir)
    for number in range(12):
        server.exchange(wire(server.hotline.notice(notice_id=f"count-{number}")))
    assert total(data_dir) == before + 12
    assert len(list((data_dir / "run" / "figures").glob("web-*"))) == 2


def total(data_dir: Path) -> float:
    return sum(count.value for count in read_counts(data_dir) if count.name == "requests_taken")
