"""Which settings a reload leaves as they were, and what a process then goes by."""

from __future__ import annotations

from pathlib import Path

import pytest

from receiver.config import Config, load_config
from receiver.config.at_start import AT_START, in_force
from receiver.config.reference import settings
from tests.unit.config.written import MINIMAL, Write


@pytest.fixture
def running(write: Write) -> Config:
    return load_config(write(MINIMAL), {})


def test_settings_read_at_start_exist() -> None:
    known = {setting.name for setting in settings()}
    assert all(set(names) <= known for names in AT_START.values())
    assert {"worker.evidence_threads", "ledger.copy_to", "database.url"} <= set(AT_START["worker"])


def test_most_settings_follow_a_reload(running: Config, write: Write) -> None:
    read = load_config(write(f"{MINIMAL}[policy]\npage_again_minutes = [5]\n[limits]\nmax_items = 3\n"), {})
    for process in AT_START:
        assert in_force(process, running, read) == (read, ())


def test_settings_of_the_start_stay(running: Config, write: Write, tmp_path: Path) -> None:
    changed = f'{MINIMAL}web_threads = 3\ncountry = "GB"\n[worker]\nexposure_threads = 3\n'
    read = load_config(write(changed), {})
    config, waiting = in_force("web", running, read)
    assert waiting == ("server.web_threads",)
    assert (config.server.web_threads, config.server.country) == (8, "GB")
    assert config.source == tmp_path / "config.toml"
    assert in_force("worker", running, read)[1] == ("worker.exposure_threads",)
    assert in_force("admin", running, read)[1] == ()


def test_waiting_settings_show_in_the_hash(running: Config, write: Write) -> None:
    """`check` then says that this process runs with other settings, until it was started anew."""
    read = load_config(write(f"{MINIMAL}web_threads = 3\n"), {})
    assert in_force("web", running, read)[0].sha256() == running.sha256() != read.sha256()
    assert in_force("worker", running, read)[0].sha256() == read.sha256()
