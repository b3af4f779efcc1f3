"""A signed notice, verified and stored, for tests of the policy."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from receiver.client.signing import sign_notice
from receiver.domain.notice import UnverifiedRequest, VerifiedRequest
from receiver.domain.rows import MessageRow
from receiver.steps.received_rows import message_insert
from receiver.verification.keys import KeyRing
from receiver.verification.policy import verify_request, verify_stored
from tests.vectors.base import BODY
from tests.vectors.keys import ed25519_key, key_records
from tests.vectors.signer import PrivateKey

NOW = dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC)
ORIGINS = ("https://notices.host.example",)
URL = "https://notices.host.example/v1/notices"
RING = KeyRing(key_records())
LATER = NOW + dt.timedelta(hours=5)


def signed(
    body: bytes = BODY, *, key: PrivateKey | None = None, key_id: str = "a-ed25519", url: str = URL, **more: Any
) -> UnverifiedRequest:
    headers = sign_notice("POST", url, body, key or ed25519_key("a"), key_id, now=NOW, **more)
    target = url.removeprefix(ORIGINS[0])
    lines = (("Host", "notices.host.example"), ("Cookie", "private=1"), *headers.items())
    return UnverifiedRequest(method="POST", target=target, headers=lines, body=body)


def verify(request: UnverifiedRequest, *, now: dt.datetime = NOW, ring: KeyRing = RING) -> VerifiedRequest:
    return verify_request(request, origins=ORIGINS, register=ring, now=now)


def stored(verified: VerifiedRequest, **changes: Any) -> MessageRow:
    """As the public side records it."""
    return MessageRow(**{**message_insert(verified, id="m", now=0).values, **changes})


def again(
    message: MessageRow, *, ring: KeyRing = RING, received_at: dt.datetime = NOW, now: dt.datetime = LATER
) -> VerifiedRequest:
    return verify_stored(message, origins=ORIGINS, register=ring, received_at=received_at, now=now)


def ring_with(key_id: str, **changes: Any) -> KeyRing:
    return KeyRing([replace(r, **changes) if r.key_id == key_id else r for r in key_records()])
