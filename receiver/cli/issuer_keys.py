"""Issuers' key files on disk: read, judged, joined. Keys that could be forged or mistaken are refused with reasons."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from receiver.cli.base import CommandError
from receiver.config import Config, Issuer
from receiver.config.durable import make_folder, replace_durably
from receiver.verification.errors import KeyRefusedError
from receiver.verification.jwk import load_jwks
from receiver.verification.keys import KeyRecord
from receiver.wiring.directories import read_directory

KEY_FILE_MODE = 0o644


def read_keys(issuer_id: str, file: Path) -> list[KeyRecord]:
    """The keys of a JWKS. Ends the command with every reason when one of them is weak."""
    try:
        return load_jwks(issuer_id, file.read_bytes())
    except OSError as error:
        raise CommandError(f"{file} cannot be read ({error.strerror})") from error
    except KeyRefusedError as error:
        reasons = "\n".join(f"  {reason}" for reason in error.reasons)
        raise CommandError(f"{file} was not taken; ask {issuer_id} for other keys:\n{reasons}") from error


def known_keys(config: Config, entry: Issuer) -> list[KeyRecord]:
    """Those of its file, or those that its server published when a worker of this machine last asked."""
    if entry.keys_file is not None:
        return read_keys(entry.id, entry.keys_file) if os.path.exists(entry.keys_file) else []
    try:
        return read_directory(config, entry.id)
    except (OSError, KeyRefusedError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise CommandError(f"the keys that {entry.id} published cannot be read: {why}") from error


def joined(issuer_id: str, old: Path, new: Path) -> bytes:
    """The set with the new keys added. A known key id with another key is refused: it may be an impostor's."""
    added = read_keys(issuer_id, new)
    if not old.exists():
        return new.read_bytes()
    known = {record.key_id: record.thumbprint for record in read_keys(issuer_id, old)}
    for record in added:
        if known.get(record.key_id, record.thumbprint) != record.thumbprint:
            raise CommandError(
                f"{record.key_id} is already another key of {issuer_id}. Ask them by telephone; a new key has a new id"
            )
    fresh = {record.key_id for record in added if record.key_id not in known}
    members = json.loads(old.read_bytes())["keys"]
    members += [jwk for jwk in json.loads(new.read_bytes())["keys"] if jwk["kid"] in fresh]
    return json.dumps({"keys": members}, indent=2).encode() + b"\n"


def replace_file(path: Path, content: bytes) -> None:
    """Readers see the old set or the new one, never half of it."""
    try:
        make_folder(path.parent, mode=0o755)
        replace_durably(path, content, mode=KEY_FILE_MODE)
    except OSError as error:
        raise CommandError(
            f"{path} cannot be written ({error.strerror}); in a container, put it where settings are made"
        ) from error


def fingerprint_rows(records: Sequence[KeyRecord]) -> list[tuple[str, str, str, str]]:
    return [(record.key_id, str(record.algorithm), str(record.status), record.thumbprint) for record in records]
