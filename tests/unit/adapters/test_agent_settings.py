"""What an operator left out of agent.toml is named as it is written there, with all else that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.agent.settings import AgentSettings, SettingsError, build, from_table
from receiver.config.sections import Limits


def test_members_left_out_are_named(tmp_path: Path) -> None:
    table = {
        "socket": str(tmp_path / "agent.sock"),
        "filesystems": {"www": {"root": str(tmp_path)}},
        "gates": {"nginx": {"type": "nginx", "map_file": str(tmp_path / "deny.conf")}},
    }
    with pytest.raises(SettingsError) as raised:
        build(from_table(table))
    assert str(raised.value).splitlines() == [
        "[filesystems.www] quarantine_dir: is missing",
        "[gates.nginx] reload_command: is missing",
    ]


def test_default_acts_cover_default_items() -> None:
    assert AgentSettings(socket="/agent.sock").max_acts_per_minute >= 3 * Limits.model_validate({}).max_items_per_minute
