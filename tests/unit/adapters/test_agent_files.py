"""The agent's settings file, and what it builds from it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.agent.address import socket_path
from adapters.agent.client import AgentCache, AgentGate, AgentStorage
from adapters.agent.server import main
from adapters.agent.settings import AgentSettings, SettingsError, build, from_table, load
from adapters.contract import (
    CacheHints,
)
from adapters.filesystem.plugin import PLUGIN
from adapters.nginx.plugin import CACHE_PLUGIN, GATE_PLUGIN
from tests.unit.adapters.docroot import Docroot

ROOT = Path(__file__).parents[3]


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
