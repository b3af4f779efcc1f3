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
from receiver.domain.outcome import Update
from receiver.engine.sweeps import EVERY_SECONDS, every_seconds
from receiver.keyfiles import init_folder
from receiver.store import SqlStore
from receiver.wiring import build_store
from receiver.wiring.alarms import LOW_BYTES, build_alarms, space_alarms, sweep_names

ISSUER = '[[issuers]]\nid = "{name}"\n{keys}\ncategories = {{ csam = "act" }}\n'


def ignore(_change: Update) -> None:
    """No page is open here that could be over."""


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
    found = list(space_alarms(config, "one"))
    assert [(alarm.kind, alarm.subject) for alarm in found] == [
        ("space.low", "one server.data_dir"),
        ("space.low", "one vault.path"),
    ]
    usage.free = LOW_BYTES
    assert list(space_alarms(config, "one")) == []


def test_a_changed_key_calls_once(config: Config, store: SqlStore) -> None:
    calls: list[tuple[str, str]] = []
    alarms = build_alarms(config, store, lambda kind, subject, _words: calls.append((kind, subject)), ignore)
    alarms()
    assert not any(kind == "key.alarm" for kind, _ in calls)
    fetched = config.server.data_dir / "key-directories"
    fetched.mkdir()
    known = json.loads((config.folder / "issuers" / "iwf.json").read_text())
    (fetched / "ncm.jwks.json").write_text(json.dumps(known))  # another issuer publishes keys that are not its own
    alarms()
    found = [call for call in calls if call[0] == "key.alarm"]
    assert found
    assert len(found) == len(set(found))


def test_unreadable_keys_call_a_person(config: Config, store: SqlStore) -> None:
    calls: list[tuple[str, str]] = []
    alarms = build_alarms(config, store, lambda kind, subject, _words: calls.append((kind, subject)), ignore)
    (config.folder / "issuers" / "iwf.json").write_text("{")
    alarms()
    assert ("key.alarm", "keys") in calls


def test_each_key_alarm_calls_for_itself(config: Config, store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, str]] = []
    found = ["an old trifle"]
    monkeypatch.setattr("receiver.wiring.alarms.key_alarms", lambda _config, _store: tuple(found))
    alarms = build_alarms(config, store, lambda kind, subject, _words: calls.append((kind, subject)), ignore)
    alarms()
    found.append("another issuer's key was taken over")
    alarms()
    assert len({call for call in calls if call[0] == "key.alarm"}) == 2


def test_every_sweep_is_watched(config: Config) -> None:
    assert set(sweep_names(config)) == set(EVERY_SECONDS) - {"keys", "alarms"} | {"keys:ncm"}
    assert every_seconds("keys:ncm") == EVERY_SECONDS["keys"]
