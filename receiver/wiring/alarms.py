"""Which conditions call a person beside what happens to cases."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from receiver.config import Config
from receiver.domain.clock import SystemClock
from receiver.domain.outcome import Update
from receiver.engine.alarms import (
    Alarm,
    Alarms,
    clock_alarms,
    review_alarms,
    sweep_alarms,
    unclear_alarms,
    waiting_alarms,
)
from receiver.engine.sweeps import EVERY_SECONDS
from receiver.store import SqlStore
from receiver.wiring.parts import WiringError, identity
from receiver.wiring.register import key_alarms

LOW_BYTES = 1024**3


def build_alarms(
    config: Config,
    store: SqlStore,
    page: Callable[[str, str, str], None],
    change: Callable[[Update], None],
    begun_at: int | None = None,
) -> Alarms:
    """`page` takes kind, subject and words; `change` writes what became of a page.

    `begun_at` is when the process began, now where it is left out: a reload gives no sweep new time.
    """
    begun_at, node = begun_at or store.now(), identity("alarms", config).node
    sources = (
        partial(waiting_alarms, store),
        partial(unclear_alarms, store),
        partial(review_alarms, store),
        partial(sweep_alarms, store, sweep_names(config), begun_at),
        partial(clock_alarms, store, SystemClock(), node),
        partial(space_alarms, config, node),
        partial(_of_keys, config, store),
    )
    return Alarms(store, sources, page, change)


def sweep_names(config: Config) -> tuple[str, ...]:
    """All but the one that would have to tell of itself."""
    fetched = (f"keys:{issuer.id}" for issuer in config.issuers if issuer.keys_url is not None)
    return (*(name for name in EVERY_SECONDS if name not in ("keys", "alarms")), *fetched)


def space_alarms(config: Config, node: str) -> Iterator[Alarm]:
    """Before a full disk refuses notices, or leaves evidence unsealed."""
    places: dict[str, Path | None] = {
        "server.data_dir": config.server.data_dir,
        "vault.path": config.vault.path,
        "vault.second_headers_path": config.vault.second_headers_path,
    }
    for setting, path in places.items():
        if path is None or not os.path.isdir(path):
            continue
        free_bytes = shutil.disk_usage(path).free
        if free_bytes < LOW_BYTES:
            words = f"only {free_bytes // 1024**2} MiB are left on its disk"
            # Each machine has its own disks.
            yield Alarm(kind="space.low", subject=f"{node} {setting}", text=words)


def _of_keys(config: Config, store: SqlStore) -> Iterator[Alarm]:
    try:
        found = key_alarms(config, store)
    except (WiringError, OSError) as error:
        words = f"the issuers' keys cannot be read ({type(error).__name__}); `takedown-receiver check` says why"
        yield Alarm(kind="key.alarm", subject="keys", text=words)
        return
    for words in found:
        # Each calls for itself: an old one that somebody looked at must not hide a new one.
        yield Alarm(kind="key.alarm", subject=f"keys {hashlib.sha256(words.encode()).hexdigest()[:12]}", text=words)
