"""What a custodian does at the end: open the sealed evidence and compare it, without anybody looking at it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from receiver.demo.places import Places
from receiver.demo.setup import CUSTODIANS
from receiver.vault import age
from receiver.vault.errors import AgeError


def holds_sealed(places: Places, sha256: str) -> bool:
    """Whether one seal in the vault opens, with a demo custodian's identity, to exactly these bytes."""
    text = (places.custodians / CUSTODIANS[0]).read_text(encoding="ascii")
    identity = age.parse_identity(text.splitlines()[-1].strip())
    return any(_plain_sha256(header, payload, identity) == sha256 for header, payload in _seals(places.vault))


def _seals(vault: Path) -> Iterator[tuple[Path, Path]]:
    headers = vault / "headers"
    for header in sorted(headers.glob("??/*.header"), reverse=True):
        payload = vault / "payloads" / header.relative_to(headers).with_suffix(".age")
        if payload.exists():
            yield header, payload


def _plain_sha256(header: Path, payload: Path, identity: age.Identity) -> str:
    """Empty where it does not open (yet). The bytes pass through the hash and are kept nowhere."""
    digest = hashlib.sha256()
    try:
        with payload.open("rb") as source:
            age.open_file(header.read_bytes(), source, identity, digest.update)
    except (AgeError, FileNotFoundError):
        return ""
    return digest.hexdigest()
