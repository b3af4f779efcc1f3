"""`check` asks the database, the processes, the adapters and the agent."""

from __future__ import annotations

import errno
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.agent.server import serve
from adapters.agent.settings import Adapters, AgentSettings
from adapters.contract import AdapterError, Capabilities
from adapters.memory.storage import MemoryStorage
from receiver.cli.checks import adapters
from receiver.cli.checks import database as db_checks
from receiver.cli.findings import Finding, Level
from receiver.config import Config
from receiver.domain.outcome import Outcome, Page
from receiver.store.errors import SchemaError
from receiver.store.probe import DatabaseFacts
from receiver.wiring import build_store
from tests.doubles.check_answers import answers, config_of, only
from tests.unit.cli.conftest import Typed

# --- database and processes


def test_tables_of_another_program_are_told(database_config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_config: Config, **_how: bool) -> object:
        raise SchemaError("the database has tables of version 9")

    monkeypatch.setattr("receiver.cli.checks.database.build_store", refused)
    assert only(db_checks.ask_database(database_config), "D02").level is Level.FAIL


def test_another_data_key_is_told(database: Typed, database_config: Config) -> None:
    database("pause")  # the first process leaves the key's mark
    (database.folder / "keys" / "data.key").write_bytes(b"QUFB" * 10 + b"QUE=\n")
    found = only(database_module_asks(database_config), "D03")
    assert found.level is Level.FAIL
    assert found.see.endswith("#keysdata_key_file")


def database_module_asks(config: Config) -> list[Finding]:
    return list(db_checks.ask_database(config))


def test_database_measures_what_it_asks(database_config: Config) -> None:
    found = database_module_asks(database_config)
    assert answers(found) == ["D05", "D01", "D02", "D03", "T02", "D04"]
    told = {name for finding in found for name in finding.measured}
    assert {"free_bytes", "fsync_ms", "open_ms", "answer_ms", "drift_ms", "version", "size_bytes"} <= told


def test_little_space_is_told(database_config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, level in ((db_checks.LOW_BYTES - 1, Level.WARN), (db_checks.FULL_BYTES - 1, Level.FAIL)):
        monkeypatch.setattr("shutil.disk_usage", lambda _path, free=free: type("Usage", (), {"free": free}))
        assert only(database_module_asks(database_config), "D05").level is level


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "Free space"), (errno.EROFS, "can be written")])
def test_a_folder_that_takes_nothing_is_told(
    database_config: Config, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def refused(_folder: Path) -> float:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("receiver.cli.checks.database._synced_ms", refused)
    told = only(database_module_asks(database_config), "D05")
    assert (told.level, words in told.hint) == (Level.FAIL, True)


def test_unsafe_settings_and_roles_are_told(database_config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    safe = DatabaseFacts(
        kind="PostgreSQL",
        version="15",
        size_bytes=1,
        unsafe=(),
        role_fits=("web",),
        role_lacks=(),
        role_is_owner=False,
    )
    cases = (
        (safe, "D06", Level.OK),
        (replace(safe, unsafe=("fsync is off",)), "D04", Level.FAIL),
        (replace(safe, role_fits=(), role_lacks=("INSERT on item",)), "D06", Level.FAIL),
        (replace(safe, role_is_owner=True), "D06", Level.WARN),
    )
    for facts, question, level in cases:
        monkeypatch.setattr("receiver.store.probe.Probes.facts", lambda _self, facts=facts: facts)
        assert only(database_module_asks(database_config), question).level is level


def test_a_clock_apart_is_told(database_config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receiver.store.queue.WorkQueue.now", lambda _self: time.time_ns() // 1000 + 5_000_000)
    assert only(database_module_asks(database_config), "T02").level is Level.WARN


def test_processes_with_other_settings_are_told(database_config: Config) -> None:
    store = build_store(database_config)
    store.register_worker("here", "worker-0", "boot", 1, database_config.sha256())
    assert only(db_checks.ask_processes(database_config), "W01").measured == {"alive": 1}
    store.register_worker("there", "worker-0", "boot", 1, "other")
    store.close()
    found = only(db_checks.ask_processes(database_config), "W01")
    assert (found.level, found.words) == (Level.FAIL, "there:worker-0 runs with other settings")


def test_late_sweeps_are_told_while_a_worker_lives(database_config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    ages = {"pages": 200, "letters": 200, "keys:gone": 10**9}
    monkeypatch.setattr("receiver.store.queue.WorkQueue.sweep_ages", lambda _self: ages)
    assert "W02" not in answers(db_checks.ask_processes(database_config))
    store = build_store(database_config)
    store.register_worker("here", "worker-0", "boot", 1, database_config.sha256())
    store.close()
    found = only(db_checks.ask_processes(database_config), "W02")
    assert (found.about, found.measured) == ("sweeps.pages", {"age_seconds": 200})


def test_what_waits_for_people_is_counted(database_config: Config) -> None:
    assert only(db_checks.ask_processes(database_config), "W04").level is Level.OK
    store = build_store(database_config)
    store.commit([Outcome(pages=(Page(kind="k", subject="s", text="t"),))])
    store.close()
    found = only(db_checks.ask_processes(database_config), "W04")
    assert (found.level, found.measured["open_pages"]) == (Level.WARN, 1)


def test_a_pause_is_told(database: Typed, database_config: Config) -> None:
    database("pause", "--adapter", "www")
    assert "adapter:www" in only(db_checks.ask_processes(database_config), "W03").words


# --- stores, gates, caches, the agent


def test_a_store_whose_root_is_gone_is_named(typed: Typed, tmp_path: Path) -> None:
    root, quarantine = tmp_path / "www", tmp_path / "q"
    table = f'root = "{root}"\nquarantine_dir = "{quarantine}"\nagent = "unix:run/agent.sock"\n'
    config = config_of(typed, f'[adapters.files]\ntype = "filesystem"\n{table}')

    def words() -> str:
        (found,) = [f for f in adapters.ask_adapters(config) if (f.id, f.about) == ("A02", "adapters.files")]
        return found.words

    assert words() == f"{root}, its root, is not there"
    root.mkdir()
    assert "agent does not answer" in words()


def test_each_adapter_measures_itself(typed: Typed) -> None:
    found = [f for f in adapters.ask_adapters(config_of(typed)) if f.id == "A02"]
    assert [f.about for f in found] == ["adapters.www", "gates.front", "caches.edge"]
    assert [f.see.partition("#")[2] for f in found] == ["adapters", "gates", "caches"]
    assert all("probe_ms" in f.measured for f in found)


def test_a_store_that_cannot_block_fails(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(typed)
    monkeypatch.setattr(MemoryStorage, "_probe", lambda _self: Capabilities(name="x", lost=("no immutable flag",)))
    found = [finding for finding in adapters.ask_adapters(config) if finding.about == "adapters.www"]
    assert [(f.id, f.level.value) for f in found] == [("A02", "ok"), ("A04", "fail"), ("A03", "warn")]

    def away(_self: object) -> None:
        raise AdapterError("away")

    monkeypatch.setattr(MemoryStorage, "_probe", away)
    assert answers(adapters.ask_adapters(config), Level.FAIL) == ["A02"]


AGENT = '[adapters.files]\ntype = "filesystem"\nagent = "unix:run/agent.sock"\nroot = "/r"\nquarantine_dir = "/q"\n'


def test_agent_must_know_the_names(typed: Typed) -> None:
    config = config_of(typed, AGENT)
    settings = typed.folder / "agent.toml"
    settings.write_text('socket = "data/run/agent.sock"\n[filesystems.other]\nroot = "/r"\nquarantine_dir = "/q"\n')
    found = only(adapters.ask_agent(config), "G02")
    assert (found.about, found.level) == ("adapters.files", Level.FAIL)
    settings.write_text('socket = "elsewhere.sock"\n')
    assert "no table names the socket" in only(adapters.ask_agent(config), "G02").words
    settings.write_text('sockett = "x"\n')
    assert "G01" in answers(adapters.ask_agent(config), Level.FAIL)
    settings.unlink()
    assert answers(adapters.ask_agent(config)) == ["G01", "G03"]


def test_agent_socket_is_asked(typed: Typed) -> None:
    """By a real agent, which answers that it has no such store."""
    config = config_of(typed, AGENT)
    path = str(config.server.data_dir / "run" / "agent.sock")
    assert "does not answer" in only(adapters.ask_agent(config), "G03").words
    for uids, level in (((os.geteuid(),), Level.OK), ((1,), Level.FAIL)):
        stop, ready = threading.Event(), threading.Event()
        settings = AgentSettings(socket=path, allow_uids=uids)
        empty = Adapters(storage={}, gate={}, cache={})
        more = {"adapters": empty, "on_ready": ready.set}
        thread = threading.Thread(target=serve, args=(settings, stop), kwargs=more)
        thread.start()
        try:
            assert ready.wait(30)
            if level is Level.OK or os.geteuid() != 0:
                assert only(adapters.ask_agent(config), "G03").level is level
        finally:
            stop.set()
            thread.join(30)


def test_missing_folder_stays_missing(database_config: Config) -> None:
    """Made by whoever types this, it would be theirs and not the processes'."""
    gone = database_config.server.data_dir.parent / "not-there"
    server = database_config.server.model_copy(update={"data_dir": gone})
    url = database_config.database.model_copy(update={"url": "postgresql+psycopg://u@127.0.0.1:1/none"})
    found = list(db_checks.ask_database(database_config.model_copy(update={"server": server, "database": url})))
    assert {"D01", "D05"} <= {one.id for one in found}
    assert not gone.exists()
