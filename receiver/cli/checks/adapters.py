"""Every store, gate and cache measures itself; the agent that some of them need is asked first."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from adapters.agent import protocol
from adapters.agent.address import socket_path
from adapters.agent.settings import AgentSettings, SettingsError, load
from adapters.contract import AdapterError
from adapters.registry import Registry, RegistryError
from receiver.cli.findings import Finding, Level, fail, ok, warn
from receiver.config import Config
from receiver.config.checks import GROUPS
from receiver.config.files import closed_folder

ANSWER_SECONDS = 5.0
NEEDED = {"adapters": "block", "gates": "deny", "caches": "purge"}
"""What each kind must be able to do to be of any use."""
_QUESTION = {"v": protocol.VERSION, "id": 1, "adapter": "storage", "name": "", "method": "probe", "args": {}}
_TABLES = {"adapters": "filesystems", "gates": "gates", "caches": "caches"}


def ask_adapters(config: Config) -> Iterator[Finding]:
    registry = Registry.load()
    tools = {"data_dir": str(config.server.data_dir), "base_dir": str(config.folder)}
    for section, group in GROUPS.items():
        for name, table in getattr(config, section).items():
            found = _ask_adapter(section, name, partial(registry.build, group, name, table, tools))
            yield from (replace(_plainer(finding, table), setting=section) for finding in found)


def _plainer(finding: Finding, table: Mapping[str, Any]) -> Finding:
    """Where the store's own folder is gone, that is the answer, and no word of a library's."""
    root = table.get("root")
    here = isinstance(root, str) and str(table.get("agent", "")).startswith("unix:")
    if finding.level is not Level.FAIL or not here or closed_folder(Path(str(root), "x")) or os.path.isdir(str(root)):
        return finding
    advice = (
        "Mount it or bring it back, or change root here and in agent.toml; it must be there before the agent starts"
    )
    return replace(finding, words=f"{root}, its root, is not there", advice=advice)


def _ask_adapter(section: str, name: str, build: Callable[[], Any]) -> Iterator[Finding]:
    about = f"{section}.{name}"
    try:
        adapter = build()
    except (RegistryError, AdapterError) as error:
        yield fail("A01", about, str(error))
        return
    began = time.monotonic()
    try:
        found = adapter.probe()
        took_ms = (time.monotonic() - began) * 1000
        words = f"{found.name} {found.version}".strip()
        can = f": can {', '.join(found.can)}" if found.can else ""
        yield ok("A02", about, words + can, probe_ms=took_ms, version=found.version or "not told")
        if NEEDED[section] not in found.can:
            yield fail("A04", about, f"it cannot {NEEDED[section]}")
        yield from (warn("A03", about, words) for words in found.lost)
        yield from (ok("A03", about, words) for words in found.notes)
    except AdapterError as error:
        yield fail("A02", about, str(error))
    finally:
        adapter.close()


def ask_agent(config: Config) -> Iterator[Finding]:
    """Its settings, where they are on this machine, and every socket that the tables name."""
    wanted = _wanted(config)
    file = config.agent.settings_file
    if wanted and not os.path.exists(file):
        yield warn("G01", "agent", f"{file} is not there: `serve` starts no agent here")
    elif os.path.exists(file):
        yield from _ask_settings(config, wanted)
    for path in dict.fromkeys(path for _, _, path in wanted):
        yield _ask_socket(path)


def _wanted(config: Config) -> list[tuple[str, str, str]]:
    """Section, name and socket of everything that acts through an agent."""
    tools = {"data_dir": str(config.server.data_dir)}
    return [
        (section, name, socket_path(str(table["agent"]), tools))
        for section in GROUPS
        for name, table in getattr(config, section).items()
        if str(table.get("agent", "")).startswith("unix:")
    ]


def _ask_settings(config: Config, wanted: list[tuple[str, str, str]]) -> Iterator[Finding]:
    try:
        settings = load(str(config.agent.settings_file))
    except SettingsError as error:
        # Where only root may read it, the agent's own start says what is wrong with it.
        level = fail if os.access(config.agent.settings_file, os.R_OK, effective_ids=True) else warn
        yield from (level("G01", "agent", line) for line in str(error).splitlines())
        return
    yield ok("G01", "agent", "its settings are in order")
    yield from _ask_names(settings, wanted)


def _ask_names(settings: AgentSettings, wanted: list[tuple[str, str, str]]) -> Iterator[Finding]:
    ours = os.path.realpath(settings.socket)
    # Tables with another socket belong to an agent elsewhere, whose settings we do not have.
    here = [(section, name) for section, name, path in wanted if os.path.realpath(path) == ours]
    missing = [(section, name) for section, name in here if name not in getattr(settings, _TABLES[section])]
    for section, name in missing:
        yield fail("G02", f"{section}.{name}", f"agent.toml has no [{_TABLES[section]}.{name}]")
    if wanted and not here:
        yield fail("G02", "agent", "no table names the socket that agent.toml makes, so nobody would ask it")
    elif here and not missing:
        yield ok("G02", "agent", "it knows every name that is wanted of it", names=len(here))


def _ask_socket(path: str) -> Finding:
    """It says whether it lets us in before it is asked anything; that it knows no such store is an answer too."""
    began = time.monotonic()
    try:
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as link:
            link.settimeout(ANSWER_SECONDS)
            protocol.with_address(path, link.connect)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                protocol.send_json(link, _QUESTION)
            answer = protocol.receive_json(link)
    except (OSError, protocol.ProtocolError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        return fail("G03", "agent", f"{path} does not answer ({why})")
    took_ms = (time.monotonic() - began) * 1000
    if answer is None:
        return fail("G03", "agent", f"{path} hung up")
    if "id" not in answer:
        words = str(answer.get("error", {}).get("message", "it refused the connection"))
        return fail("G03", "agent", f"{path}: {words}")
    return ok("G03", "agent", "its socket answers", answer_ms=took_ms)
