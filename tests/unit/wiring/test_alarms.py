"""The worker's own alarms over real settings: full disks, keys that changed, sweeps that every worker has."""

from __future__ import annotations

import json
import os
import shutil
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.config import Config, load_config
from receiver.engine.sweeps import EVERY_SECONDS, every_seconds
from receiver.keyfiles import init_folder
from receiver.store import SqlStore
from receiver.wiring import build_store
from receiver.wiring.alarms import LOW_BYTES, build_alarms, space_alarms, sweep_names

ISSUER = '[[issuers]]\nid = "{name}"\n{keys}\ncategories = {{ csam = "act" }}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = init_folder(tmp_path / "r", origin="https://notices.host.example").folder
    shutil.copy(made / "keys" / "public.jwks.json", made / "issuers" / "iwf.json")
    with (made / "config.toml").open("a") as file:
        file.write(ISSUER.format(name="iwf", keys='keys_file = "issuers/iwf.json"'))
        file.write(ISSUER.format(name="ncm", keys='keys_url = "https://hotline.example/keys"'))
    return made


@pytest.fixture
def config(folder: Path) -> Config:
    return load_config(folder / "config.toml", {})


@pytest.fixture
def store(config: Config) -> Iterator[SqlStore]:
    made = build_store(config, create=True)
    yield made
    made.close()


def test_little_space_calls_for_each_place(config: Config, store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store is not None
    os.makedirs(config.vault.path)
    usage = types.SimpleNamespace(free=LOW_BYTES - 1)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
    found = list(space_alarms(config))
    assert [(alarm.kind, alarm.subject) for alarm in found] == [
        ("space.low", "server.data_dir"),
        ("space.low", "vault.path"),
    ]
    usage.free = LOW_BYTES
    assert list(space_alarms(config)) == []


def test_a_changed_key_calls_once(config: Config, store: SqlStore) -> None:
    calls: list[tuple[str, str]] = []
    alarms = build_alarms(config, store, lambda kind, subject, _words: calls.append((kind, subject)))
    alarms()
    assert ("key.alarm", "keys") not in calls
    fetched = config.server.data_dir / "key-directories"
    fetched.mkdir()
    known = json.loads((config.folder / "issuers" / "iwf.json").read_text())
    (fetched / "ncm.jwks.json").write_text(json.dumps(known))  # another issuer publishes keys that are not its own
    alarms()
    assert calls.count(("key.alarm", "keys")) == 1


def test_every_sweep_is_watched(config: Config) -> None:
    assert set(sweep_names(config)) == set(EVERY_SECONDS) - {"keys", "alarms"} | {"keys:ncm"}
    assert every_seconds("keys:ncm") == EVERY_SECONDS["keys"]
