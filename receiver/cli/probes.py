"""The probes of `check`: each looks at one part and answers with findings, whatever happens."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from adapters.contract import AdapterError
from adapters.registry import Registry, RegistryError
from receiver.cli.findings import Finding, fail, ok, warn
from receiver.config import Config, file_problems
from receiver.config.checks import GROUPS
from receiver.domain.errors import ReceiverError
from receiver.keyfiles import published_mismatch
from receiver.resolution.protection import Protected
from receiver.resolution.routes import Route, RoutesRefusedError, RouteTable
from receiver.store.queue import ALIVE_MICROS
from receiver.wiring import build_store, build_vault
from receiver.wiring.parts import build_copies
from receiver.wiring.register import load_key_files

CLOCK_SECONDS = 5
_ONE_DISK = ("headers live in one store only", "the second header store is on the vault's disk")
MAX_CLOCK_DRIFT_MICROS = 2_000_000


def probe_files(config: Config) -> Iterator[Finding]:
    """Keys and what else the settings name: there, ours, and closed to others."""
    problems = file_problems(config)
    for problem in problems:
        yield fail("files", problem.line())
    if not problems:
        yield ok("files", "every file that the settings name is there, with a fitting mode")
    mismatch = published_mismatch(config.keys) if not problems else None
    if mismatch:
        yield fail("keys", mismatch)


def probe_rules(config: Config) -> Iterator[Finding]:
    """Routes, protected URLs and issuers' keys, as the worker will read them."""
    try:
        RouteTable(Route(**entry.model_dump()) for entry in config.routes)
        yield ok("routes", f"{len(config.routes)} routes")
    except RoutesRefusedError as error:
        yield from (fail("routes", problem) for problem in error.problems)
    for prefix in config.policy.protected:
        try:
            Protected.parse(prefix)
        except ValueError as error:
            yield fail("policy.protected", str(error))
    try:
        yield ok("issuers", f"{len(config.issuers)} issuers with {len(load_key_files(config))} keys in files")
    except ReceiverError as error:
        yield fail("issuers", str(error))
    if not config.routes or not config.issuers:
        yield warn(
            "settings", "without an issuer and a route no notice can come to anything; see issuer add, route add"
        )


def probe_policy(config: Config) -> Iterator[Finding]:
    """Choices that are allowed and that people should see."""
    if not config.policy.two_people:
        yield warn("policy.two_people", "one person can release, restore and destroy evidence")
    if config.policy.on_withdrawal != "two_people":
        yield warn("policy.on_withdrawal", f"an issuer's withdrawal needs: {config.policy.on_withdrawal}")


def probe_database(config: Config) -> Iterator[Finding]:
    """Opens it as the processes do, and names those that run with other settings."""
    try:
        store = build_store(config)
    except (ReceiverError, OSError) as error:
        yield fail("database", str(error))
        return
    try:
        now = store.now()
        yield ok("database", "open, with the right tables and the right data key")
        if abs(now - time.time_ns() // 1000) > MAX_CLOCK_DRIFT_MICROS:
            yield fail("clock", "the database's clock and ours are more than 2 s apart; mend the time service of both")
        ours = config.sha256()
        alive = [row for row in store.list_workers() if row.seen_at > now - ALIVE_MICROS]
        for row in (row for row in alive if row.config_sha256 != ours):
            yield fail("processes", f"{row.node}:{row.slot} runs with other settings; send it SIGHUP or restart it")
        yield ok("processes", f"{len(alive)} alive") if alive else warn("processes", "none is running")
        for pause in store.pauses():
            yield warn("paused", f"{pause.scope}, by {pause.actor}; `takedown-receiver resume` ends it")
    except ReceiverError as error:
        yield fail("database", str(error))
    finally:
        store.close()


def probe_adapters(config: Config) -> Iterator[Finding]:
    """Every store, gate and cache measures itself; what it lacks is said in words."""
    registry = Registry.load()
    tools = {"data_dir": str(config.server.data_dir), "base_dir": str(config.folder)}
    for section, group in GROUPS.items():
        for name, table in getattr(config, section).items():
            yield from _probe_adapter(f"{section}.{name}", partial(registry.build, group, name, table, tools))


def _probe_adapter(about: str, build: Callable[[], Any]) -> Iterator[Finding]:
    try:
        adapter = build()
    except (RegistryError, AdapterError) as error:
        yield fail(about, str(error))
        return
    try:
        found = adapter.probe()
        yield ok(
            about, f"{found.name} {found.version}".strip() + (f": can {', '.join(found.can)}" if found.can else "")
        )
        for words in found.lost:
            yield warn(about, words)
        for words in found.notes:
            yield ok(about, words)
    except AdapterError as error:
        yield fail(about, str(error))
    finally:
        adapter.close()


def probe_vault(config: Config) -> Iterator[Finding]:
    try:
        problems = build_vault(config).probe()
    except (ReceiverError, OSError) as error:
        yield fail("vault", str(error))
        return
    for words in problems:
        # A host with one disk can run; what it risks is said each time.
        yield warn("vault", words) if words.startswith(_ONE_DISK) else fail("vault", words)
    if not problems:
        yield ok("vault", "can seal; no identity is within reach")


def probe_ledger(config: Config) -> Iterator[Finding]:
    """Without a copy that this host cannot rewrite, its history proves little."""
    copies = list(build_copies(config))
    if not copies:
        yield warn(
            "ledger.copy_to", "no outside copy: export, restore and destroy will wait, and root could rewrite all"
        )
    for copy in copies:
        try:
            copy.read_end()
            yield ok("ledger.copy_to", f"{copy.name} can be read")
        except ReceiverError as error:
            yield fail("ledger.copy_to", str(error))


def probe_clock() -> Iterator[Finding]:
    """Leases and deadlines bear a wrong clock; evidence times in court do not."""
    timedatectl = shutil.which("timedatectl")
    if timedatectl is None:
        yield warn("clock", "cannot tell whether a time service keeps it; see to that on the host")
        return
    shown = subprocess.run(
        [timedatectl, "show", "--property=NTPSynchronized", "--value"],
        capture_output=True,
        text=True,
        timeout=CLOCK_SECONDS,
        check=False,
    )
    if shown.stdout.strip() == "yes":
        yield ok("clock", "kept by a time service")
    else:
        yield warn("clock", "no time service says that it keeps the clock; evidence times rest on it")


def probe_agent(config: Config) -> Iterator[Finding]:
    wanted = any("agent" in table for section in GROUPS for table in getattr(config, section).values())
    file: Path = config.agent.settings_file
    if wanted and not file.exists():
        yield warn("agent", f"stores or gates need the agent, and {file} is not there: `serve` will start none here")
    elif file.exists() and not os.access(file, os.R_OK):
        yield fail("agent", f"{file} cannot be read")
