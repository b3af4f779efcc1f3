"""A worker that reads its settings again: everything built from them follows, or nothing does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from receiver.config import Config, load_config
from receiver.domain.errors import ReceiverError, StoreUnavailableError
from receiver.domain.outcome import Outcome, Page
from receiver.engine.sweeps import Sweep
from receiver.keyfiles import init_folder
from receiver.vault.age import new_identity
from receiver.wiring import BuiltWorker, build_worker

ISSUER = """
[[issuers]]
id = "ncm"
keys_url = "https://hotline.example/keys"
categories = { csam = "act" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = init_folder(tmp_path / "r", origin="https://notices.host.example").folder
    (made / "keys" / "custodians.txt").write_text("\n".join(new_identity()[1] for _ in range(2)) + "\n")
    return made


@pytest.fixture
def built(folder: Path) -> Iterator[BuiltWorker]:
    made = build_worker(read(folder))
    yield made
    listener: Any = made.worker._wait_for_call
    listener.__self__.close()
    made.committer.close()
    made.store.close()


def read(folder: Path, more: str = "") -> Config:
    with (folder / "config.toml").open("a") as file:
        file.write(more)
    return load_config(folder / "config.toml", {})


def again_after(folder: Path, minutes: int) -> Config:
    file = folder / "config.toml"
    file.write_text(file.read_text().replace("[policy]", f"[policy]\npage_again_minutes = [{minutes}]"))
    return read(folder)


def sweep(built: BuiltWorker, name: str) -> Sweep:
    (found,) = built.sweeper._scheduler.get_job(name).args
    assert isinstance(found, Sweep)
    return found


def names(built: BuiltWorker) -> set[str]:
    return {job.id for job in built.sweeper._scheduler.get_jobs()}


def test_pages_call_again_by_new_settings(built: BuiltWorker, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built.store.commit([Outcome(pages=(Page(kind="paused", subject="all", text="t"),))])
    monkeypatch.setattr("receiver.store.queue.WorkQueue.now", lambda _self: time.time_ns() // 1000 + 120_000_000)
    sweep(built, "pages").job()
    assert [page.count for page in built.store.open_pages(5)] == [1]
    built.reload(again_after(folder, 1))
    sweep(built, "pages").job()
    assert [page.count for page in built.store.open_pages(5)] == [2]


def test_new_issuers_have_their_keys_fetched(built: BuiltWorker, folder: Path) -> None:
    assert "keys:ncm" not in names(built)
    built.reload(read(folder, ISSUER))
    assert "keys:ncm" in names(built)
    config = folder / "config.toml"
    config.write_text(config.read_text().replace(ISSUER, ""))
    built.reload(read(folder))
    assert "keys:ncm" not in names(built)


def test_a_reload_is_written_down(built: BuiltWorker, folder: Path) -> None:
    config = again_after(folder, 7)
    built.reload(config)
    (row,) = built.store.list_workers()
    assert row.config_sha256 == config.sha256()


def test_what_cannot_be_built_changes_nothing(built: BuiltWorker, folder: Path) -> None:
    before = (built.worker.tools, sweep(built, "pages"), built.store.list_workers()[0].config_sha256)
    (folder / "keys" / "callback.pem").write_text("no key")
    with pytest.raises(ReceiverError):
        built.reload(again_after(folder, 7))
    assert before == (built.worker.tools, sweep(built, "pages"), built.store.list_workers()[0].config_sha256)


def test_an_unwritten_reload_is_in_force(built: BuiltWorker, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_about: str) -> None:
        raise StoreUnavailableError("away")

    monkeypatch.setattr("receiver.store.queue.WorkQueue.reconfigured", away)
    before = sweep(built, "pages")
    built.reload(again_after(folder, 7))
    assert sweep(built, "pages") is not before


def test_reloading_gives_no_sweep_new_time(built: BuiltWorker, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late_micros = time.time_ns() // 1000 + 600_000_000
    monkeypatch.setattr("receiver.store.queue.WorkQueue.now", lambda _self: late_micros)
    built.reload(again_after(folder, 7))
    sweep(built, "alarms").job()
    assert ("sweep.late", "nonces") in [(page.kind, page.subject) for page in built.store.open_pages(50)]
