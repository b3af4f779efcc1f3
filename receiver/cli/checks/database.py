"""The database: there, ours, durable, with space; and what it says of the processes."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from receiver.cli.findings import Finding, fail, ok, warn
from receiver.cli.opened import MAKE_IT, opened_if_it_opens
from receiver.config import Config
from receiver.domain.errors import ReceiverError
from receiver.engine.sweeps import EVERY_SECONDS, every_seconds
from receiver.store import SqlStore
from receiver.store.errors import DataKeyError, ForbiddenError, SchemaError
from receiver.store.queue import ALIVE_MICROS
from receiver.wiring import build_store

LOW_BYTES = 1024**3
FULL_BYTES = 128 * 1024**2
MAX_DRIFT_MICROS = 2_000_000
SWEEP_LATE = 3
"""A sweep that missed this many of its turns is late."""
_SLOW_FSYNC_MS = 100.0
_UNWRITABLE = "Mount it so that it can be written, give it to the user of the processes, and type `check` as that user"


def ask_database(config: Config) -> Iterator[Finding]:
    """Opens it as the processes do; makes no file, for the one who types this may not be the one who runs them."""
    yield from _ask_place(config)
    if config.database.is_to_be_made:
        yield replace(fail("D01", "database", f"{config.database.sqlite_path} is not there yet"), advice=MAKE_IT)
        return
    began = time.monotonic()
    try:
        store = build_store(config, make_folders=False)
    except SchemaError as error:
        yield fail("D02", "database", str(error))
        return
    except DataKeyError as error:
        yield fail("D03", "database", str(error))
        return
    except (ReceiverError, OSError) as error:
        yield fail("D01", "database", str(error) if isinstance(error, ReceiverError) else f"{error.strerror}")
        return
    yield ok("D01", "database", "open", open_ms=_ms_since(began))
    yield ok("D02", "database", "its tables are those of this program")
    yield ok("D03", "database", "its data key is ours")
    try:
        yield from _ask_open(store)
    except ReceiverError as error:
        yield fail("D01", "database", str(error))
    finally:
        store.close()


def _ask_open(store: SqlStore) -> Iterator[Finding]:
    began = time.monotonic()
    before, now, after = time.time_ns() // 1000, store.now(), time.time_ns() // 1000
    answered_ms = _ms_since(began)
    drift = max(before - now, now - after, 0)
    words = f"the database's clock is {drift / 1e6:.1f} s off ours"
    clock = warn if drift > MAX_DRIFT_MICROS else ok
    yield clock("T02", "clock", words, drift_ms=drift / 1000, answer_ms=answered_ms)
    facts = store.facts()
    version = f"{facts.kind} {facts.version}"
    if facts.unsafe:
        yield fail("D04", "database", f"{'; '.join(facts.unsafe)}: a power cut loses notices that were acknowledged")
    else:
        yield ok("D04", "database", f"{version} syncs each commit", version=facts.version, size_bytes=facts.size_bytes)
    if facts.role_is_owner:
        yield warn("D06", "database", "its role owns the tables: whoever takes over one process may write everything")
    elif facts.role_lacks and not facts.role_fits:
        yield fail("D06", "database", f"its role fits no process; it lacks {', '.join(facts.role_lacks[:5])}")
    elif facts.role_fits:
        yield ok("D06", "database", f"its role has the grants of: {', '.join(facts.role_fits)}")


def _ask_place(config: Config) -> Iterator[Finding]:
    path = config.database.sqlite_path
    folder = config.server.data_dir if path is None else path.parent
    if not os.path.isdir(folder):
        yield fail("D05", "server.data_dir", f"{folder} is not there; `takedown-receiver db upgrade` makes it")
        return
    free_bytes = shutil.disk_usage(folder).free
    try:
        fsync_ms = _synced_ms(folder)
    except OSError as error:
        found = fail("D05", "server.data_dir", f"{folder} cannot be written ({error.strerror})", free_bytes=free_bytes)
        yield found if error.errno == errno.ENOSPC else replace(found, advice=_UNWRITABLE)
        return
    told = {"free_bytes": free_bytes, "fsync_ms": fsync_ms}
    if free_bytes < FULL_BYTES:
        yield fail("D05", "server.data_dir", "nearly no space is left", **told)
    elif free_bytes < LOW_BYTES:
        yield warn("D05", "server.data_dir", "little space is left", **told)
    elif fsync_ms > _SLOW_FSYNC_MS:
        yield warn("D05", "server.data_dir", "this disk is slow to sync, and each notice waits for it", **told)
    else:
        yield ok("D05", "server.data_dir", "written, synced and taken away", **told)


def _synced_ms(folder: Path) -> float:
    """Leaves nothing behind. Raises OSError."""
    path = folder / f".check-{secrets.token_hex(8)}"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, b"check" * 800)
        began = time.monotonic()
        os.fsync(handle)
        return _ms_since(began)
    finally:
        os.close(handle)
        path.unlink()


def ask_processes(config: Config) -> Iterator[Finding]:
    """What the database knows of those that run. Whether it opens was said already."""
    with opened_if_it_opens(config) as store:
        if store is None:
            return
        try:
            yield from _ask_running(config, store)
        except ForbiddenError:
            yield warn("X02", "processes", "the database role of these settings may not see all of them")
        except ReceiverError as error:
            yield fail("D01", "database", str(error))


def _ask_running(config: Config, store: SqlStore) -> Iterator[Finding]:
    now, ours = store.now(), config.sha256()
    alive = [row for row in store.list_workers() if row.seen_at > now - ALIVE_MICROS]
    for row in (row for row in alive if row.config_sha256 != ours):
        yield fail("W01", "processes", f"{row.node}:{row.slot} runs with other settings")
    if not alive:
        advice = "`takedown-receiver serve` starts all; until then notices are not taken"
        yield replace(warn("W01", "processes", "none is running"), advice=advice)
    elif all(row.config_sha256 == ours for row in alive):
        yield ok("W01", "processes", "all run with these settings", alive=len(alive))
    for pause in store.pauses():
        yield warn("W03", "paused", f"{pause.scope}, by {pause.actor}")
    if any(not row.slot.startswith(("web", "admin")) for row in alive):
        yield from _ask_sweeps(config, store)
    yield from _ask_waiting(store)


def _ask_sweeps(config: Config, store: SqlStore) -> Iterator[Finding]:
    """Only of those that still run: an issuer that was taken out leaves the age of its key sweep behind."""
    names = {*(set(EVERY_SECONDS) - {"keys"}), *(f"keys:{i.id}" for i in config.issuers if i.keys_url is not None)}
    ages = {name: age for name, age in store.sweep_ages().items() if name in names}
    late = {name: age for name, age in ages.items() if age > SWEEP_LATE * every_seconds(name)}
    for name, age in sorted(late.items()):
        yield warn("W02", f"sweeps.{name}", "it did not succeed for a long time", age_seconds=age)
    if ages and not late:
        yield ok("W02", "sweeps", "each succeeded not long ago", sweeps=len(ages))


def _ask_waiting(store: SqlStore) -> Iterator[Finding]:
    gauges = store.gauges()
    waiting = {name: int(gauges.get(name, 0)) for name in ("open_pages", "stuck", "dead_letters")}
    if any(waiting.values()):
        yield warn("W04", "people", "somebody should look", **waiting)
    else:
        yield ok("W04", "people", "nothing waits for a person")


def _ms_since(began: float) -> float:
    return (time.monotonic() - began) * 1000
