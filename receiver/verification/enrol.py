"""How a key that an issuer's server published becomes one we act on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from receiver.verification.errors import VerificationError
from receiver.verification.keys import KeyRecord, KeyRegister, KeyStatus, Merged, key_fault
from receiver.verification.mechanics import verify_bytes

_STATEMENT = "takedown-key-enrolment/1"


def screen_fetched(known: Sequence[KeyRecord], fetched: Sequence[KeyRecord]) -> Merged:
    """Leave out fetched keys that would take over a known key id or stand for somebody else's key.

    Each is an alarm for a person: an issuer's server may have been broken into.
    """
    ids = {record.key_id: record for record in known}
    owners = {record.thumbprint: record for record in known}
    kept, alarms = [], []
    for record in fetched:
        same_id, same_key = ids.get(record.key_id), owners.get(record.thumbprint)
        if same_id is not None and same_id.issuer != record.issuer:
            alarms.append(f"{record.issuer} published the key id {record.key_id}, which belongs to another issuer")
        elif same_id is not None and same_id.thumbprint != record.thumbprint:
            alarms.append(f"{record.issuer} changed the key behind the key id {record.key_id}; ask them by telephone")
        elif same_key is not None and same_key.key_id != record.key_id:
            alarms.append(f"{record.issuer} published a known key again as {record.key_id}; one key has one id")
        else:
            kept.append(record)
            ids[record.key_id] = owners[record.thumbprint] = record
    return Merged(records=tuple(kept), alarms=tuple(alarms))


def enrolment_statement(record: KeyRecord) -> bytes:
    """What an active key signs to vouch for a new one of its issuer: four lines, ASCII, no line end at the end."""
    return f"{_STATEMENT}\n{record.issuer}\n{record.key_id}\n{record.thumbprint}".encode("ascii")


def is_vouched_for(record: KeyRecord, register: KeyRegister, *, now: dt.datetime) -> bool:
    """True where an active key of the same issuer signed this one (member `vouch` of the JWK)."""
    if record.vouch is None:
        return False
    voucher = register.find(record.vouch.key_id)
    if voucher is None or voucher.issuer != record.issuer or voucher.thumbprint == record.thumbprint:
        return False
    if voucher.status is not KeyStatus.ACTIVE or key_fault(voucher, signed_at=now, now=now) is not None:
        return False
    try:
        verify_bytes(
            enrolment_statement(record),
            record.vouch.signature,
            algorithm=voucher.algorithm,
            public_key=voucher.public_key,
        )
    except VerificationError:
        return False
    return True
