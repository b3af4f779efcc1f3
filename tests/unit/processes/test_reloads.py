"""What each process makes of SIGHUP: new settings, words about those that wait, and an ear for the next signal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from adapters.registry import RegistryError
from receiver.config import Config, load_config
from receiver.keyfiles import init_folder
from receiver.processes.admin import AdminProcess
from receiver.processes.web import WebProcess
from receiver.processes.worker import _reloads
from receiver.wiring import BuiltWorker
from tests.support import wait_until


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return init_folder(tmp_path / "r", origin="https://notices.host.example").folder / "config.toml"


def put(file: Path, server: str, more: str = "") -> None:
    file.write_text(file.read_text().replace("[server]", f"[server]\n{server}") + more)


class Worker:
    """Takes settings as a built worker does; `broken` is what stands in the way of the next ones."""

    def __init__(self) -> None:
        self.taken: list[Config] = []
        self.broken: Exception | None = None

    def reload(self, config: Config) -> None:
        broken, self.broken = self.broken, None
        if broken is not None:
            raise broken
        self.taken.append(config)


class Watched:
    """The worker's thread that waits for SIGHUP."""

    def __init__(self, file: Path) -> None:
        self.worker, self.hup, self.stopping = Worker(), threading.Event(), threading.Event()
        args = (cast("BuiltWorker", self.worker), load_config(file, {}), self.hup, self.stopping)
        self.thread = threading.Thread(target=_reloads, args=args)
        self.thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self.hup.set()
        self.thread.join(20)


@pytest.fixture
def watched(file: Path) -> Iterator[Watched]:
    made = Watched(file)
    yield made
    made.stop()


def said(logs: list[Any], event: str) -> list[Any]:
    return [line for line in logs if line["event"] == event]


@pytest.mark.parametrize("broken", [RegistryError("no such plug-in"), OSError(13, "Permission denied")], ids=type)
def test_a_refused_reload_hears_the_next(watched: Watched, broken: Exception) -> None:
    watched.worker.broken = broken
    with capture_logs() as logs:
        watched.hup.set()
        wait_until(lambda: said(logs, "reload.refused"), "it says why", seconds=60)
        watched.hup.set()
        wait_until(lambda: said(logs, "reload.done"), "the next one is taken", seconds=60)
    assert said(logs, "reload.refused")[0]["error"] in {"no such plug-in", "Permission denied"}


def test_settings_of_the_start_are_named(watched: Watched, file: Path) -> None:
    put(file, 'country = "GB"', "\n[worker]\nevidence_threads = 2\n")
    with capture_logs() as logs:
        watched.hup.set()
        wait_until(lambda: said(logs, "reload.done"), "it is taken", seconds=60)
        watched.hup.set()
        wait_until(lambda: len(said(logs, "reload.done")) == 2, "again", seconds=60)
    # Each reload says so, until the worker was started anew.
    assert [line["settings"] for line in said(logs, "reload.restart_needed")] == 2 * [["worker.evidence_threads"]]
    taken = watched.worker.taken[-1]
    assert (taken.server.country, taken.worker.evidence_threads) == ("GB", 4)


@pytest.mark.parametrize(
    ("process", "waiting"), [(WebProcess, "server.web_threads"), (AdminProcess, "server.admin_threads")]
)
def test_faces_name_what_waits(file: Path, process: type[WebProcess | AdminProcess], waiting: str) -> None:
    face = process(file)
    put(file, 'country = "GB"\nweb_threads = 3\nadmin_threads = 3')
    with capture_logs() as logs:
        face.recheck()
    assert [line["settings"] for line in said(logs, "reload.restart_needed")] == [[waiting]]
    assert face._config.server.country == "GB"


def test_faces_keep_what_they_had(file: Path) -> None:
    face = WebProcess(file)
    put(file, "web_treads = 3")
    before = face._config
    face.recheck()
    assert face._config is before
