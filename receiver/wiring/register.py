"""The register of issuers' keys: files for what they are, the database for what happened to them since."""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog

from receiver.config import Config
from receiver.domain.ports import Reads
from receiver.verification.enrol import screen_fetched
from receiver.verification.errors import KeyRefusedError
from receiver.verification.jwk import load_jwks
from receiver.verification.keys import KeyRecord, KeyRing, merge_overlay
from receiver.wiring.directories import fresh_keys, read_directory
from receiver.wiring.parts import WiringError

REREAD_SECONDS = 60.0

log = structlog.get_logger(__name__)


def load_key_files(config: Config) -> tuple[KeyRecord, ...]:
    """All keys of all issuers' files. Raises WiringError naming every file that holds a key we refuse."""
    records: list[KeyRecord] = []
    problems: list[str] = []
    for issuer in config.issuers:
        if issuer.keys_file is None:
            continue
        try:
            records += load_jwks(issuer.id, issuer.keys_file.read_bytes())
        except OSError as exc:
            problems.append(f"{issuer.id}: the keys file cannot be read ({exc.strerror})")
        except KeyRefusedError as exc:
            problems.append(f"{issuer.id}: {exc}")
    try:
        KeyRing(records)
    except KeyRefusedError as exc:
        problems.append(f"issuers' keys: {exc}")
    if problems:
        raise WiringError("; ".join(problems))
    return tuple(records)


def load_directories(config: Config, known: Sequence[KeyRecord]) -> tuple[KeyRecord, ...]:
    """Keys that issuers' own servers published; none may take over what a file says."""
    fetched: list[KeyRecord] = []
    for issuer in config.issuers:
        if issuer.keys_url is not None:
            fetched += fresh_keys(config, issuer.id)
    screened = screen_fetched(known, fetched)
    for alarm in screened.alarms:
        log.error("key.alarm", words=alarm)
    return screened.records


def key_alarms(config: Config, reads: Reads) -> tuple[str, ...]:
    """What is wrong with keys as they stand together now, in words for a person. Raises WiringError."""
    files = load_key_files(config)
    fetched: list[KeyRecord] = []
    for issuer in config.issuers:
        if issuer.keys_url is not None:
            fetched += read_directory(config, issuer.id)
    screened = screen_fetched(files, fetched)
    merged = merge_overlay((*files, *screened.records), reads.key_overlay())
    return (*screened.alarms, *merged.alarms)


class LiveRegister:
    """Asks the database at each request, so that a revocation needs no reload. The stricter of the two wins."""

    def __init__(self, config: Config, reads: Reads) -> None:
        self._config, self._reads = config, reads
        self._files = load_key_files(config)
        self._has_directories = any(issuer.keys_url is not None for issuer in config.issuers)
        self._read_at = -REREAD_SECONDS
        self._ring = KeyRing(self._files)

    def find(self, key_id: str) -> KeyRecord | None:
        record = self._current().find(key_id)
        if record is None:
            return None  # a stranger's guess must not cost a read of the database
        row = self._reads.find_key(record.issuer, record.key_id)
        merged = merge_overlay([record], [] if row is None else [row])
        for alarm in merged.alarms:
            log.error("key.alarm", words=alarm)
        return merged.records[0] if merged.records else None

    def _current(self) -> KeyRing:
        if self._has_directories and time.monotonic() - self._read_at >= REREAD_SECONDS:
            self._read_at = time.monotonic()
            self._ring = KeyRing((*self._files, *load_directories(self._config, self._files)))
        return self._ring
