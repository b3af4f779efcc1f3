"""The register of issuers' keys: files for what they are, the database for what happened to them since."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from receiver.config import Config
from receiver.domain.ports import Reads
from receiver.verification.errors import KeyRefusedError
from receiver.verification.jwk import load_jwks
from receiver.verification.keys import KeyRecord, KeyRing, merge_overlay
from receiver.wiring.parts import WiringError

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


class LiveRegister:
    """Asks the database at each request, so that a revocation needs no reload. The stricter of the two wins."""

    def __init__(self, records: Sequence[KeyRecord], reads: Reads) -> None:
        self._records, self._reads = tuple(records), reads
        self._known = frozenset(record.key_id for record in records)

    def find(self, key_id: str) -> KeyRecord | None:
        if key_id not in self._known:
            return None  # a stranger's guess must not cost a read
        merged = merge_overlay(self._records, self._reads.key_overlay())
        for alarm in merged.alarms:
            log.error("key.alarm", words=alarm)
        return KeyRing(merged.records).find(key_id)
