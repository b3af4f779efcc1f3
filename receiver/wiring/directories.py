"""Issuers' key directories: fetched by the worker, read by every process of this machine from a file.

A fetched key is pending until people confirm its thumbprint, so whoever could write that file could not have it used.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

from receiver.config import Config
from receiver.config.durable import make_folder, replace_durably
from receiver.domain.clock import SystemClock
from receiver.domain.errors import ReceiverError
from receiver.engine.sweeps import Sweep
from receiver.net.errors import SendError
from receiver.net.sender import GuardedSender
from receiver.verification.errors import KeyFetchError, KeyRefusedError
from receiver.verification.jwk import MAX_SET_BYTES, load_jwks
from receiver.verification.jwks import FETCH_TIMEOUT_SECONDS, KeySnapshot, fetch_keys, while_fresh
from receiver.verification.keys import KeyRecord, KeySource

EVERY_SECONDS = 3600

log = structlog.get_logger(__name__)


def directory_file(config: Config, issuer: str) -> Path:
    return config.server.data_dir / "key-directories" / f"{issuer}.jwks.json"


def read_directory(config: Config, issuer: str) -> list[KeyRecord]:
    """The last good answer of this issuer's directory, every key pending; none before the first fetch."""
    snapshot = _snapshot(config, issuer)
    return [] if snapshot is None else list(snapshot.records)


def fresh_keys(config: Config, issuer: str) -> tuple[KeyRecord, ...]:
    """The same for signatures: keys whose directory could not be read for days sign nothing new."""
    snapshot = _snapshot(config, issuer)
    return () if snapshot is None else while_fresh(snapshot)


def _snapshot(config: Config, issuer: str) -> KeySnapshot | None:
    try:
        with directory_file(config, issuer).open("rb") as file:
            data, seconds = file.read(), os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None
    records = load_jwks(issuer, data, source=KeySource.URL)
    return KeySnapshot(records=tuple(records), fetched_at=dt.datetime.fromtimestamp(seconds, dt.UTC))


class KeyDirectories:
    """One sweep for each issuer with a `keys_url`. `fetched` hears of each that was read."""

    def __init__(self, config: Config, fetched: Callable[[str], None]) -> None:
        self._config, self._fetched, self._clock, self._sender = config, fetched, SystemClock(), GuardedSender()

    def sweeps(self) -> Iterator[Sweep]:
        for issuer in self._config.issuers:
            if issuer.keys_url is not None:
                job = _Refresh(self, issuer.id, issuer.keys_url)
                yield Sweep(name=f"keys:{issuer.id}", every_seconds=EVERY_SECONDS, job=job, at_once=True)

    def refresh(self, issuer: str, url: str) -> None:
        """Keep the last good set where the directory is away or its keys are refused; the next sweep asks again."""
        kept: list[bytes] = []

        def fetch(address: str) -> bytes:
            kept.append(self._get(address))
            return kept[-1]

        fetch_keys(issuer, url, fetch, now=self._clock.now())
        path = directory_file(self._config, issuer)
        make_folder(path.parent, mode=0o750)
        replace_durably(path, kept[-1], mode=0o640)
        log.info("keys.fetched", issuer=issuer)
        self._fetched(issuer)

    def _get(self, address: str) -> bytes:
        try:
            response = self._sender.get(
                address, headers={}, total_seconds=FETCH_TIMEOUT_SECONDS, max_response_bytes=MAX_SET_BYTES
            )
        except SendError as exc:
            raise KeyFetchError(str(exc)) from exc
        if response.status != 200:
            raise KeyFetchError(f"the key directory answered {response.status}")
        return response.body


class _Refresh:
    def __init__(self, directories: KeyDirectories, issuer: str, url: str) -> None:
        self._directories, self._issuer, self._url = directories, issuer, url

    def __call__(self) -> None:
        try:
            self._directories.refresh(self._issuer, self._url)
        except (KeyFetchError, KeyRefusedError) as exc:
            raise ReceiverError(f"{self._issuer}: {exc}") from exc
