"""Issuers' keys: what we know of each, and whether it may be used now."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from receiver.domain.clock import from_micros
from receiver.domain.ports import KeyOverlay
from receiver.verification.errors import KeyRefusedError

PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Algorithm(enum.StrEnum):
    """RFC 9421 section 6.2 names; one per key, no other is accepted."""

    ED25519 = "ed25519"
    ECDSA_P256_SHA256 = "ecdsa-p256-sha256"
    RSA_PSS_SHA512 = "rsa-pss-sha512"


class KeyStatus(enum.StrEnum):
    """In order of strictness: the later one wins where two places disagree."""

    ACTIVE = "active"
    PENDING = "pending"
    """Nobody confirmed it yet: two people, or an active key of the same issuer, must."""
    RETIRED = "retired"
    """Signs nothing new; what it signed before stands."""
    REVOKED = "revoked"
    """In other hands, perhaps: nothing it signed is acted on any more."""


_STRICTNESS = {status: rank for rank, status in enumerate(KeyStatus)}


class KeySource(enum.StrEnum):
    FILE = "file"
    """The operator's own act: trusted as it stands."""
    URL = "url"
    """The issuer's server said so: pending until confirmed in the database."""


@dataclass(frozen=True, kw_only=True)
class Vouch:
    """An older key's word for a new one, as the new key's JWK carries it."""

    key_id: str
    signature: bytes


@dataclass(frozen=True, kw_only=True)
class KeyRecord:
    issuer: str
    key_id: str
    algorithm: Algorithm
    public_key: PublicKey = field(repr=False, compare=False)
    thumbprint: str
    """RFC 7638, SHA-256, base64url: what people compare out of band."""
    status: KeyStatus = KeyStatus.ACTIVE
    not_before: dt.datetime | None = None
    not_after: dt.datetime | None = None
    revoked_at: dt.datetime | None = None
    source: KeySource = KeySource.FILE
    vouch: Vouch | None = None


class KeyRegister(Protocol):
    """Where a request's `keyid` is looked up; asked anew for each request, so that revocation needs no reload."""

    def find(self, key_id: str) -> KeyRecord | None: ...


class KeyRing:
    """Key records by key id.

    Raises KeyRefusedError when one key id, or one key, belongs to two records: the signature would not say who signed.
    """

    def __init__(self, records: Iterable[KeyRecord]) -> None:
        self._records: dict[str, KeyRecord] = {}
        reasons = []
        thumbprints: dict[str, str] = {}
        for record in records:
            if record.key_id in self._records:
                reasons.append(f"key id {record.key_id} is registered twice; give each key its own id")
            if thumbprints.setdefault(record.thumbprint, record.key_id) != record.key_id:
                reasons.append(f"{record.key_id} and {thumbprints[record.thumbprint]} are the same key; remove one")
            self._records[record.key_id] = record
        if reasons:
            raise KeyRefusedError(tuple(reasons))

    def find(self, key_id: str) -> KeyRecord | None:
        return self._records.get(key_id)


def key_fault(record: KeyRecord, *, signed_at: dt.datetime, now: dt.datetime) -> str | None:
    """Why this key may not vouch for something signed then, in a word, or None.

    `signed_at` and `now` differ when a stored request is verified again: it may have been signed by a key that was
    retired since, but never by one that is revoked by now.
    """
    if record.status is KeyStatus.REVOKED or (record.revoked_at is not None and record.revoked_at <= now):
        return "key-revoked"
    if record.status is KeyStatus.PENDING:
        return "key-pending"
    if record.status is KeyStatus.RETIRED and signed_at >= now:
        return "key-retired"
    if record.not_before is not None and signed_at < record.not_before:
        return "key-not-yet-valid"
    if record.not_after is not None and signed_at > record.not_after:
        return "key-expired"
    return None


@dataclass(frozen=True, kw_only=True)
class Merged:
    """Keys with what the database knows of them, and what a person must look at."""

    records: tuple[KeyRecord, ...]
    alarms: tuple[str, ...]


def merge_overlay(records: Sequence[KeyRecord], overlay: Sequence[KeyOverlay]) -> Merged:
    """The stricter of file and database wins, for status and for each date.

    A key from a URL counts as pending until the database says more. A row whose thumbprint is another than the key's
    means that a key id changed its key: that key is left out, and it is an alarm, not an update.
    """
    rows = {(row.issuer, row.kid): row for row in overlay}
    merged, alarms = [], []
    for record in records:
        row = rows.get((record.issuer, record.key_id))
        if row is not None and row.thumbprint != record.thumbprint:
            alarms.append(f"key {record.key_id} of {record.issuer} is not the key that was registered under this id")
            continue
        merged.append(_with_row(record, row))
    return Merged(records=tuple(merged), alarms=tuple(alarms))


def _with_row(record: KeyRecord, row: KeyOverlay | None) -> KeyRecord:
    if row is None:
        granted = KeyStatus.ACTIVE if record.source is KeySource.FILE else KeyStatus.PENDING
        return replace(record, status=_stricter(record.status, granted))
    return replace(
        record,
        status=_stricter(record.status, KeyStatus(row.state)),
        not_before=_pick(max, record.not_before, row.not_before),
        not_after=_pick(min, record.not_after, row.not_after),
        revoked_at=_pick(min, record.revoked_at, row.revoked_at),
    )


def _stricter(one: KeyStatus, other: KeyStatus) -> KeyStatus:
    return max(one, other, key=lambda status: _STRICTNESS[status])


def _pick(choose: _Choose, ours: dt.datetime | None, micros: int | None) -> dt.datetime | None:
    theirs = None if micros is None else from_micros(micros)
    if ours is None or theirs is None:
        return ours or theirs
    return choose(ours, theirs)


class _Choose(Protocol):
    def __call__(self, one: dt.datetime, other: dt.datetime, /) -> dt.datetime: ...
