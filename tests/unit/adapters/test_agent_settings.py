"""What an operator left out of agent.toml is named as it is written there, with all else that is wrong."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest

from adapters.agent.server import serve
from adapters.agent.settings import AgentSettings, SettingsError, build, from_table
from adapters.nginx.gate import NginxGate
from receiver.config.sections import Limits


def test_members_left_out_are_named(tmp_path: Path) -> None:
    table = {
        "socket": str(tmp_path / "agent.sock"),
        "filesystems": {"www": {"root": str(tmp_path)}},
        "gates": {"nginx": {"type": "nginx", "pid_file": str(tmp_path / "nginx.pid")}},
    }
    with pytest.raises(SettingsError) as raised:
        build(from_table(table))
    assert str(raised.value).splitlines() == [
        "[filesystems.www] quarantine_dir: is missing",
        "[gates.nginx] map_file: is missing",
    ]


def gate_table(tmp_path: Path, **more: object) -> AgentSettings:
    gate = {"type": "nginx", "map_file": str(tmp_path / "deny.conf"), **more}
    return from_table({"socket": str(tmp_path / "agent.sock"), "gates": {"nginx": gate}})


def test_pid_file_alone_is_enough_for_nginx(tmp_path: Path) -> None:
    built = build(gate_table(tmp_path, pid_file=str(tmp_path / "nginx.pid")))
    assert list(built.gate) == ["nginx"]
    built.gate["nginx"].close()


def test_agent_closes_what_it_built(tmp_path: Path) -> None:
    stop_event = threading.Event()
    held: list[NginxGate] = []
    log = tmp_path / "deny.conf.sqlite-wal"

    def on_ready() -> None:
        # Held here, so that the gate's book is not closed by its gate's going away.
        held.extend(one for one in gc.get_objects() if isinstance(one, NginxGate))
        assert log.exists()
        stop_event.set()

    serve(gate_table(tmp_path, pid_file=str(tmp_path / "nginx.pid")), stop_event, on_ready=on_ready)
    assert held
    assert not log.exists()


def test_agent_leaves_others_adapters_open(tmp_path: Path) -> None:
    stop_event = threading.Event()
    settings = gate_table(tmp_path, pid_file=str(tmp_path / "nginx.pid"))
    built = build(settings)
    serve(settings, stop_event, adapters=built, on_ready=stop_event.set)
    log = tmp_path / "deny.conf.sqlite-wal"
    assert log.exists()
    built.close()
    assert not log.exists()


def test_a_gate_that_nobody_can_reload_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"\[gates.nginx\] nginx needs reload_command, or pid_file"):
        build(gate_table(tmp_path))


def test_default_acts_cover_default_items() -> None:
    assert AgentSettings(socket="/agent.sock").max_acts_per_minute >= 3 * Limits.model_validate({}).max_items_per_minute
